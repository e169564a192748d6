// The names a CEL expression may use of a request or connection: Envoy's attributes, as far as every data plane here has them.

import { CelError, compileCel } from './cel.ts';

const CEL_ATTRIBUTES = [
  'request.path',
  'request.url_path',
  'request.query',
  'request.host',
  'request.scheme',
  'request.method',
  'request.headers',
  'request.referer',
  'request.useragent',
  'request.id',
  'request.protocol',
  'request.duration',
  'request.size',
  'request.total_size',
  'response.code',
  'response.code_details',
  'response.flags',
  'response.grpc_status',
  'response.headers',
  'response.size',
  'response.total_size',
  'response.backend_latency',
  'connection.mtls',
  'connection.requested_server_name',
  'connection.uri_san_peer_certificate',
  'source.address',
  'source.port',
  'destination.address',
  'destination.port',
  'upstream.address',
  'upstream.port',
  'upstream.local_address',
  'upstream.transport_failure_reason',
  'upstream.request_attempt_count',
  'xds.cluster_name',
  'xds.cluster_metadata',
  'xds.route_name',
  'xds.route_metadata',
  'xds.virtual_host_name',
  'xds.upstream_host_metadata',
] as const;
export type CelAttribute = (typeof CEL_ATTRIBUTES)[number];

const names: ReadonlySet<string> = new Set(CEL_ATTRIBUTES);

/** Why no proxy here can evaluate the expression; undefined when they can. */
export function celProblem(expression: string): string | undefined {
  try {
    compileCel(expression, (name) => (names.has(name) ? () => undefined : undefined));
    return undefined;
  } catch (error) {
    if (error instanceof CelError) return error.message;
    throw error;
  }
}

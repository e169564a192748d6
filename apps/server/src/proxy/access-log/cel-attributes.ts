// Envoy's CEL over a finished request or connection: filters of access logs, tags of metrics.

import { toldGrpcStatus } from '@weft/mesh-core/model';
import { type CelAttribute, type CelAttributes, type CelValue, compileCel, pathWithoutQuery } from '@weft/mesh-core/traffic';
import { shownAddress } from '../http/address-commands.ts';
import type { HeaderValueSource } from '../http/header-values.ts';

type Read = (source: HeaderValueSource) => CelValue;

/** Bits of `response.flags`: Envoy's CoreResponseFlag, in order from bit 0. */
const FLAGS = 'LH UH UT LR UR UF UC UO NR DI FI RL UAEX RLSE DC URX SI IH DPE UMSDR RFCF NFCF DT UPE NC OM DF DO DR UDO'.split(' ');
const BITS: ReadonlyMap<string, number> = new Map(FLAGS.map((flag, bit) => [flag, 2 ** bit]));

const some = (text: string | undefined): CelValue => (text === '' ? undefined : text);
const portOf = (address: string): CelValue => {
  const port = /:(\d+)$/.exec(address)?.[1];
  return port === undefined ? undefined : Number(port);
};
/** Of requests only: connections have no method. */
const http =
  (read: Read): Read =>
  (source) =>
    source.record.method === '' ? undefined : read(source);
const header = (name: string): Read => http((source) => source.request(name));
const metadata = (owner: { metadata: object } | undefined): CelValue => (owner === undefined ? undefined : { filter_metadata: owner.metadata });

const ATTRIBUTES: Readonly<Record<CelAttribute, Read>> = {
  'request.path': http(({ record }) => record.path),
  'request.url_path': http(({ record }) => pathWithoutQuery(record.path)),
  'request.query': http(({ record }) => /\?([^#]*)/.exec(record.path)?.[1] ?? ''),
  'request.host': http(({ record }) => record.authority),
  'request.scheme': http(({ record }) => (record.tls ? 'https' : 'http')),
  'request.method': http(({ record }) => record.method),
  'request.headers': http((source) => ({ get: (name) => pseudoHeader(source, name) ?? source.request(name) })),
  'request.referer': header('referer'),
  'request.useragent': header('user-agent'),
  'request.id': http(({ record }) => some(record.requestId)),
  'request.protocol': http(({ record }) => record.protocol),
  'request.duration': ({ record }) => record.durationMs,
  'request.size': ({ record }) => record.requestBodyBytes,
  'request.total_size': ({ record }) => record.requestBodyBytes + record.requestHeaderBytes,
  'response.code': ({ record }) => (record.status === 0 ? undefined : record.status),
  'response.code_details': ({ record }) => some(record.details),
  'response.flags': ({ record }) => record.responseFlags.split(',').reduce((bits, flag) => bits + (BITS.get(flag) ?? 0), 0),
  // Of all requests, gRPC or not.
  'response.grpc_status': ({ record }) => {
    const status = toldGrpcStatus(record.grpcStatus, record.status);
    return status === '' ? undefined : Number(status);
  },
  'response.headers': http((source) => ({ get: (name) => source.response(name) })),
  'response.size': ({ record }) => record.responseBodyBytes,
  'response.total_size': ({ record }) => record.responseBodyBytes + record.responseHeaderBytes,
  'response.backend_latency': ({ record }) => (record.tryMs < 0 ? undefined : record.tryMs),
  // Certificates of the mesh name who has them.
  'connection.mtls': ({ record }) => record.tls && record.peer.principal !== undefined,
  'connection.requested_server_name': ({ record }) => record.serverName,
  'connection.uri_san_peer_certificate': ({ record }) => record.peer.principal,
  'source.address': ({ record }) => shownAddress(record.downstreamAddress),
  'source.port': ({ record }) => portOf(record.downstreamAddress),
  'destination.address': ({ record }) => shownAddress(record.localAddress),
  'destination.port': ({ record }) => portOf(record.localAddress),
  'upstream.address': ({ record }) => some(record.upstreamAddress),
  'upstream.port': ({ record }) => portOf(record.upstreamAddress),
  'upstream.local_address': ({ record }) => some(record.upstreamLocalAddress),
  'upstream.transport_failure_reason': ({ record }) => record.transportFailure ?? '',
  'upstream.request_attempt_count': ({ record }) => record.attempts,
  'xds.cluster_name': ({ record }) => record.cluster?.name,
  'xds.cluster_metadata': ({ record }) => metadata(record.cluster),
  'xds.route_name': ({ record }) => record.route?.name,
  'xds.route_metadata': ({ record }) => metadata(record.route),
  'xds.virtual_host_name': ({ record }) => some(record.virtualHost),
  'xds.upstream_host_metadata': ({ record }) => metadata(record.endpoint),
};

function pseudoHeader({ record }: HeaderValueSource, name: string): string | undefined {
  return name === ':method' ? record.method : name === ':path' ? record.path : name === ':authority' || name === 'host' ? record.authority : undefined;
}

const attributes: CelAttributes<HeaderValueSource> = (name) => (Object.hasOwn(ATTRIBUTES, name) ? ATTRIBUTES[name as CelAttribute] : undefined);

/** What an expression of a format says of a request; undefined where it cannot be evaluated. @throws CelError */
export function compileLogValue(expression: string): (source: HeaderValueSource) => unknown {
  return compileCel(expression, attributes);
}

/** Whether a request passes the filter; an expression that cannot be evaluated for it lets it not, as in Envoy. @throws CelError */
export function compileLogFilter(expression: string): (source: HeaderValueSource) => boolean {
  const evaluate = compileCel(expression, attributes);
  return (source) => evaluate(source) === true;
}

/** The value of a metric's tag, a text where it is the same for all; what has none is `unknown`, as in Istio. @throws CelError */
export function compileTag(expression: string): string | ((source: HeaderValueSource) => string) {
  const evaluate = compileCel(expression, attributes);
  const text = (value: CelValue): string => (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : 'unknown');
  return /^\s*('[^'\\]*'|"[^"\\]*")\s*$/.test(expression) ? expression.trim().slice(1, -1) : (source) => text(evaluate(source));
}

// Client status (CSDS): what every connected proxy was sent, and whether it took it, as any xDS tool can ask for it.

import { status } from '@grpc/grpc-js';
import type { Server, ServerDuplexStream, ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { ClientResourceStatus } from '@weft/mesh-core/gen/envoy/admin/v3/config_dump_shared_pb';
import { ClientStatusRequestSchema, ClientStatusResponseSchema, ConfigStatus } from '@weft/mesh-core/gen/envoy/service/status/v3/csds_pb';
import type { ClientConfigSchema, ClientStatusRequest } from '@weft/mesh-core/gen/envoy/service/status/v3/csds_pb';
import type { StringMatcher } from '@weft/mesh-core/gen/envoy/type/matcher/v3/string_pb';
import { redacted } from './config-dump.ts';
import type { ProxyConnection } from './proxy-connection.ts';

type Stream = ServerDuplexStream<Buffer, Buffer>;
type Unary = ServerUnaryCall<Buffer, Buffer>;
const SERVICE = '/envoy.service.status.v3.ClientStatusDiscoveryService';
const pass = (bytes: Buffer): Buffer => bytes;
const bytesOnly = { requestSerialize: pass, requestDeserialize: pass, responseSerialize: pass, responseDeserialize: pass };

class Refused extends Error {
  readonly code: status;

  constructor(code: status, message: string) {
    super(message);
    this.code = code;
  }
}

/** Serves ClientStatusDiscoveryService. `visible` gives the connections a caller may see; rejects when it may see none at all. */
export function addClientStatus(server: Server, visible: (call: Stream | Unary) => Promise<readonly ProxyConnection[]>): void {
  const answer = async (call: Stream | Unary, bytes: Buffer): Promise<Buffer> => {
    let request: ClientStatusRequest;
    try {
      request = fromBinary(ClientStatusRequestSchema, bytes);
    } catch (error) {
      throw new Refused(status.INVALID_ARGUMENT, `not a client status request: ${String(error)}`);
    }
    const matches = request.nodeMatchers.map(({ nodeId, nodeMetadatas }) => {
      if (nodeMetadatas.length > 0) throw new Refused(status.UNIMPLEMENTED, 'node_matchers.node_metadatas is not supported; match by node_id');
      return nodeId === undefined ? () => true : stringMatch(nodeId);
    });
    const connections = await visible(call).catch((error: unknown) => {
      throw new Refused(status.PERMISSION_DENIED, error instanceof Error ? error.message : String(error));
    });
    const config = connections
      .filter(({ node }) => matches.length === 0 || matches.some((match) => match(node.id)))
      .map((connection) => clientConfig(connection, !request.excludeResourceContents));
    return Buffer.from(toBinary(ClientStatusResponseSchema, create(ClientStatusResponseSchema, { config })));
  };
  const failure = (error: unknown): { code: status; details: string } =>
    error instanceof Refused ? { code: error.code, details: error.message } : { code: status.INTERNAL, details: String(error) };

  server.addService(
    {
      StreamClientStatus: { path: `${SERVICE}/StreamClientStatus`, requestStream: true, responseStream: true, ...bytesOnly },
      FetchClientStatus: { path: `${SERVICE}/FetchClientStatus`, requestStream: false, responseStream: false, ...bytesOnly },
    },
    {
      StreamClientStatus: (call: Stream) => {
        // One answer at a time, in order: a caller cannot pile up dumps.
        call.on('data', (bytes: Buffer) => {
          call.pause();
          answer(call, bytes).then(
            (response) => {
              call.write(response);
              call.resume();
            },
            (error: unknown) => call.emit('error', failure(error)),
          );
        });
        call.on('end', () => call.end());
        call.on('error', () => undefined);
      },
      FetchClientStatus: (call: Unary, callback: sendUnaryData<Buffer>) => {
        answer(call, call.request).then(
          (response) => callback(null, response),
          (error: unknown) => callback(failure(error)),
        );
      },
    },
  );
}

function clientConfig(connection: ProxyConnection, withContents: boolean): MessageInitShape<typeof ClientConfigSchema> {
  const { node } = connection;
  const genericXdsConfigs = connection.resourceStates().map(({ typeUrl, name, resource, state, at, nack }) => ({
    typeUrl,
    name,
    ...(resource === undefined ? {} : { versionInfo: resource.version }),
    ...(resource === undefined || !withContents ? {} : { xdsConfig: { typeUrl, value: redacted(resource) } }),
    ...(at === undefined ? {} : { lastUpdated: timestampFromMs(at) }),
    ...STATES[state],
    ...(nack === undefined ? {} : { errorState: { details: nack.message, lastUpdateAttempt: timestampFromMs(nack.at), versionInfo: resource?.version ?? '' } }),
  }));
  return {
    node: {
      id: node.id,
      cluster: node.labels['app'] ?? node.workload,
      userAgentName: node.dataPlane,
      metadata: { NAMESPACE: node.namespace, WORKLOAD_NAME: node.workload },
    },
    genericXdsConfigs,
  };
}

const STATES = {
  synced: { configStatus: ConfigStatus.SYNCED, clientStatus: ClientResourceStatus.ACKED },
  sent: { configStatus: ConfigStatus.STALE, clientStatus: ClientResourceStatus.REQUESTED },
  'not-sent': { configStatus: ConfigStatus.NOT_SENT, clientStatus: ClientResourceStatus.REQUESTED },
  missing: { configStatus: ConfigStatus.NOT_SENT, clientStatus: ClientResourceStatus.DOES_NOT_EXIST },
  refused: { configStatus: ConfigStatus.ERROR, clientStatus: ClientResourceStatus.NACKED },
} as const;

function stringMatch({ matchPattern, ignoreCase }: StringMatcher): (text: string) => boolean {
  const fold = (text: string): string => (ignoreCase ? text.toLowerCase() : text);
  switch (matchPattern.case) {
    case 'exact':
      return (text) => fold(text) === fold(matchPattern.value);
    case 'prefix':
      return (text) => fold(text).startsWith(fold(matchPattern.value));
    case 'suffix':
      return (text) => fold(text).endsWith(fold(matchPattern.value));
    case 'contains':
      return (text) => fold(text).includes(fold(matchPattern.value));
    default:
      // A regular expression of a stranger is not run here.
      throw new Refused(status.UNIMPLEMENTED, 'node_matchers.node_id takes exact, prefix, suffix and contains');
  }
}

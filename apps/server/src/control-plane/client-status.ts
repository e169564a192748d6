// Client status (CSDS): what every connected proxy was sent, and whether it took it, as any xDS tool can ask for it.

import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { ClientResourceStatus } from '@weft/mesh-core/gen/envoy/admin/v3/config_dump_shared_pb';
import { ClientStatusRequestSchema, ClientStatusResponseSchema, ConfigStatus } from '@weft/mesh-core/gen/envoy/service/status/v3/csds_pb';
import type { ClientConfigSchema, ClientStatusRequest } from '@weft/mesh-core/gen/envoy/service/status/v3/csds_pb';
import type { StringMatcher } from '@weft/mesh-core/gen/envoy/type/matcher/v3/string_pb';
import { redacted } from './config-dump.ts';
import { CODE, GrpcError, messageOf } from './grpc/codes.ts';
import { unary } from './grpc/grpc-call.ts';
import type { GrpcCall, GrpcMethod } from './grpc/grpc-call.ts';
import type { ProxyConnection } from './proxy-connection.ts';

const SERVICE = '/envoy.service.status.v3.ClientStatusDiscoveryService';

/** Serves ClientStatusDiscoveryService. `visible` gives the connections a caller may see; rejects when it may see none at all. */
export function clientStatusMethods(visible: (call: GrpcCall) => Promise<readonly ProxyConnection[]>): [string, GrpcMethod][] {
  const answer = async (call: GrpcCall, bytes: Uint8Array): Promise<Uint8Array> => {
    let request: ClientStatusRequest;
    try {
      request = fromBinary(ClientStatusRequestSchema, bytes);
    } catch (error) {
      throw new GrpcError(CODE.invalidArgument, `not a client status request: ${String(error)}`);
    }
    const matches = request.nodeMatchers.map(({ nodeId, nodeMetadatas }) => {
      if (nodeMetadatas.length > 0) throw new GrpcError(CODE.unimplemented, 'node_matchers.node_metadatas is not supported; match by node_id');
      return nodeId === undefined ? () => true : stringMatch(nodeId);
    });
    const connections = await visible(call).catch((error: unknown) => {
      throw new GrpcError(CODE.permissionDenied, messageOf(error));
    });
    const config = connections
      .filter(({ node }) => matches.length === 0 || matches.some((match) => match(node.id)))
      .map((connection) => clientConfig(connection, !request.excludeResourceContents));
    return toBinary(ClientStatusResponseSchema, create(ClientStatusResponseSchema, { config }));
  };
  const stream: GrpcMethod = (call) => ({
    // One answer at a time, in order: a caller cannot pile up dumps.
    message: (bytes) => {
      call.pause();
      answer(call, bytes).then(
        (response) => {
          call.write([response]);
          if (!call.congested) call.resume();
        },
        (error: unknown) => call.fail(error),
      );
    },
    drained: () => call.resume(),
    ended: () => call.end(),
  });
  return [
    [`${SERVICE}/StreamClientStatus`, stream],
    [`${SERVICE}/FetchClientStatus`, unary(answer)],
  ];
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
      throw new GrpcError(CODE.unimplemented, 'node_matchers.node_id takes exact, prefix, suffix and contains');
  }
}

// Request counts from an Envoy without the stats access logger: its gRPC access log, with the same labels as custom tags.
// The server makes metrics of the entries (apps/server/src/telemetry/access-log-intake.ts).

import type { JsonObject } from '@bufbuild/protobuf';
import type { ProxyNode } from '../model/index.ts';
import { any } from './common.ts';
import { type PeerOptions, peerTags } from './stats-logger.ts';

const CONFIG = 'envoy.extensions.access_loggers.grpc.v3';

export function httpAccessLogService(node: ProxyNode, clusterId: string, options: PeerOptions): JsonObject[] {
  const config = {
    commonConfig: commonConfig(node, clusterId, options),
    additionalRequestHeadersToLog: ['content-type'],
    additionalResponseHeadersToLog: ['grpc-status'],
    additionalResponseTrailersToLog: ['grpc-status'],
  };
  return [{ name: 'envoy.access_loggers.http_grpc', typedConfig: any(`${CONFIG}.HttpGrpcAccessLogConfig`, config) }];
}

export function tcpAccessLogService(node: ProxyNode, clusterId: string, options: PeerOptions): JsonObject[] {
  return [
    { name: 'envoy.access_loggers.tcp_grpc', typedConfig: any(`${CONFIG}.TcpGrpcAccessLogConfig`, { commonConfig: commonConfig(node, clusterId, options) }) },
  ];
}

function commonConfig(node: ProxyNode, clusterId: string, options: PeerOptions): JsonObject {
  return {
    logName: 'istio',
    transportApiVersion: 'V3',
    grpcService: { envoyGrpc: { clusterName: 'weft-otlp' } },
    bufferFlushInterval: '1s',
    customTags: Object.entries(peerTags(node, clusterId, options)).flatMap(([tag, format]) => customTag(tag, format)),
  };
}

const METADATA = /^%(UPSTREAM|DYNAMIC|CLUSTER)_METADATA\(([^:]+):([^)]+)\)%$/;
const KIND: Readonly<Record<string, JsonObject>> = { UPSTREAM: { host: {} }, DYNAMIC: { request: {} }, CLUSTER: { cluster: {} } };

/** What a format string of the stats logger says, as a custom tag; principals of the connection are in every entry anyway. */
function customTag(tag: string, format: string): JsonObject[] {
  const [, kind = '', key = '', field = ''] = METADATA.exec(format) ?? [];
  if (kind !== '') return [{ tag, metadata: { kind: KIND[kind] ?? {}, metadataKey: { key, path: [{ key: field }] } } }];
  return format === '' || format.startsWith('%') ? [] : [{ tag, literal: { value: format } }];
}

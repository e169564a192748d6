// Counts from Envoy's gRPC access log, with the labels as custom tags: all of them where an Envoy has no stats access logger,
// else those of gRPC messages, which that logger cannot read. The server makes metrics of the entries
// (apps/server/src/telemetry/access-log-intake.ts); the log's name says which.

import type { JsonObject } from '@bufbuild/protobuf';
import type { IstioMetric } from '../config/index.ts';
import type { ProxyNode } from '../model/index.ts';
import { any } from './common.ts';
import { IS_GRPC, type StatsOptions, peerTags } from './stats-logger.ts';
import { METRIC_NAMES } from './telemetry.ts';

const CONFIG = 'envoy.extensions.access_loggers.grpc.v3';

const HTTP: readonly IstioMetric[] = ['REQUEST_COUNT', 'REQUEST_DURATION', 'REQUEST_SIZE', 'RESPONSE_SIZE'];
const MESSAGES: readonly IstioMetric[] = ['GRPC_REQUEST_MESSAGES', 'GRPC_RESPONSE_MESSAGES'];
const TCP: readonly IstioMetric[] = ['TCP_OPENED_CONNECTIONS', 'TCP_CLOSED_CONNECTIONS', 'TCP_SENT_BYTES', 'TCP_RECEIVED_BYTES'];

export const GRPC_STATS = 'envoy.filters.http.grpc_stats';

/** Whether a manager needs the filter that counts gRPC messages. */
export function countsMessages({ metrics }: Pick<StatsOptions, 'metrics'>): boolean {
  return MESSAGES.some((metric) => !metrics.disabled.has(metric));
}

export function httpAccessLogService(node: ProxyNode, clusterId: string, options: StatsOptions): JsonObject[] {
  return httpLog(node, clusterId, options, [...HTTP, ...MESSAGES]);
}

/** The messages of gRPC requests only. */
export function messageAccessLogService(node: ProxyNode, clusterId: string, options: StatsOptions): JsonObject[] {
  const filter = { headerFilter: { header: IS_GRPC } };
  return httpLog(node, clusterId, options, MESSAGES).map((log) => ({ ...log, filter }));
}

function httpLog(node: ProxyNode, clusterId: string, options: StatsOptions, metrics: readonly IstioMetric[]): JsonObject[] {
  const common = commonConfig(node, clusterId, options, metrics);
  if (common === undefined) return [];
  const config = {
    commonConfig: { ...common, filterStateObjectsToLog: [GRPC_STATS] },
    additionalRequestHeadersToLog: ['content-type'],
    additionalResponseHeadersToLog: ['grpc-status'],
    additionalResponseTrailersToLog: ['grpc-status'],
  };
  return [{ name: 'envoy.access_loggers.http_grpc', typedConfig: any(`${CONFIG}.HttpGrpcAccessLogConfig`, config) }];
}

export function tcpAccessLogService(node: ProxyNode, clusterId: string, options: StatsOptions): JsonObject[] {
  const common = commonConfig(node, clusterId, options, TCP);
  return common === undefined
    ? []
    : [{ name: 'envoy.access_loggers.tcp_grpc', typedConfig: any(`${CONFIG}.TcpGrpcAccessLogConfig`, { commonConfig: common }) }];
}

/** Undefined when a Telemetry has switched all these metrics off. */
function commonConfig(node: ProxyNode, clusterId: string, options: StatsOptions, metrics: readonly IstioMetric[]): JsonObject | undefined {
  const counted = metrics.filter((metric) => !options.metrics.disabled.has(metric));
  if (counted.length === 0) return undefined;
  return {
    logName: counted.map((metric) => METRIC_NAMES[metric]).join(','),
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

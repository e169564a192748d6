// How a proxy's requests and connections are counted, by what the proxy can.

import type { JsonObject } from '@bufbuild/protobuf';
import type { ProxyNode } from '../model/index.ts';
import { GRPC_STATS, countsMessages, httpAccessLogService, messageAccessLogService, tcpAccessLogService } from './access-log-service.ts';
import { any, isAtLeast } from './common.ts';
import { type StatsOptions, statsLoggers, tcpStatsLoggers } from './stats-logger.ts';

export type TelemetryMode = 'embedded' | 'stats' | 'als' | 'none';

/** The proxy itself, Envoy's stats access logger (from 1.37 on), Envoy's gRPC access log, or nobody. */
export function telemetryMode(node: ProxyNode): TelemetryMode {
  if (node.dataPlane !== 'envoy') return node.dataPlane === 'embedded' ? 'embedded' : 'none';
  return node.telemetry ?? (isAtLeast(node.version, [1, 37]) ? 'stats' : 'als');
}

/** Access loggers of a connection manager that count its requests. */
export function requestCounters(node: ProxyNode, clusterId: string, options: StatsOptions): JsonObject[] {
  const mode = telemetryMode(node);
  if (mode === 'stats') return [...statsLoggers(node, clusterId, options), ...messageAccessLogService(node, clusterId, options)];
  return mode === 'als' ? httpAccessLogService(node, clusterId, options) : [];
}

/** The HTTP filter that counts gRPC messages, where an Envoy needs it. */
export function messageCounter(node: ProxyNode, options: Pick<StatsOptions, 'metrics'>): JsonObject[] {
  if (node.dataPlane !== 'envoy' || !countsMessages(options)) return [];
  return [{ name: GRPC_STATS, typedConfig: any('envoy.extensions.filters.http.grpc_stats.v3.FilterConfig', { emitFilterState: true }) }];
}

/** Access loggers of a tcp_proxy that count its connections. */
export function connectionCounters(node: ProxyNode, clusterId: string, options: StatsOptions): JsonObject[] {
  return telemetryMode(node) === 'stats' ? tcpStatsLoggers(node, clusterId, options) : tcpAccessLogService(node, clusterId, options);
}

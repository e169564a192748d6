// The parts of a cluster a DestinationRule's traffic policy decides, as Istio translates them (cluster_traffic_policy.go).

import type { JsonObject } from '@bufbuild/protobuf';
import { type TrafficPolicySpec, durationMs } from '../config/index.ts';
import type { MeshSettings, ProxyNode } from '../model/index.ts';
import { any, seconds, without } from './common.ts';
import type { ServicePort } from './mesh.ts';

const UNLIMITED = 4_294_967_295;
export const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const PEAK_EWMA = 'envoy.extensions.load_balancing_policies.peak_ewma.v3.PeakEwma';

/**
 * What holds for a port of a subset: the rule's settings for the port in place of the rule's own (what they leave out goes to the
 * defaults, not to the rule's), then each block the subset sets, then the subset's settings for the port, again as a whole.
 */
export function effectivePolicy(rule: TrafficPolicySpec | undefined, subset: TrafficPolicySpec | undefined, port: number): TrafficPolicySpec {
  const base = rule === undefined ? {} : ofPort(rule, port);
  if (subset === undefined) return base;
  const own = ofPort(subset, port);
  if (rule === undefined) return own;
  const { connectionPool, outlierDetection, loadBalancer, tls, portLevelSettings: _, ...rest } = { ...base, ...own };
  const replaced = own === subset ? { connectionPool, outlierDetection, loadBalancer, tls } : own;
  return { ...rest, ...replaced } as TrafficPolicySpec;
}

/** A rule without a word of localities leaves them to the mesh. */
export function withMeshLocality(policy: TrafficPolicySpec, { localityLbSetting }: MeshSettings): TrafficPolicySpec {
  const { loadBalancer } = policy;
  if (localityLbSetting === undefined || loadBalancer?.localityLbSetting !== undefined || loadBalancer?.zoneAwareLbSetting !== undefined) return policy;
  return { ...policy, loadBalancer: { ...loadBalancer, localityLbSetting } };
}

function ofPort(policy: TrafficPolicySpec, port: number): TrafficPolicySpec {
  const level = policy.portLevelSettings?.find((p) => p.port.number === port);
  if (level === undefined) return policy;
  const { port: _, ...blocks } = level;
  return blocks;
}

export function ms(duration: string | undefined): number | undefined {
  return duration === undefined ? undefined : durationMs(duration);
}

/** `peakEwma` takes the place of least request. */
export function loadBalancer(policy: TrafficPolicySpec, dataPlane: ProxyNode['dataPlane'], peakEwma: boolean): JsonObject {
  const { simple, consistentHash: hash, warmup, warmupDurationSecs } = policy.loadBalancer ?? {};
  if (hash !== undefined) {
    if (hash.maglev !== undefined) return { lbPolicy: 'MAGLEV', maglevLbConfig: { tableSize: String(hash.maglev.tableSize ?? 65_537) } };
    return { lbPolicy: 'RING_HASH', ringHashLbConfig: { minimumRingSize: String(hash.ringHash?.minimumRingSize || hash.minimumRingSize || 1_024) } };
  }
  // gRPC's own clients know round robin; least request is switched off in them by default.
  if (dataPlane === 'grpc') return { lbPolicy: 'ROUND_ROBIN' };
  const slowStart: JsonObject | undefined =
    warmup !== undefined
      ? {
          slowStartWindow: seconds(ms(warmup.duration) ?? 0),
          // Istio's runtime key: one that is never set.
          aggression: { defaultValue: warmup.aggression ?? 1, runtimeKey: '(' },
          minWeightPercent: { value: warmup.minimumPercent ?? 10 },
        }
      : warmupDurationSecs !== undefined
        ? { slowStartWindow: seconds(ms(warmupDurationSecs) ?? 0) }
        : undefined;
  const config = slowStart === undefined ? undefined : { slowStartConfig: slowStart };
  switch (simple) {
    case 'ROUND_ROBIN':
      return without({ lbPolicy: 'ROUND_ROBIN', roundRobinLbConfig: config });
    case 'RANDOM':
      return { lbPolicy: 'RANDOM' };
    case 'PASSTHROUGH':
    case 'LEAST_CONN':
    case 'LEAST_REQUEST':
    case 'UNSPECIFIED':
    case undefined:
      return peakEwma ? peakEwmaPolicy(config) : without({ lbPolicy: 'LEAST_REQUEST', leastRequestLbConfig: config });
  }
}

/** Envoy's own builds have no such policy: they pass over it to the next. */
function peakEwmaPolicy(leastRequest: JsonObject | undefined): JsonObject {
  const policy = (name: string, typedConfig: JsonObject): JsonObject => ({
    typedExtensionConfig: { name: `envoy.load_balancing_policies.${name}`, typedConfig },
  });
  return {
    loadBalancingPolicy: {
      policies: [
        policy('peak_ewma', any('xds.type.v3.TypedStruct', { typeUrl: `type.googleapis.com/${PEAK_EWMA}`, value: { decayTime: '10s' } })),
        policy('least_request', any('envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest', leastRequest)),
      ],
    },
  };
}

/** Panic is off unless the rule asks for it; localities are weighted where the rule sets their shares or their order. */
export function commonLbConfig(policy: TrafficPolicySpec): JsonObject {
  const locality = policy.loadBalancer?.localityLbSetting;
  const enabled = locality !== undefined && locality.enabled !== false;
  const ordered = policy.outlierDetection !== undefined && (locality?.failover !== undefined || locality?.failoverPriority !== undefined);
  const zones = policy.loadBalancer?.zoneAwareLbSetting;
  return without({
    healthyPanicThreshold: { value: policy.outlierDetection?.minHealthPercent ?? 0 },
    localityWeightedLbConfig: enabled && (ordered || locality.distribute !== undefined) ? {} : undefined,
    zoneAwareLbConfig:
      zones === undefined
        ? undefined
        : without({
            routingEnabled: zones.enabled === false ? { value: 0 } : undefined,
            minClusterSize: zones.minClusterSize === undefined ? undefined : String(zones.minClusterSize),
          }),
  });
}

export function thresholds(policy: TrafficPolicySpec, dataPlane: ProxyNode['dataPlane']): JsonObject {
  const pool = policy.connectionPool;
  const budget = policy.retryBudget;
  return without({
    maxConnections: pool?.tcp?.maxConnections || UNLIMITED,
    maxPendingRequests: pool?.http?.http1MaxPendingRequests || UNLIMITED,
    maxRequests: pool?.http?.http2MaxRequests || UNLIMITED,
    maxRetries: pool?.http?.maxRetries || UNLIMITED,
    // istio.io's circuit breaking task reads what is left, though Istio asks Envoy for it no more; embedded proxies always tell.
    trackRemaining: dataPlane === 'envoy' ? true : undefined,
    retryBudget:
      budget === undefined
        ? undefined
        : without({
            budgetPercent: { value: budget.percent ?? 20 },
            minRetryConcurrency: budget.minRetryConcurrency || 3,
            budgetInterval: (ms(budget.budgetInterval) ?? 0) > 0 ? seconds(ms(budget.budgetInterval) ?? 0) : undefined,
          }),
  });
}

export function outlier(policy: TrafficPolicySpec): JsonObject | undefined {
  const o = policy.outlierDetection;
  if (o === undefined) return undefined;
  const split = o.splitExternalLocalOriginErrors === true;
  const enforcing = (count: number | undefined): number | undefined => (count === undefined ? undefined : count > 0 ? 100 : 0);
  const local = split ? o.consecutiveLocalOriginFailures || undefined : undefined;
  return without({
    consecutive5xx: o.consecutive5xxErrors,
    enforcingConsecutive5xx: enforcing(o.consecutive5xxErrors),
    consecutiveGatewayFailure: o.consecutiveGatewayErrors,
    enforcingConsecutiveGatewayFailure: enforcing(o.consecutiveGatewayErrors),
    interval: o.interval === undefined ? undefined : seconds(ms(o.interval) ?? 10_000),
    baseEjectionTime: o.baseEjectionTime === undefined ? undefined : seconds(ms(o.baseEjectionTime) ?? 30_000),
    maxEjectionPercent: o.maxEjectionPercent || undefined,
    enforcingSuccessRate: 0,
    splitExternalLocalOriginErrors: split || undefined,
    consecutiveLocalOriginFailure: local,
    enforcingConsecutiveLocalOriginFailure: local === undefined ? undefined : 100,
    enforcingLocalOriginSuccessRate: split ? 0 : undefined,
  });
}

export interface ProtocolChoice {
  /** Every connection is TLS of the mesh, whose ALPN settles on HTTP/2 or HTTP/1.1. */
  negotiated: boolean;
  upstreamHttp: JsonObject | undefined;
}

/** `auto_sni` and `auto_san_validation` come from the TLS settings: see upstream-tls.ts. */
export function httpOptions(port: ServicePort, policy: TrafficPolicySpec, { negotiated, upstreamHttp: upstream }: ProtocolChoice): JsonObject {
  const { common, http2: own } = poolOptions(policy);
  // Upgrades over HTTP/2 (RFC 8441).
  const http2 = { allowConnect: true, ...own };
  const protocol = usesClientProtocol(port, policy)
    ? { useDownstreamProtocolConfig: { httpProtocolOptions: {}, http2ProtocolOptions: http2 } }
    : negotiated
      ? { autoConfig: { httpProtocolOptions: {}, http2ProtocolOptions: http2 } }
      : { explicitHttpConfig: isHttp2(port, policy) ? { http2ProtocolOptions: http2 } : { httpProtocolOptions: {} } };
  const codes = policy.outlierDetection?.outlierDetectionHttpErrorCodes ?? [];
  const statuses = { name: ':status', stringMatch: { safeRegex: { regex: codes.join('|') } } };
  return any(HTTP_OPTIONS, {
    ...protocol,
    // Istio's API has these codes, its control plane does not send them yet.
    ...(codes.length === 0 ? {} : { outlierDetection: { errorMatcher: { httpResponseHeadersMatch: { headers: [statuses] } } } }),
    ...common,
    ...(upstream === undefined ? {} : { upstreamHttpProtocolOptions: upstream }),
  });
}

/** What a connection pool says of HTTP connections: fields of HttpProtocolOptions, and of HTTP/2 among them. */
export function poolOptions(policy: TrafficPolicySpec): { common: JsonObject; http2: JsonObject } {
  const { tcp, http } = policy.connectionPool ?? {};
  const idle = ms(http?.idleTimeout) ?? ms(tcp?.idleTimeout);
  const common = without({
    idleTimeout: idle === undefined ? undefined : seconds(idle),
    maxRequestsPerConnection: http?.maxRequestsPerConnection || undefined,
    maxConnectionDuration: tcp?.maxConnectionDuration === undefined ? undefined : seconds(ms(tcp.maxConnectionDuration) ?? 0),
  });
  const keepalive = http?.http2KeepAlive;
  const http2 = without({
    maxConcurrentStreams: http?.maxConcurrentStreams || undefined,
    connectionKeepalive: keepalive === undefined ? undefined : { interval: seconds(ms(keepalive.interval) ?? 0), timeout: seconds(ms(keepalive.timeout) ?? 0) },
  });
  return { common: Object.keys(common).length === 0 ? {} : { commonHttpProtocolOptions: common }, http2 };
}

export function usesClientProtocol(port: ServicePort, policy: TrafficPolicySpec): boolean {
  const http = policy.connectionPool?.http;
  return http?.useClientProtocol === true || (port.protocol === 'auto' && http?.h2UpgradePolicy !== 'UPGRADE');
}

export function isHttp2(port: ServicePort, policy: TrafficPolicySpec): boolean {
  const http = policy.connectionPool?.http;
  return ['http2', 'grpc', 'grpc-web'].includes(port.protocol) || (http?.h2UpgradePolicy === 'UPGRADE' && http.useClientProtocol !== true);
}

export function connectionOptions(policy: TrafficPolicySpec): JsonObject | undefined {
  const keepalive = policy.connectionPool?.tcp?.tcpKeepalive;
  if (keepalive === undefined) return undefined;
  const whole = (duration: string | undefined): number | undefined => (duration === undefined ? undefined : Math.round((ms(duration) ?? 0) / 1_000));
  return {
    tcpKeepalive: without({
      keepaliveProbes: keepalive.probes || undefined,
      keepaliveTime: whole(keepalive.time),
      keepaliveInterval: whole(keepalive.interval),
    }),
  };
}

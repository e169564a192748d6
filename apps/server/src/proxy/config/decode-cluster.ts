// Cluster and ClusterLoadAssignment.

import { decodeAddress, decodeMetadata, decodeStringMatch } from './decode-common.ts';
import type { Fields } from './fields.ts';
import type { ClusterConfig, Endpoint, LoadAssignment, OutlierConfig, UpstreamTls } from './model.ts';

const DISCOVERY: Readonly<Record<string, ClusterConfig['discovery']>> = {
  EDS: 'eds',
  STATIC: 'static',
  STRICT_DNS: 'strict-dns',
  LOGICAL_DNS: 'logical-dns',
  ORIGINAL_DST: 'original-dst',
};
const LB: Readonly<Record<string, ClusterConfig['lb']>> = {
  ROUND_ROBIN: 'round-robin',
  LEAST_REQUEST: 'least-request',
  RANDOM: 'random',
  RING_HASH: 'ring-hash',
  MAGLEV: 'maglev',
  CLUSTER_PROVIDED: 'original-dst',
};
/** What the balancer of this proxy can do today; the rest is refused, not approximated. */
const LB_DONE = new Set<ClusterConfig['lb']>(['round-robin', 'least-request', 'random']);

export function decodeClusterFields(fields: Fields): ClusterConfig {
  const name = fields.text('name');
  const discovery = DISCOVERY[fields.text('type', 'STATIC')] ?? 'static';
  const lb = LB[fields.text('lbPolicy', 'ROUND_ROBIN')] ?? 'round-robin';
  if (!LB_DONE.has(lb)) fields.problem('lbPolicy', `${lb} is not supported`);
  const eds = fields.object('edsClusterConfig');
  const assignment = fields.object('loadAssignment');
  const threshold = fields.object('circuitBreakers')?.list('thresholds')[0];
  const budget = threshold?.object('retryBudget');
  const outlier = fields.object('outlierDetection');
  const common = fields.object('commonLbConfig');
  const tls = decodeTransportSocket(fields.object('transportSocket'));
  const cluster: ClusterConfig = {
    name,
    discovery,
    edsName: eds?.text('serviceName') || name,
    ...(assignment === undefined ? {} : { endpoints: decodeLoadAssignment(assignment) }),
    connectTimeoutMs: fields.ms('connectTimeout', 5_000),
    lb,
    http: decodeHttpOptions(fields.object('typedExtensionProtocolOptions')),
    circuitBreaker: {
      maxConnections: threshold?.number('maxConnections', 1_024) ?? 1_024,
      maxPendingRequests: threshold?.number('maxPendingRequests', 1_024) ?? 1_024,
      maxRequests: threshold?.number('maxRequests', 1_024) ?? 1_024,
      maxRetries: threshold?.number('maxRetries', 3) ?? 3,
      ...(budget === undefined
        ? {}
        : { retryBudget: { percent: budget.object('budgetPercent')?.number('value') ?? 20, minConcurrency: budget.number('minRetryConcurrency', 3) } }),
    },
    ...(outlier === undefined ? {} : { outlier: decodeOutlier(outlier) }),
    panicThresholdPercent: common?.object('healthyPanicThreshold')?.number('value') ?? (common?.has('healthyPanicThreshold') === true ? 0 : 50),
    tlsMatches: fields.list('transportSocketMatches').map((m) => {
      const matched = decodeTransportSocket(m.object('transportSocket'));
      return { name: m.text('name'), endpoint: m.raw('match') as Record<string, string>, ...(matched === undefined ? {} : { tls: matched }) };
    }),
    ...(tls === undefined ? {} : { tls }),
    metadata: decodeMetadata(fields),
  };
  fields.ignore(
    'altStatName',
    'respectDnsTtl',
    'dnsLookupFamily',
    'dnsRefreshRate',
    'ringHashLbConfig',
    'maglevLbConfig',
    'upstreamConnectionOptions',
    'perConnectionBufferLimitBytes',
    'leastRequestLbConfig',
    'roundRobinLbConfig',
  );
  fields.end();
  return cluster;
}

function decodeHttpOptions(extensions: Fields | undefined): ClusterConfig['http'] {
  const options = extensions?.object('envoy.extensions.upstreams.http.v3.HttpProtocolOptions');
  const common = options?.object('commonHttpProtocolOptions');
  const explicit = options?.object('explicitHttpConfig');
  return {
    protocol:
      options?.has('autoConfig') === true
        ? 'auto'
        : options?.has('useDownstreamProtocolConfig') === true
          ? 'downstream'
          : explicit?.has('http2ProtocolOptions') === true
            ? 'http2'
            : 'http1',
    idleTimeoutMs: common?.ms('idleTimeout', 3_600_000) ?? 3_600_000,
    maxRequestsPerConnection: common?.number('maxRequestsPerConnection') ?? 0,
  };
}

function decodeOutlier(fields: Fields): OutlierConfig {
  const baseEjectionMs = fields.ms('baseEjectionTime', 30_000);
  const outlier = {
    consecutive5xx: fields.number('consecutive5xx', 5),
    enforcingConsecutive5xx: fields.number('enforcingConsecutive5xx', 100),
    consecutiveGatewayFailure: fields.number('consecutiveGatewayFailure', 5),
    enforcingConsecutiveGatewayFailure: fields.number('enforcingConsecutiveGatewayFailure', 0),
    splitLocalOrigin: fields.flag('splitExternalLocalOriginErrors'),
    consecutiveLocalOriginFailure: fields.number('consecutiveLocalOriginFailure', 5),
    enforcingConsecutiveLocalOriginFailure: fields.number('enforcingConsecutiveLocalOriginFailure', 100),
    intervalMs: fields.ms('interval', 10_000),
    baseEjectionMs,
    maxEjectionMs: fields.ms('maxEjectionTime', Math.max(baseEjectionMs, 300_000)),
    maxEjectionPercent: fields.number('maxEjectionPercent', 10),
  };
  if (fields.number('enforcingSuccessRate', 100) !== 0) fields.problem('enforcingSuccessRate', 'ejection by success rate is not supported; send 0');
  fields.ignore('enforcingLocalOriginSuccessRate', 'enforcingFailurePercentage', 'enforcingFailurePercentageLocalOrigin');
  fields.end();
  return outlier;
}

function decodeTransportSocket(fields: Fields | undefined): UpstreamTls | undefined {
  const config = fields?.object('typedConfig');
  if (config === undefined || config.type().endsWith('RawBuffer')) return undefined;
  const context = config.object('commonTlsContext');
  const combined = context?.object('combinedValidationContext');
  const defaults = combined?.object('defaultValidationContext') ?? context?.object('validationContext');
  const certificateSecret = context?.list('tlsCertificateSdsSecretConfigs')[0]?.text('name');
  const validationSecret = (combined?.object('validationContextSdsSecretConfig') ?? context?.object('validationContextSdsSecretConfig'))?.text('name');
  if (context?.has('tlsCertificates') === true || defaults?.has('trustedCa') === true)
    config.problem('commonTlsContext', 'certificates from files are not supported; use SDS');
  return {
    ...(certificateSecret === undefined ? {} : { certificateSecret }),
    ...(validationSecret === undefined ? {} : { validationSecret }),
    sni: config.text('sni'),
    alpn: context?.texts('alpnProtocols') ?? [],
    peerSans: defaults?.list('matchTypedSubjectAltNames').map((san) => decodeStringMatch(san.object('matcher') ?? san)) ?? [],
  };
}

export function decodeLoadAssignment(fields: Fields): LoadAssignment {
  const assignment = {
    clusterName: fields.text('clusterName'),
    localities: fields.list('endpoints').map((group) => {
      const locality = group.object('locality');
      const result = {
        region: locality?.text('region') ?? '',
        zone: locality?.text('zone') ?? '',
        subZone: locality?.text('subZone') ?? '',
        priority: group.number('priority'),
        weight: group.number('loadBalancingWeight', 1),
        endpoints: group.list('lbEndpoints').map(decodeEndpoint),
      };
      group.end();
      return result;
    }),
  };
  fields.ignore('policy');
  fields.end();
  return assignment;
}

const HEALTH: Readonly<Record<string, Endpoint['health']>> = {
  HEALTHY: 'healthy',
  UNHEALTHY: 'unhealthy',
  DRAINING: 'draining',
  TIMEOUT: 'unhealthy',
  DEGRADED: 'degraded',
};

function decodeEndpoint(fields: Fields): Endpoint {
  const { address, port } = decodeAddress(fields.object('endpoint')?.object('address'));
  const endpoint: Endpoint = {
    address,
    port,
    weight: fields.number('loadBalancingWeight', 1),
    health: HEALTH[fields.text('healthStatus')] ?? 'unknown',
    metadata: decodeMetadata(fields),
  };
  fields.end();
  return endpoint;
}

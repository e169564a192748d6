// Cluster.

import { decodeMetadata, decodeStringMatch } from './decode-common.ts';
import { decodeLoadAssignment } from './decode-endpoints.ts';
import { decodeLoadBalancing } from './decode-lb.ts';
import { decodeOutlier } from './decode-outlier.ts';
import type { Fields } from './fields.ts';
import type { ClusterConfig, UpstreamTls } from './model.ts';

const DISCOVERY: Readonly<Record<string, ClusterConfig['discovery']>> = {
  EDS: 'eds',
  STATIC: 'static',
  STRICT_DNS: 'strict-dns',
  LOGICAL_DNS: 'logical-dns',
  ORIGINAL_DST: 'original-dst',
};
export function decodeClusterFields(fields: Fields): ClusterConfig {
  const name = fields.text('name');
  const discovery = DISCOVERY[fields.text('type', 'STATIC')] ?? 'static';
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
    ...decodeLoadBalancing(fields, common),
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
  common?.ignore('updateMergeWindow', 'closeConnectionsOnHostSetChange');
  common?.end();
  fields.ignore('altStatName', 'respectDnsTtl', 'dnsLookupFamily', 'dnsRefreshRate', 'upstreamConnectionOptions', 'perConnectionBufferLimitBytes');
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

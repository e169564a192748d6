// Cluster.

import type { BreakerLimits } from '@weft/mesh-core/traffic';
import { takesProbes } from '../upstream/keepalive.ts';
import { decodeMetadata } from './decode-common.ts';
import { decodeLoadAssignment } from './decode-endpoints.ts';
import { decodeHealthCheck } from './decode-health-check.ts';
import { decodeHttpOptions } from './decode-http-options.ts';
import { decodeLoadBalancing } from './decode-lb.ts';
import { decodeOutlier } from './decode-outlier.ts';
import { decodeTransportSocket } from './decode-upstream-tls.ts';
import type { Fields } from './fields.ts';
import type { ClusterConfig, DnsSettings, TcpKeepalive } from './model.ts';

const DISCOVERY: Readonly<Record<string, ClusterConfig['discovery']>> = {
  EDS: 'eds',
  STATIC: 'static',
  STRICT_DNS: 'strict-dns',
  LOGICAL_DNS: 'logical-dns',
  ORIGINAL_DST: 'original-dst',
};
const FORWARD_PROXY = 'envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig';

export function decodeClusterFields(fields: Fields): ClusterConfig {
  const name = fields.text('name');
  const custom = decodeCustomType(fields.object('clusterType'));
  const discovery = custom?.discovery ?? DISCOVERY[fields.text('type', 'STATIC')] ?? 'static';
  const eds = fields.object('edsClusterConfig');
  const assignment = fields.object('loadAssignment');
  const outlier = fields.object('outlierDetection');
  const [check, ...more] = fields.list('healthChecks');
  if (more.length > 0) fields.problem('healthChecks', 'more than one is not supported');
  const common = fields.object('commonLbConfig');
  const transport = decodeTransportSocket(fields.object('transportSocket'));
  const matches = fields.list('transportSocketMatches').map((m) => {
    const { tls, proxyProtocol } = decodeTransportSocket(m.object('transportSocket'));
    return { match: { name: m.text('name'), endpoint: m.raw('match') as Record<string, string>, ...(tls === undefined ? {} : { tls }) }, proxyProtocol };
  });
  const { proxyProtocol } = fields.has('transportSocket') ? transport : (matches[0] ?? {});
  if (matches.some((m) => m.proxyProtocol !== proxyProtocol)) fields.problem('transportSocketMatches', 'PROXY headers are for all connections or for none');
  if (proxyProtocol !== undefined && check !== undefined) fields.problem('healthChecks', 'are not made with PROXY headers');
  const tcpKeepalive = decodeKeepalive(fields.object('upstreamConnectionOptions'));
  const dns = decodeDns(fields);
  const onDemand = custom ?? (discovery === 'original-dst' ? decodeOriginalDestination(fields) : undefined);
  const cluster: ClusterConfig = {
    name,
    discovery,
    edsName: eds?.text('serviceName') || name,
    ...(assignment === undefined ? {} : { endpoints: decodeLoadAssignment(assignment) }),
    ...(discovery === 'strict-dns' ? { dns } : {}),
    ...(onDemand === undefined ? {} : { onDemand: { idleMs: onDemand.idleMs, maximum: onDemand.maximum } }),
    connectTimeoutMs: fields.ms('connectTimeout', 5_000),
    ...decodeLoadBalancing(fields, common),
    http: decodeHttpOptions(fields.object('typedExtensionProtocolOptions')),
    ...(tcpKeepalive === undefined ? {} : { tcpKeepalive }),
    circuitBreaker: decodeBreakers(fields.object('circuitBreakers')),
    ...(outlier === undefined ? {} : { outlier: decodeOutlier(outlier) }),
    ...(check === undefined ? {} : { healthCheck: decodeHealthCheck(check) }),
    ignoreHealthOnHostRemoval: fields.flag('ignoreHealthOnHostRemoval'),
    panicThresholdPercent: common?.object('healthyPanicThreshold')?.number('value') ?? (common?.has('healthyPanicThreshold') === true ? 0 : 50),
    tlsMatches: matches.map(({ match }) => match),
    ...(transport.tls === undefined ? {} : { tls: transport.tls }),
    ...(proxyProtocol === undefined ? {} : { proxyProtocol }),
    metadata: decodeMetadata(fields),
  };
  common?.ignore('updateMergeWindow', 'closeConnectionsOnHostSetChange');
  common?.end();
  fields.ignore('altStatName', 'perConnectionBufferLimitBytes', 'cleanupInterval', 'waitForWarmOnInit');
  fields.end();
  return cluster;
}

/** Thresholds of the default priority; a route of high priority is refused, so its thresholds hold for nobody. */
function decodeBreakers(fields: Fields | undefined): BreakerLimits {
  const threshold = fields?.list('thresholds').find((t) => t.text('priority', 'DEFAULT') === 'DEFAULT');
  fields?.end();
  const budget = threshold?.object('retryBudget');
  const limits: BreakerLimits = {
    maxConnections: threshold?.number('maxConnections', 1_024) ?? 1_024,
    maxPendingRequests: threshold?.number('maxPendingRequests', 1_024) ?? 1_024,
    maxRequests: threshold?.number('maxRequests', 1_024) ?? 1_024,
    maxRetries: threshold?.number('maxRetries', 3) ?? 3,
    ...(budget === undefined
      ? {}
      : {
          retryBudget: {
            percent: budget.object('budgetPercent')?.number('value') ?? 20,
            minConcurrency: budget.number('minRetryConcurrency', 3),
            intervalMs: budget.ms('budgetInterval'),
          },
        }),
  };
  threshold?.ignore('trackRemaining');
  threshold?.end();
  budget?.end();
  return limits;
}

const FAMILIES: Readonly<Record<string, DnsSettings['family']>> = { V4_ONLY: 'v4', V6_ONLY: 'v6', V4_PREFERRED: 'v4-preferred', ALL: 'all' };

function decodeDns(fields: Fields): DnsSettings {
  const refreshMs = fields.ms('dnsRefreshRate', 5_000);
  const failure = fields.object('dnsFailureRefreshRate');
  const baseMs = failure?.ms('baseInterval') ?? 0;
  // Names are resolved by the system, whatever the resolver is called.
  fields.ignore('typedDnsResolverConfig');
  return {
    refreshMs,
    respectTtl: fields.flag('respectDnsTtl'),
    jitterMs: fields.ms('dnsJitter'),
    ...(failure === undefined ? {} : { failureRefresh: { baseMs, maxMs: failure.ms('maxInterval', baseMs * 10) } }),
    family: FAMILIES[fields.text('dnsLookupFamily')] ?? 'auto',
  };
}

interface OnDemand {
  discovery: ClusterConfig['discovery'];
  idleMs: number;
  maximum: number;
}

function decodeCustomType(fields: Fields | undefined): OnDemand | undefined {
  const config = fields?.object('typedConfig');
  if (fields === undefined || config === undefined) return undefined;
  if (config.type() !== FORWARD_PROXY) fields.problem('typedConfig', `a cluster of type ${config.type()} is not supported`);
  const cache = config.object('dnsCacheConfig');
  // Connections find their addresses themselves, without a cache whose rates could be set.
  cache?.ignore('name', 'dnsLookupFamily', 'dnsRefreshRate', 'dnsMinRefreshRate', 'dnsFailureRefreshRate', 'typedDnsResolverConfig', 'dnsQueryTimeout');
  config.ignore('allowInsecureClusterOptions', 'allowCoalescedConnections');
  const result: OnDemand = {
    discovery: 'dynamic-forward-proxy',
    idleMs: cache?.ms('hostTtl', 300_000) ?? 300_000,
    maximum: cache?.number('maxHosts', 1_024) ?? 1_024,
  };
  cache?.end();
  config.end();
  return result;
}

function decodeOriginalDestination(fields: Fields): OnDemand {
  const config = fields.object('originalDstLbConfig');
  if (config !== undefined && config.text('httpHeaderName', 'x-envoy-original-dst-host') !== 'x-envoy-original-dst-host')
    config.problem('httpHeaderName', 'only x-envoy-original-dst-host is supported');
  config?.ignore('useHttpHeader');
  config?.end();
  return { discovery: 'original-dst', idleMs: fields.ms('cleanupInterval', 5_000), maximum: Infinity };
}

function decodeKeepalive(options: Fields | undefined): TcpKeepalive | undefined {
  const fields = options?.object('tcpKeepalive');
  if (!takesProbes)
    for (const key of ['keepaliveProbes', 'keepaliveInterval'])
      if (fields?.has(key) === true) fields.problem(key, `Node ${process.version} cannot set it, Node 26 can: only keepaliveTime is supported`);
  // What is not said is Linux's own.
  const keepalive = fields && {
    timeMs: fields.number('keepaliveTime', 7_200) * 1_000,
    intervalMs: fields.number('keepaliveInterval', 75) * 1_000,
    probes: fields.number('keepaliveProbes', 9),
  };
  fields?.end();
  // Connections race address families in any case.
  options?.ignore('happyEyeballsConfig');
  options?.end();
  return keepalive;
}

// How clusters of hosts outside the mesh find their endpoints. Without iptables no connection carries an original destination,
// so what Istio passes on to it is resolved by name here: the name of the ServiceEntry, or the one each request carries.

import type { JsonObject } from '@bufbuild/protobuf';
import { SERVICE_METADATA, any, seconds } from './common.ts';
import type { EntryFacts } from './service-entries.ts';

export const PASSTHROUGH = 'PassthroughCluster';
/** What Istio's metrics call the destination of a request that is refused. */
export const BLACK_HOLE = 'BlackHoleCluster';
const DNS_REFRESH = '60s';

/** One cache for all: the HTTP filter, the SNI filter and the clusters must name the same one. */
const DNS_CACHE: JsonObject = { name: 'weft_names', dnsLookupFamily: 'V4_ONLY', dnsRefreshRate: DNS_REFRESH };

/** The cluster resolves the name each request (or TLS hello) carries. */
export function isDynamic(entry: EntryFacts | undefined, host: string): boolean {
  return entry?.resolution === 'DYNAMIC_DNS' || (entry?.resolution === 'NONE' && host.startsWith('*'));
}

/** Discovery fields of a cluster, `undefined` = EDS. `assignment` is what EDS would say. */
export function externalDiscovery(entry: EntryFacts | undefined, host: string, assignment: JsonObject): JsonObject | undefined {
  if (entry === undefined || entry.resolution === 'STATIC') return undefined;
  if (isDynamic(entry, host)) return dynamicDiscovery();
  return {
    type: entry.resolution === 'DNS_ROUND_ROBIN' ? 'LOGICAL_DNS' : 'STRICT_DNS',
    dnsLookupFamily: 'V4_ONLY',
    dnsRefreshRate: DNS_REFRESH,
    respectDnsTtl: true,
    loadAssignment: assignment,
  };
}

function dynamicDiscovery(): JsonObject {
  return {
    // Envoy wants names checked on such clusters; those with TLS of their own do (auto SNI and SAN), the others have no TLS.
    lbPolicy: 'CLUSTER_PROVIDED',
    clusterType: {
      name: 'envoy.clusters.dynamic_forward_proxy',
      typedConfig: any('envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig', { dnsCacheConfig: DNS_CACHE, allowInsecureClusterOptions: true }),
    },
  };
}

/** Where requests for hosts the mesh does not know go under ALLOW_ANY. */
export function passthroughCluster(connectTimeoutMs: number, httpOptions: JsonObject): JsonObject {
  return {
    name: PASSTHROUGH,
    connectTimeout: seconds(connectTimeoutMs),
    ...dynamicDiscovery(),
    ...httpOptions,
    metadata: serviceNamed(PASSTHROUGH),
  };
}

/** Resolves what {@link dynamicDiscovery} clusters are asked for; other routes do not notice it. */
export function dynamicForwardFilter(): JsonObject {
  return {
    name: 'envoy.filters.http.dynamic_forward_proxy',
    typedConfig: any('envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig', { dnsCacheConfig: DNS_CACHE }),
  };
}

export function sniForwardFilter(port: number): JsonObject {
  return {
    name: 'envoy.filters.network.sni_dynamic_forward_proxy',
    typedConfig: any('envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig', { portValue: port, dnsCacheConfig: DNS_CACHE }),
  };
}

/** For the metrics: what takes the place of a service where the mesh knows none. */
export function serviceNamed(name: string): JsonObject {
  return { filterMetadata: { [SERVICE_METADATA]: { host: name, name, namespace: 'unknown' } } };
}

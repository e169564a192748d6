// Parts several areas write the same way.

import { type ServiceSpec, service } from '../case.ts';

/** Application `a` as version v1 and `b` as v2. */
export const twoVersions = (name: string): ServiceSpec[] => [service(name, { app: 'a', version: 'v1' }, { app: 'b', version: 'v2' })];

/** The DestinationRule for both, ending with a document separator. */
export const subsets = (name: string): string => `
kind: DestinationRule
metadata: { name: ${name} }
spec: { host: ${name}, subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }] }
---`;

/** A DestinationRule with this traffic policy (flow YAML). */
export const policy = (name: string, trafficPolicy: string): string => `
kind: DestinationRule
metadata: { name: ${name} }
spec: { host: ${name}, trafficPolicy: ${trafficPolicy} }
`;

/** A VirtualService of one rule to the whole service, with these further fields of the rule (flow YAML, `{ ... }` left out). */
export const rule = (name: string, fields: string): string => `
kind: VirtualService
metadata: { name: ${name} }
spec:
  hosts: [${name}]
  http: [{ route: [{ destination: { host: ${name} } }], ${fields} }]
`;

/** A service of the other client's namespace: application `b`, no sidecar. Ends with a document separator. */
export const elsewhere = (name: string, fields = ''): string => `
kind: Service
metadata: { name: ${name}, namespace: $OTHER${fields} }
spec: { selector: { app: ${name} }, ports: [{ name: http, port: 80 }] }
---
kind: WorkloadEntry
metadata: { name: ${name}-0, namespace: $OTHER }
spec: { address: 127.0.0.1, ports: { http: $PORT(b) }, labels: { app: ${name} } }
---`;

const typed = (type: string): string => `"@type": type.googleapis.com/${type}`;

/** An EnvoyFilter of these patches (flow YAML). */
export const envoyFilter = (name: string, ...patches: string[]): string => `
kind: EnvoyFilter
metadata: { name: ${name} }
spec: { configPatches: [${patches.join(', ')}] }
`;

/** Fields of every route (\`route: {...}\`, \`typed_per_filter_config: {...}\`). */
export const onRoutes = (value: string): string => `{ applyTo: HTTP_ROUTE, patch: { operation: MERGE, value: { ${value} } } }`;

/** Fields of the service's cluster. */
export const onCluster = (service: string, value: string): string =>
  `{ applyTo: CLUSTER, match: { cluster: { service: ${service}.$NS.svc.cluster.local } }, patch: { operation: MERGE, value: { ${value} } } }`;

/** Fields of the HTTP connection manager. */
export const onManager = (value: string): string => `{
  applyTo: NETWORK_FILTER, match: { listener: { filterChain: { filter: { name: envoy.filters.network.http_connection_manager } } } },
  patch: { operation: MERGE, value: { typed_config: { ${typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager')}, ${value} } } } }`;

/** Clients on this machine are internal: their `x-envoy-*` headers are believed where `LOOPBACK` says who asks. By default nobody's are. */
export const internalClients = (name: string): string =>
  envoyFilter(name, onManager('internal_address_config: { cidr_ranges: [{ address_prefix: 127.0.0.0, prefix_len: 8 }] }'));
export const LOOPBACK = { 'x-forwarded-for': '127.0.0.1' };

const RATE_LIMIT = typed('envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit');
const all = 'default_value: { numerator: 100, denominator: HUNDRED }';

/** A bucket of two requests a minute on every route; \`more\` are further fields of the filter. */
export const rateLimit = (more = '', enforced = all): string[] => [
  `{ applyTo: HTTP_FILTER, match: { listener: { filterChain: { filter: { name: envoy.filters.network.http_connection_manager, subFilter: { name: envoy.filters.http.router } } } } },
  patch: { operation: INSERT_BEFORE, value: { name: envoy.filters.http.local_ratelimit, typed_config: { ${RATE_LIMIT}, stat_prefix: suite } } } }`,
  onRoutes(
    `typed_per_filter_config: { envoy.filters.http.local_ratelimit: { ${RATE_LIMIT}, stat_prefix: suite, token_bucket: { max_tokens: 2, tokens_per_fill: 2, fill_interval: 60s }, filter_enabled: { ${all} }, filter_enforced: { ${enforced} }${more} } }`,
  ),
];

// Istio's own code and ours on random DestinationRules: the same rules refused, the same clusters and the same endpoints in the
// same order of preference.

import { type JsonObject, fromBinary, fromJson, toJson } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { type Cluster, ClusterSchema } from '@weft/mesh-core/gen/envoy/config/cluster/v3/cluster_pb';
import { type ClusterLoadAssignment, ClusterLoadAssignmentSchema } from '@weft/mesh-core/gen/envoy/config/endpoint/v3/endpoint_pb';
import { validateObject } from '@weft/mesh-core/config';
import type { MeshObject } from '@weft/mesh-core/model';
import { registry } from '@weft/mesh-core/translate';
import { type ResourceSet, TYPE_URL } from '@weft/mesh-core/xds';
import { IstioOracle, oracleBinary } from './istio-oracle.ts';
import { proxy, resourcesOf } from './objects.ts';

const binary = oracleBinary();
const oracle = binary === undefined ? undefined : new IstioOracle(binary);
afterAll(() => oracle?.close());

const HOST = 'a.shop.svc.cluster.local';
const PORTS = [80, 90] as const;
const LOCALITY = 'us-west/a/x';
const LABELS = { app: 'client', version: 'v2' };
/** istiod adds these to the labels of a proxy that connects, not to those of its fakes. */
const TOPOLOGY = { 'topology.kubernetes.io/region': 'us-west', 'topology.kubernetes.io/zone': 'a', 'topology.istio.io/subzone': 'x' };

const maybe = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined, freq: 2 });
const record = (fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Record<string, unknown>> =>
  fc.record(fields).map((o) => Object.fromEntries(Object.entries(o).filter(([, v]) => v !== undefined)));
const duration = fc.constantFrom('1s', '250ms', '1m30s');
const count = fc.constantFrom(1, 7, 100);

const localityLbSetting = fc.oneof(
  fc.constantFrom({ enabled: false }, { enabled: true }),
  fc
    .constantFrom({ from: 'us-west/*', to: { 'us-west/*': 70, 'us-east/*': 30 } }, { from: 'us-west/a/*', to: { 'us-west/a/*': 100 } })
    .map((d) => ({ distribute: [d] })),
  fc.constant({ failover: [{ from: 'us-west', to: 'eu' }] }),
  fc
    .constantFrom(['version'], ['topology.kubernetes.io/region', 'topology.kubernetes.io/zone'], ['app=b', 'version=v2'])
    .map((failoverPriority) => ({ failoverPriority })),
);
const zoneAwareLbSetting = record({
  enabled: maybe(fc.boolean()),
  minClusterSize: maybe(count),
  failover: maybe(fc.constant([{ from: 'us-west', to: 'eu' }])),
  failoverPriority: maybe(fc.constant(['version'])),
});
const warmup = record({ duration, minimumPercent: maybe(fc.constantFrom(0, 20)), aggression: maybe(fc.constantFrom(1, 2.5)) });
const loadBalancer = fc.oneof(
  record({
    simple: fc.constantFrom('ROUND_ROBIN', 'LEAST_REQUEST', 'LEAST_CONN', 'RANDOM', 'UNSPECIFIED'),
    localityLbSetting: maybe(localityLbSetting),
    warmup: maybe(warmup),
  }),
  record({
    consistentHash: fc.constantFrom(
      { httpHeaderName: 'x' },
      { useSourceIp: true, minimumRingSize: 2048 },
      { httpHeaderName: 'x', maglev: { tableSize: 251 } },
      { httpQueryParameterName: 'q', ringHash: { minimumRingSize: 4096 } },
      { httpHeaderName: 'x', ringHash: {} },
    ),
    localityLbSetting: maybe(localityLbSetting),
  }),
  record({ simple: maybe(fc.constant('ROUND_ROBIN')), zoneAwareLbSetting }),
);
const connectionPool = record({
  tcp: record({
    maxConnections: maybe(count),
    connectTimeout: maybe(duration),
    maxConnectionDuration: maybe(duration),
    idleTimeout: maybe(duration),
    tcpKeepalive: maybe(record({ probes: maybe(count), time: maybe(fc.constantFrom('10s', '1m')), interval: maybe(fc.constant('3s')) })),
  }),
  http: maybe(
    record({
      http1MaxPendingRequests: maybe(count),
      http2MaxRequests: maybe(count),
      maxRequestsPerConnection: maybe(count),
      maxRetries: maybe(count),
      idleTimeout: maybe(duration),
      maxConcurrentStreams: maybe(count),
      h2UpgradePolicy: maybe(fc.constantFrom('DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE')),
    }),
  ),
});
const outlierDetection = record({
  consecutive5xxErrors: maybe(fc.constantFrom(0, 3)),
  consecutiveGatewayErrors: maybe(fc.constantFrom(0, 2)),
  interval: maybe(duration),
  baseEjectionTime: maybe(duration),
  maxEjectionPercent: maybe(fc.constantFrom(0, 50)),
  minHealthPercent: maybe(fc.constantFrom(0, 40)),
  splitExternalLocalOriginErrors: maybe(fc.boolean()),
  consecutiveLocalOriginFailures: maybe(fc.constantFrom(0, 4)),
});
const tls = fc.constantFrom(
  { mode: 'DISABLE' },
  { mode: 'SIMPLE' },
  { mode: 'SIMPLE', sni: 's.example' },
  { mode: 'SIMPLE', subjectAltNames: ['s.example'] },
  { mode: 'SIMPLE', insecureSkipVerify: true },
  { mode: 'MUTUAL', clientCertificate: '/c', privateKey: '/k', caCertificates: '/ca' },
  { mode: 'ISTIO_MUTUAL', sni: 'm.example' },
);
const blocks = { loadBalancer: maybe(loadBalancer), connectionPool: maybe(connectionPool), outlierDetection: maybe(outlierDetection), tls: maybe(tls) };
const policy = record({
  ...blocks,
  retryBudget: maybe(record({ percent: maybe(fc.constantFrom(10, 50)), minRetryConcurrency: maybe(count) })),
  portLevelSettings: maybe(record({ port: fc.constant({ number: 90 }), ...blocks }).map((p) => [p])),
});
const rule = record({
  host: fc.constantFrom(HOST, 'a', '*.shop.svc.cluster.local'),
  trafficPolicy: maybe(policy),
  subsets: maybe(
    record({ name: fc.constant('v1'), labels: fc.constantFrom({ version: 'v1' }, { version: 'v2' }), trafficPolicy: maybe(policy) }).map((s) => [s]),
  ),
  workloadSelector: fc.option(fc.constantFrom({ matchLabels: { app: 'client' } }, { matchLabels: { app: 'other' } }), { nil: undefined, freq: 5 }),
});

const object = (apiVersion: string, kind: string, name: string, spec: unknown): MeshObject =>
  ({ apiVersion, kind, metadata: { name, namespace: 'shop' }, spec }) as MeshObject;
const WORLD: readonly MeshObject[] = [
  object('v1', 'Service', 'a', {
    selector: { app: 'a' },
    ports: [
      { name: 'http', port: 80 },
      { name: 'grpc', port: 90 },
    ],
  }),
  ...[
    ['10.0.0.1', 'us-west/a/x', 'v1', 1],
    ['10.0.0.2', 'us-west/a/y', 'v2', 3],
    ['10.0.0.3', 'us-west/b/x', 'v1', 1],
    ['10.0.0.4', 'us-east/a/x', 'v2', 2],
    ['10.0.0.5', 'eu/a/x', 'v1', 1],
  ].map(([address, locality, version, weight], i) =>
    object('networking.istio.io/v1', 'WorkloadEntry', `a-${i}`, { address, locality, weight, labels: { app: 'a', version }, serviceAccount: 'a' }),
  ),
];

const FIELDS = [
  ...['connectTimeout', 'lbPolicy', 'lbConfig', 'commonLbConfig', 'circuitBreakers', 'outlierDetection', 'upstreamConnectionOptions'],
  'typedExtensionProtocolOptions',
] as const;

function dropAllowConnect(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  const fields = value as Record<string, unknown>;
  delete fields['allowConnect'];
  for (const inner of Object.values(fields)) dropAllowConnect(inner);
}

/** What the rule decides, in one form whoever wrote it. */
function essence(cluster: Cluster): JsonObject {
  const plain = toJson(ClusterSchema, cluster, { registry }) as JsonObject;
  const sockets = JSON.stringify([plain['transportSocket'] ?? null, plain['transportSocketMatches'] ?? null]);
  const names = [...FIELDS.filter((field) => field !== 'lbConfig'), 'ringHashLbConfig', 'maglevLbConfig', 'leastRequestLbConfig', 'roundRobinLbConfig'];
  const found = Object.fromEntries(names.flatMap((name) => (plain[name] === undefined ? [] : [[name, plain[name]]]))) as JsonObject;
  if ((found['ringHashLbConfig'] as JsonObject | undefined)?.['minimumRingSize'] === '1024') delete found['ringHashLbConfig'];
  // Ours alone: what is left of a limit is counted.
  const breakers = found['circuitBreakers'] as { thresholds?: JsonObject[] } | undefined;
  for (const threshold of breakers?.thresholds ?? []) delete threshold['trackRemaining'];
  // An empty message says what none says.
  const options = found['typedExtensionProtocolOptions'] as { [key: string]: JsonObject } | undefined;
  for (const http of Object.values(options ?? {})) {
    // The mesh leg is HTTP/2 by ALPN, which is ours alone (Istio upgrades only where told).
    const { '@type': _type, autoConfig: _meshLeg, explicitHttpConfig, commonHttpProtocolOptions: common, ...more } = http;
    if (common !== undefined && Object.keys(common as JsonObject).length > 0) Object.assign(more, { common });
    // Ours alone: upgrades cross HTTP/2 legs too.
    dropAllowConnect(explicitHttpConfig);
    dropAllowConnect(more);
    // Istio leaves the protocol out where it is HTTP/1.
    if (JSON.stringify(explicitHttpConfig ?? { httpProtocolOptions: {} }) !== JSON.stringify({ httpProtocolOptions: {} }))
      Object.assign(more, { explicitHttpConfig });
    found['typedExtensionProtocolOptions'] = more;
  }
  if (JSON.stringify(found['typedExtensionProtocolOptions']) === '{}') delete found['typedExtensionProtocolOptions'];
  return { ...found, sni: [...sockets.matchAll(/"sni":"([^"]*)"/g)].map((m) => m[1] ?? ''), encrypted: sockets.includes('UpstreamTlsContext') };
}

function preferences({ endpoints }: ClusterLoadAssignment): unknown {
  return endpoints
    .filter((group) => group.lbEndpoints.length > 0)
    .map((group) => ({
      locality: [group.locality?.region, group.locality?.zone, group.locality?.subZone].join('/'),
      priority: group.priority,
      weight: group.loadBalancingWeight,
      hosts: group.lbEndpoints
        .map((e) => {
          const address = e.hostIdentifier.case === 'endpoint' ? e.hostIdentifier.value.address?.address : undefined;
          return `${address?.case === 'socketAddress' ? address.value.address : ''} ${e.loadBalancingWeight}`;
        })
        .toSorted(),
    }))
    .toSorted((a, b) => (`${a.locality}${a.priority}` < `${b.locality}${b.priority}` ? -1 : 1));
}

/** The MeshConfig with these preferences of localities. */
const meshOf = (preferred: object | undefined): MeshObject[] =>
  preferred === undefined
    ? []
    : [
        {
          ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'istio', namespace: 'istio-system' } },
          spec: { data: { mesh: JSON.stringify({ localityLbSetting: preferred }) } },
        },
      ];
/** As users write it. */
const written = ({ spec, ...rest }: MeshObject): object => (rest.kind === 'ConfigMap' ? { ...rest, ...(spec as object) } : { ...rest, spec });

async function compare(spec: object, preferred: object | undefined): Promise<void> {
  const destinationRule = object('networking.istio.io/v1', 'DestinationRule', 'r', spec);
  const all = [...WORLD, ...meshOf(preferred), destinationRule];
  const yaml = all
    .map(written)
    .map((o) => JSON.stringify(o))
    .join('\n---\n');
  const question = { yaml, proxy: { type: 'sidecar', namespace: 'shop', labels: { ...LABELS, ...TOPOLOGY }, ip: '1.1.1.1', locality: LOCALITY } };
  const answer = await (oracle as IstioOracle).ask<{ clusters: JsonObject[]; endpoints: JsonObject[]; rejected: { name: string; errors: string[] }[] }>(
    'xds',
    question,
  );
  const refusal = answer.rejected.find((r) => r.name === 'r');
  const { problems } = validateObject(destinationRule);
  expect({ spec, refused: problems.length > 0, problems }).toEqual({ spec, refused: refusal !== undefined, problems: refusal === undefined ? [] : problems });
  if (refusal !== undefined) return;
  const node = proxy({ dataPlane: 'envoy', namespace: 'shop', labels: LABELS, locality: LOCALITY });
  const set: ResourceSet = resourcesOf(all, node);
  const body = (typeUrl: typeof TYPE_URL.cluster | typeof TYPE_URL.endpoint, name: string): Uint8Array => set[typeUrl].get(name)?.body ?? new Uint8Array();
  const lenient = { registry, ignoreUnknownFields: true };
  const theirNames = answer.clusters.map((c) => String(c['name'])).filter((name) => name.startsWith('outbound|') && name.endsWith(HOST));
  for (const name of theirNames) {
    const { filters: _f, typed_dns_resolver_config: _d, metadata: _m, ...cluster } = answer.clusters.find((c) => c['name'] === name) ?? {};
    const ours = essence(fromBinary(ClusterSchema, body(TYPE_URL.cluster, name)));
    expect({ name, spec, preferred, cluster: ours }).toEqual({ name, spec, preferred, cluster: essence(fromJson(ClusterSchema, cluster, lenient)) });
    const theirs = fromJson(ClusterLoadAssignmentSchema, answer.endpoints.find((e) => e['cluster_name'] === name) ?? {}, lenient);
    const endpoints = preferences(fromBinary(ClusterLoadAssignmentSchema, body(TYPE_URL.endpoint, name)));
    expect({ name, spec, preferred, endpoints }).toEqual({ name, spec, preferred, endpoints: preferences(theirs) });
  }
  expect(theirNames.length).toBeGreaterThanOrEqual(PORTS.length);
}

const runs = {
  numRuns: Number(process.env['WEFT_ORACLE_RUNS'] ?? 15),
  ...(process.env['WEFT_ORACLE_SEED'] === undefined ? { seed: 20_261_125 } : { seed: Number(process.env['WEFT_ORACLE_SEED']) }),
};

test.skipIf(oracle === undefined)(
  'DestinationRules become the clusters and endpoints Istio makes of them, under whatever the mesh prefers',
  { timeout: 300_000 },
  async () => {
    await fc.assert(fc.asyncProperty(rule, maybe(localityLbSetting), compare), runs);
  },
);

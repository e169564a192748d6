import { describe, expect, test } from 'vitest';
import { EDGE_COLUMNS, graphSnapshotSchema, type GraphSnapshot, HEALTH, NODE_COLUMNS } from '../api/graph.ts';
import type { MeshObject } from '../model/index.ts';
import { buildGraph, type GraphInput, graphSteps } from './build-graph.ts';
import type { GraphProxy } from './catalog.ts';
import type { EdgeStats } from './edge-stats.ts';

const BOUNDS = [5, 10, 25];
const namespace = 'bookinfo';
const service = (name: string): MeshObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace },
  spec: { selector: { app: name }, ports: [{ name: 'http', port: 9080 }] },
});
const workload = (app: string, version: string, health = 'healthy'): MeshObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'WorkloadEntry',
  metadata: { name: `${app}-${version}`, namespace, ...(health === 'healthy' ? {} : { annotations: { 'weft.dev/health': health } }) },
  spec: { address: '127.0.0.1', labels: { app, version, 'security.istio.io/tlsMode': 'istio' } },
});
const rule: MeshObject = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'DestinationRule',
  metadata: { name: 'reviews', namespace },
  spec: {
    host: 'reviews',
    trafficPolicy: { outlierDetection: { consecutive5xxErrors: 5 } },
    subsets: ['v1', 'v2', 'v3'].map((version) => ({ name: version, labels: { version } })),
  },
};
const routes: MeshObject = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'reviews', namespace },
  spec: { hosts: ['reviews'], http: [{ route: [{ destination: { host: 'reviews', subset: 'v1' }, weight: 90 }, { destination: { host: 'reviews', subset: 'v2' }, weight: 10 }] }] }, // prettier-ignore
};
const strict: MeshObject = {
  apiVersion: 'security.istio.io/v1',
  kind: 'PeerAuthentication',
  metadata: { name: 'default', namespace },
  spec: { mtls: { mode: 'STRICT' } },
};
const objects = [service('productpage'), service('reviews'), service('ratings'), workload('productpage', 'v1'), workload('reviews', 'v1'), workload('reviews', 'v2'), workload('reviews', 'v3'), workload('ratings', 'v1'), rule, routes, strict]; // prettier-ignore
const proxies: GraphProxy[] = [{ id: 'router~1', workload: 'ingressgateway', namespace: 'ingress', role: 'router', state: 'synced' }];

interface Hop {
  from: string;
  to: string;
  requests: number;
  reporter?: 'source' | 'destination';
  code?: string;
  flags?: string;
  protocol?: string;
  grpc?: string;
  bytes?: number;
  policy?: string;
  principal?: string;
  buckets?: number[];
}
function row({
  from,
  to,
  requests,
  reporter = 'destination',
  code = '200',
  flags = '-',
  protocol = 'http',
  grpc = '',
  bytes = 0,
  policy,
  principal = 'unknown',
  buckets,
}: Hop): EdgeStats {
  const [app = '', version = ''] = to.split('-');
  const sourceNamespace = from === 'ingressgateway' ? 'ingress' : from === 'unknown' ? 'unknown' : namespace;
  return {
    labels: {
      reporter,
      source_workload: from,
      source_workload_namespace: sourceNamespace,
      source_principal: principal,
      source_canonical_service: from.split('-')[0] ?? '',
      destination_workload: version === '' ? 'unknown' : to,
      destination_workload_namespace: version === '' ? 'unknown' : namespace,
      destination_service: `${app}.${namespace}.svc.cluster.local`,
      destination_service_name: app,
      destination_service_namespace: namespace,
      destination_canonical_service: app,
      destination_canonical_revision: version,
      request_protocol: protocol,
      response_code: code,
      response_flags: flags,
      grpc_response_status: grpc,
      connection_security_policy: policy ?? (reporter === 'destination' ? 'mutual_tls' : 'unknown'),
    },
    requests,
    bytes,
    connections: 0,
    ...(buckets === undefined ? {} : { buckets, bounds: BOUNDS }),
  };
}

const build = (rows: EdgeStats[], options: Partial<GraphInput> = {}): GraphSnapshot => {
  const graph = buildGraph({ at: 1_000_000, windowSec: 10, graphType: 'versionedApp', includeIdle: false, namespaces: [], rows, objects, proxies, ...options });
  graphSnapshotSchema.parse(graph);
  return graph;
};
const edge = (graph: GraphSnapshot, id: string): Record<string, number> => named(EDGE_COLUMNS, graph.edgeRows[graph.edges.findIndex((e) => e.id === id)], id);
const node = (graph: GraphSnapshot, id: string): Record<string, number> => named(NODE_COLUMNS, graph.nodeRows[graph.nodes.findIndex((n) => n.id === id)], id);
function named(columns: readonly string[], values: number[] | undefined, id: string): Record<string, number> {
  if (values === undefined) throw new Error(`${id} is not in the graph`);
  return Object.fromEntries(columns.map((column, i) => [column, values[i] ?? NaN]));
}
const health = (value: Record<string, number>): string | undefined => HEALTH[value['health'] ?? -1];

describe('the versioned graph', () => {
  const rows = [
    row({ from: 'ingressgateway', to: 'productpage-v1', requests: 100, reporter: 'source' }),
    row({ from: 'ingressgateway', to: 'productpage-v1', requests: 100, buckets: [100, 0, 0, 0] }),
    row({ from: 'productpage-v1', to: 'reviews-v1', requests: 90, buckets: [0, 90, 0, 0] }),
    row({ from: 'productpage-v1', to: 'reviews-v1', requests: 90, reporter: 'source', buckets: [0, 90, 0, 0] }),
    row({ from: 'productpage-v1', to: 'reviews-v2', requests: 10, buckets: [0, 0, 10, 0] }),
    row({ from: 'reviews-v2', to: 'ratings-v1', requests: 10 }),
  ];

  test('divides a service with versions at its own node, in the box of its app', () => {
    const graph = build(rows);
    expect(graph.edges.map((e) => e.id)).toEqual([
      'gw:ingress/ingressgateway>wl:bookinfo/productpage-v1:http',
      'svc:bookinfo/reviews>wl:bookinfo/reviews-v1:http',
      'svc:bookinfo/reviews>wl:bookinfo/reviews-v2:http',
      'wl:bookinfo/productpage-v1>svc:bookinfo/reviews:http',
      'wl:bookinfo/reviews-v2>wl:bookinfo/ratings-v1:http',
    ]);
    expect(graph.boxes.map((b) => [b.id, b.parent])).toEqual([['ns:bookinfo', undefined], ['ns:ingress', undefined], ['app:bookinfo/reviews', 'ns:bookinfo']]); // prettier-ignore
    expect(graph.nodes.filter((n) => n.box === 'app:bookinfo/reviews').map((n) => n.label)).toEqual(['reviews', 'v1', 'v2']);
    expect(graph.nodes.find((n) => n.id === 'wl:bookinfo/productpage-v1')?.label).toBe('productpage');
  });

  test('gives exact rates, shares, intended shares and quantiles', () => {
    const graph = build(rows);
    expect(edge(graph, 'svc:bookinfo/reviews>wl:bookinfo/reviews-v1:http')).toMatchObject({ rps: 9, errors: 0, share: 0.9, intended: 0.9, mtls: 1, p50: 7.5 });
    expect(edge(graph, 'svc:bookinfo/reviews>wl:bookinfo/reviews-v2:http')).toMatchObject({ rps: 1, share: 0.1, intended: 0.1, p50: 17.5 });
    // Merged buckets: rank 95 of 100 is the 5th of the 10 slow ones.
    expect(edge(graph, 'wl:bookinfo/productpage-v1>svc:bookinfo/reviews:http')).toMatchObject({ rps: 10, share: -1, intended: -1, p95: 17.5 });
    expect(node(graph, 'wl:bookinfo/productpage-v1')).toMatchObject({ inRps: 10, outRps: 10, p50: 2.5 });
    expect(health(node(graph, 'svc:bookinfo/reviews'))).toBe('healthy');
  });

  test('wears badges where they belong', () => {
    const graph = build(rows);
    const badges = (id: string) => graph.nodes.find((n) => n.id === id)?.badges;
    expect(badges('svc:bookinfo/reviews')).toEqual(['virtual-service', 'traffic-shifting', 'circuit-breaker', 'strict-mtls']);
    expect(badges('wl:bookinfo/reviews-v1')).toEqual(['strict-mtls']);
    expect(badges('gw:ingress/ingressgateway')).toEqual(['gateway']);
  });

  test('wears a badge where an AuthorizationPolicy acts, on the service that stands for the workload too', () => {
    const policy = (name: string, inNamespace: string, spec: object): MeshObject => ({
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name, namespace: inNamespace },
      spec,
    });
    const worn = (...policies: MeshObject[]): string[] =>
      build(rows, { objects: [...objects, ...policies] })
        .nodes.filter((n) => n.badges.includes('authorization-policy'))
        .map((n) => n.id)
        .toSorted();
    expect(worn()).toEqual([]);
    expect(worn(policy('v1', 'bookinfo', { selector: { matchLabels: { app: 'reviews', version: 'v1' } } }))).toEqual([
      'svc:bookinfo/reviews',
      'wl:bookinfo/reviews-v1',
    ]);
    expect(worn(policy('other', 'shop', {}))).toEqual([]);
    expect(worn(policy('of-a-gateway', 'bookinfo', { targetRefs: [{ kind: 'Gateway', name: 'gateway' }] }))).toEqual([]);
    expect(worn(policy('mesh', 'istio-system', {}))).toContain('wl:bookinfo/productpage-v1');
  });

  test('draws versions without traffic when asked, with their intended share', () => {
    const graph = build(rows, { includeIdle: true });
    const idle = edge(graph, 'svc:bookinfo/reviews>wl:bookinfo/reviews-v3:http');
    expect(idle).toMatchObject({ rps: 0, share: 0, intended: 0, p95: -1 });
    expect(health(idle)).toBe('idle');
    expect(health(node(graph, 'wl:bookinfo/reviews-v3'))).toBe('idle');
  });

  test('keeps an edge whose counters stand still as an idle one', () => {
    const still = [row({ from: 'reviews-v2', to: 'ratings-v1', requests: 0 })];
    expect(build(still).edges).toEqual([]);
    expect(edge(build(still, { includeIdle: true }), 'wl:bookinfo/reviews-v2>wl:bookinfo/ratings-v1:http')['rps']).toBe(0);
  });
});

describe('de-duplication', () => {
  const id = 'wl:bookinfo/reviews-v2>wl:bookinfo/ratings-v1:http';
  test('counts failures the caller made itself beside what the destination reports', () => {
    const rows = [row({ from: 'reviews-v2', to: 'ratings-v1', requests: 80 }), row({ from: 'reviews-v2', to: 'ratings-v1', requests: 80, reporter: 'source' }), row({ from: 'reviews-v2', to: 'ratings', requests: 20, reporter: 'source', code: '503', flags: 'UH' })]; // prettier-ignore
    const got = edge(build(rows), id);
    expect(got).toMatchObject({ rps: 10, errors: 0.2, mtls: 1 });
    expect(health(got)).toBe('failing');
  });

  test('takes the caller\u2019s word for a destination that is silent', () => {
    expect(edge(build([row({ from: 'reviews-v2', to: 'ratings-v1', requests: 40, reporter: 'source', code: '503', flags: 'UC' })]), id)).toMatchObject({
      rps: 4,
      errors: 1,
      mtls: -1,
    });
  });

  test('counts a timed-out request once, as a failure', () => {
    const rows = [row({ from: 'reviews-v2', to: 'ratings-v1', requests: 90 }), row({ from: 'reviews-v2', to: 'ratings-v1', requests: 6, code: '0', flags: 'DC' }), row({ from: 'reviews-v2', to: 'ratings-v1', requests: 10, reporter: 'source', code: '504', flags: 'UT' })]; // prettier-ignore
    const got = edge(build(rows), id);
    expect(got['rps']).toBe(9.6);
    expect(got['errors']).toBeCloseTo(10 / 96, 12);
  });

  test('a request that reached no version of a divided service ends at the service', () => {
    const graph = build([row({ from: 'productpage-v1', to: 'reviews', requests: 10, reporter: 'source', code: '503', flags: 'NR' })]);
    expect(graph.edges.map((e) => e.id)).toEqual(['wl:bookinfo/productpage-v1>svc:bookinfo/reviews:http']);
  });
});

test.each([
  ['500', 1, 1_000, 'degraded'],
  ['500', 1, 10_000, 'healthy'],
  ['503', 100, 1_000, 'failing'],
  ['404', 99, 1_000, 'healthy'],
  ['404', 100, 1_000, 'degraded'],
  ['404', 200, 1_000, 'failing'],
  ['0', 100, 1_000, 'failing'],
])('%s x %d of %d is %s', (code, bad, total, wanted) => {
  const rows = [row({ from: 'reviews-v2', to: 'ratings-v1', requests: total - bad }), row({ from: 'reviews-v2', to: 'ratings-v1', requests: bad, code })];
  expect(health(edge(build(rows), 'wl:bookinfo/reviews-v2>wl:bookinfo/ratings-v1:http'))).toBe(wanted);
});

test('gRPC status decides where HTTP says 200', () => {
  const graph = build([row({ from: 'reviews-v2', to: 'ratings-v1', requests: 10, protocol: 'grpc', grpc: '14' })]);
  expect(edge(graph, 'wl:bookinfo/reviews-v2>wl:bookinfo/ratings-v1:grpc')).toMatchObject({ errors: 1 });
});

test('TCP has bytes and no judgement', () => {
  const graph = build([row({ from: 'reviews-v2', to: 'ratings-v1', requests: 0, protocol: 'tcp', bytes: 5_000 })]);
  const tcp = edge(graph, 'wl:bookinfo/reviews-v2>wl:bookinfo/ratings-v1:tcp');
  expect(tcp).toMatchObject({ rps: 0, bytes: 500, mtls: 1 });
  expect(health(tcp)).toBe('healthy');
  for (const end of ['reviews-v2', 'ratings-v1']) expect(node(graph, `wl:bookinfo/${end}`)).toMatchObject({ inRps: 0, tcpBytes: 500 });
});

test('a TCP caller known to the receiving end by its certificate only is the one that reports itself', () => {
  const tcp = { to: 'ratings-v1', requests: 0, protocol: 'tcp' };
  const graph = build([
    row({ ...tcp, from: 'reviews-v2', bytes: 5_000, reporter: 'source' }),
    row({ ...tcp, from: 'unknown', bytes: 5_000, principal: `spiffe://cluster.local/ns/${namespace}/sa/bookinfo-reviews` }),
    // Envoy counts a connection as opened before its certificate is known.
    { ...row({ ...tcp, from: 'unknown' }), connections: 3 },
    row({ ...tcp, from: 'unknown', bytes: 1_000, principal: 'spiffe://cluster.local/ns/elsewhere/sa/default' }),
  ]);
  expect(edge(graph, 'wl:bookinfo/reviews-v2>wl:bookinfo/ratings-v1:tcp')).toMatchObject({ bytes: 500, mtls: 1 });
  expect(edge(graph, 'unknown>wl:bookinfo/ratings-v1:tcp')).toMatchObject({ bytes: 100, mtls: 1 });
  const known = build([row({ ...tcp, from: 'reviews-v2', bytes: 5_000, reporter: 'source' }), { ...row({ ...tcp, from: 'unknown' }), connections: 3 }]);
  expect(known.nodes.map((n) => n.id)).not.toContain('unknown');
});

test('an upgraded connection that is closed is no failure', () => {
  const websocket = { from: 'reviews-v2', to: 'ratings-v1', code: '101' };
  const graph = build([row({ ...websocket, requests: 10 }), row({ ...websocket, requests: 10, reporter: 'source', flags: 'UC' })]);
  expect(edge(graph, 'wl:bookinfo/reviews-v2>wl:bookinfo/ratings-v1:http')).toMatchObject({ rps: 1, errors: 0 });
});

test('a caller without an identity is the unknown node, in plaintext', () => {
  const graph = build([row({ from: 'unknown', to: 'productpage-v1', requests: 5, policy: 'none' })]);
  expect(edge(graph, 'unknown>wl:bookinfo/productpage-v1:http')).toMatchObject({ mtls: 0 });
  expect(graph.nodes.find((n) => n.id === 'unknown')).toMatchObject({ kind: 'unknown', namespace: '', inMesh: false });
});

test('a workload whose endpoints all fail their health check is failing without any traffic', () => {
  const graph = build([], { includeIdle: true, objects: [service('ratings'), workload('ratings', 'v1', 'unhealthy')] });
  expect(health(node(graph, 'wl:bookinfo/ratings-v1'))).toBe('failing');
});

test.each([
  ['service', ['svc:bookinfo/productpage>svc:bookinfo/reviews:http', 'svc:bookinfo/reviews>svc:bookinfo/ratings:http']],
  ['app', ['app:bookinfo/productpage>app:bookinfo/reviews:http', 'app:bookinfo/reviews>app:bookinfo/ratings:http']],
  [
    'workload',
    [
      'wl:bookinfo/productpage-v1>wl:bookinfo/reviews-v1:http',
      'wl:bookinfo/productpage-v1>wl:bookinfo/reviews-v2:http',
      'wl:bookinfo/reviews-v2>wl:bookinfo/ratings-v1:http',
    ],
  ],
] as const)('the %s graph has its own nodes', (graphType, edges) => {
  const rows = [
    row({ from: 'productpage-v1', to: 'reviews-v1', requests: 9 }),
    row({ from: 'productpage-v1', to: 'reviews-v2', requests: 1 }),
    row({ from: 'reviews-v2', to: 'ratings-v1', requests: 1 }),
  ];
  const graph = build(rows, { graphType });
  expect(graph.edges.map((e) => e.id)).toEqual(edges);
  if (graphType !== 'workload') expect(edge(graph, edges[0])['rps']).toBe(1);
});

test('other namespaces appear only as neighbours', () => {
  const rows = [row({ from: 'ingressgateway', to: 'productpage-v1', requests: 1 }), row({ from: 'productpage-v1', to: 'ratings-v1', requests: 1 })];
  expect(build(rows, { namespaces: ['ingress'] }).nodes.map((n) => n.id)).toEqual(['gw:ingress/ingressgateway', 'wl:bookinfo/productpage-v1']);
});

test.each(['versionedApp', 'app', 'service', 'workload'] as const)('%s: an object is looked at as often in a large mesh as in a small one', (graphType) => {
  const looksOf = (services: number): number => {
    let looks = 0;
    const counted = (object: MeshObject): MeshObject => ({
      ...object,
      get kind() {
        looks += 1;
        return object.kind;
      },
    });
    const all = Array.from({ length: services }, (_, i) => [service(`s${i}`), workload(`s${i}`, 'v1'), workload(`s${i}`, 'v2')]).flat();
    build([], { graphType, includeIdle: true, objects: all.map(counted) });
    return looks / all.length;
  };
  expect(looksOf(40)).toBe(looksOf(4));
});

test('is built piece by piece, from each object a few times at a time', () => {
  let looks = 0;
  const counted = objects.map((object) => ({
    ...object,
    get kind() {
      looks += 1;
      return object.kind;
    },
  }));
  const most: number[] = [];
  const steps = graphSteps({ at: 1, windowSec: 10, graphType: 'versionedApp', includeIdle: true, namespaces: [], rows: [], objects: counted, proxies });
  for (let step = steps.next(); step.done !== true; step = steps.next()) {
    most.push(looks);
    looks = 0;
  }
  expect(most.length).toBeGreaterThan(6);
  expect(Math.max(...most) / objects.length).toBeLessThan(4);
});

test('a host of a ServiceEntry is a service of that name outside the mesh', () => {
  const entry: MeshObject = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'ServiceEntry',
    metadata: { name: 'api', namespace },
    spec: { hosts: ['api.example.com'], resolution: 'DNS', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] },
  };
  const called = row({ from: 'productpage-v1', to: 'api', requests: 5, reporter: 'source' });
  const labels = { ...called.labels, destination_service: 'api.example.com', destination_service_name: 'api.example.com' };
  const graph = build([{ ...called, labels }], { objects: [...objects, entry] });
  expect(graph.nodes.find((n) => n.service === 'api.example.com')).toMatchObject({
    id: `svc:${namespace}/api.example.com`,
    kind: 'service',
    label: 'api.example.com',
    namespace,
    inMesh: false,
    badges: [],
  });
});

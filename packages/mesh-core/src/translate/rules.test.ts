import type { JsonObject } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { DEFAULT_MESH_SETTINGS, type MeshObject, type ProxyNode } from '../model/index.ts';
import { type ResourceSet, TYPE_URL } from '../xds/index.ts';
import { destinationRuleFor } from './destination-rules.ts';
import { buildMesh, serviceOf } from './mesh.ts';
import { proxyNode } from './testing/proxy-node.ts';
import { decoded } from './testing/static-envoy.ts';
import { servicesNamedBy } from './sidecar-scope.ts';
import { translate } from './translate.ts';
import { claimants } from './virtual-services.ts';

const SETTINGS = DEFAULT_MESH_SETTINGS;
const HOST = 'reviews.shop.svc.cluster.local';

function object(kind: string, namespace: string, name: string, spec: unknown, creationTimestamp = '2026-01-01T00:00:00Z'): MeshObject {
  return { apiVersion: 'v1', kind, metadata: { name, namespace, creationTimestamp }, spec };
}
const service = (name = 'reviews', ports: unknown[] = [{ name: 'http', port: 9080 }]): MeshObject =>
  object('Service', 'shop', name, { selector: { app: name }, ports });
const entry = (name: string, labels: Record<string, string>, extra: object = {}): MeshObject =>
  object('WorkloadEntry', 'shop', name, { address: '127.0.0.1', ports: { http: 21_000 }, labels, ...extra });
const route = (name: string, spec: object, created?: string, namespace = 'shop'): MeshObject =>
  object('VirtualService', namespace, name, { hosts: [HOST], ...spec }, created);
const to = (subset: string): object => ({ http: [{ route: [{ destination: { host: HOST, subset } }] }] });
const client = (changes: Partial<ProxyNode> = {}): ProxyNode =>
  proxyNode('web', 'shop', { httpProxyPort: 15_001, upstreams: [{ host: HOST, port: 9080, listenPort: 21_010 }], ...changes });

const translated = (objects: MeshObject[], node = client()): ResourceSet => translate(buildMesh(objects, SETTINGS), node, SETTINGS);
function routesOf(objects: MeshObject[], node = client()): Record<string, JsonObject>[] {
  const config = decoded(translated(objects, node), TYPE_URL.route, `${HOST}:9080`) as unknown as { virtualHosts: [{ routes?: Record<string, JsonObject>[] }] };
  return config.virtualHosts[0].routes ?? [];
}

test('the VirtualService that wins: exact host before wildcard, private before public, then the oldest', () => {
  const winner = (...objects: MeshObject[]): string | undefined => claimants(buildMesh(objects, SETTINGS), HOST, 'shop')[0]?.metadata.name;
  expect(winner(route('young', to('v1'), '2026-03-01T00:00:00Z'), route('old', to('v1'), '2026-02-01T00:00:00Z'))).toBe('old');
  expect(winner(route('wild', { ...to('v1'), hosts: ['*.shop.svc.cluster.local'] }, '2025-01-01T00:00:00Z'), route('exact', to('v1')))).toBe('exact');
  expect(winner(route('public', to('v1'), '2025-01-01T00:00:00Z'), route('private', { ...to('v1'), exportTo: ['.'] }))).toBe('private');
  expect(winner(route('elsewhere', { ...to('v1'), exportTo: ['.'] }, '2025-01-01T00:00:00Z', 'other'), route('here', to('v1')))).toBe('here');
  expect(winner(route('gateways', { ...to('v1'), gateways: ['gw'] }))).toBeUndefined();
});

test('what a host is: what the own namespace has to its sidecars, else a Service, else an entry exported by name, else the oldest public one', () => {
  const entryOf = (namespace: string, exportTo: string[], created?: string): MeshObject =>
    object('ServiceEntry', namespace, 'e', { hosts: [HOST], exportTo, ports: [{ number: 9080, name: 'http', protocol: 'HTTP' }] }, created);
  const owner = (from: string, ...objects: MeshObject[]): string | undefined => seen({ namespace: from, role: 'sidecar' }, ...objects)?.namespace;
  const seen = (client: Parameters<typeof serviceOf>[2], ...objects: MeshObject[]) => serviceOf(buildMesh(objects, SETTINGS), HOST, client);
  const [older, younger] = [entryOf('a', ['*'], '2025-01-01T00:00:00Z'), entryOf('b', ['*'])];
  expect(owner('web', younger, older)).toBe('a');
  expect(owner('web', older, entryOf('b', ['web']))).toBe('b');
  expect(owner('web', older, entryOf('b', ['web']), entryOf('web', ['.']))).toBe('web');
  expect(owner('web', older, entryOf('b', ['web']), entryOf('web', ['*']))).toBe('web');
  expect(owner('web', older, service())).toBe('shop');
  expect(owner('web', older, entryOf('web', ['.']), service())).toBe('web');
  expect(owner('shop', entryOf('shop', ['.']), service())).toBe('shop');
  expect(seen({ namespace: 'shop', role: 'sidecar' }, entryOf('shop', ['.']), service())?.entry).toBeUndefined();
  expect(seen({ namespace: 'web', role: 'router' }, older, entryOf('web', ['.']), service())?.namespace).toBe('shop');
  const named = (...names: string[]) =>
    servicesNamedBy(buildMesh([entryOf('web', ['.']), service()], SETTINGS), { namespace: 'web', role: 'sidecar', labels: {} }, names);
  expect(named('./*', 'shop/*').map((s) => s.namespace)).toEqual(['web']);
  expect(named('shop/*').map((s) => s.namespace)).toEqual(['shop']);
  const hidden = { ...service(), metadata: { ...service().metadata, annotations: { 'networking.istio.io/exportTo': '., test' } } };
  expect(owner('web', younger, hidden)).toBe('b');
  expect(owner('test', younger, hidden)).toBe('shop');
});

test('the DestinationRule that wins: client namespace, service namespace, root namespace; the same host is united', () => {
  const rule = (namespace: string, name: string, spec: object): MeshObject => object('DestinationRule', namespace, name, { host: HOST, ...spec });
  const found = (client: string, ...objects: MeshObject[]) => {
    const mesh = buildMesh([service(), ...objects], SETTINGS);
    const reviews = mesh.services.get(HOST)?.[0];
    if (reviews === undefined) throw new Error('no service');
    return destinationRuleFor(mesh, reviews, { namespace: client, labels: { app: 'web' } });
  };
  const here = rule('shop', 'here', { subsets: [{ name: 'v1' }] });
  const client = rule('web', 'client', { subsets: [{ name: 'c' }] });
  const root = rule(SETTINGS.rootNamespace, 'root', { subsets: [{ name: 'r' }] });
  expect(found('web', root, here, client)?.subsets?.map((s) => s.name)).toEqual(['c']);
  expect(found('other', root, here, client)?.subsets?.map((s) => s.name)).toEqual(['v1']);
  expect(found('other', root)?.subsets?.map((s) => s.name)).toEqual(['r']);
  expect(
    found(
      'shop',
      here,
      rule('shop', 'more', { host: 'reviews', subsets: [{ name: 'v1' }, { name: 'v2' }], trafficPolicy: { loadBalancer: { simple: 'RANDOM' } } }),
    ),
  ).toMatchObject({ subsets: [{ name: 'v1' }, { name: 'v2' }], trafficPolicy: { loadBalancer: { simple: 'RANDOM' } } });
});

test('source labels, namespaces and ports are decided here, and nothing follows a catch-all', () => {
  const objects = [
    service(),
    route('vs', {
      http: [
        { match: [{ sourceLabels: { app: 'other' } }], route: [{ destination: { host: HOST, subset: 'a' } }] },
        { match: [{ sourceNamespace: 'other' }, { port: 80 }], route: [{ destination: { host: HOST, subset: 'b' } }] },
        {
          name: 'canary',
          match: [{ name: 'cookie', headers: { 'X-User': { exact: 'jason' } }, sourceLabels: { app: 'web' } }],
          route: [{ destination: { host: HOST, subset: 'c' } }],
        },
        { route: [{ destination: { host: HOST, subset: 'd' } }] },
        { route: [{ destination: { host: HOST, subset: 'e' } }] },
      ],
    }),
  ];
  expect(routesOf(objects).map((r) => [r['name'], (r['route'] as { cluster: string }).cluster.split('|')[2]])).toEqual([
    ['canary.cookie', 'c'],
    [undefined, 'd'],
  ]);
  expect(routesOf(objects)[0]?.['match']).toEqual({ prefix: '/', headers: [{ name: 'x-user', stringMatch: { exact: 'jason' } }] });
  expect(routesOf(objects)[1]).toMatchObject({
    metadata: { filterMetadata: { istio: { config: '/apis/networking.istio.io/v1/namespaces/shop/virtual-service/vs', route: 'http[3]' } } },
  });
});

test('a VirtualService without any route for a client leaves the host to the next one, at last to the service', () => {
  const elsewhere = route('vs', { http: [{ match: [{ port: 80 }], route: [{ destination: { host: HOST, subset: 'v1' } }] }] });
  const younger = route('younger', to('v2'), '2026-02-01T00:00:00Z');
  expect(routesOf([service(), elsewhere]).map((r) => r['name'])).toEqual(['default']);
  expect(routesOf([service(), elsewhere, younger])).toMatchObject([{ route: { cluster: `outbound|9080|v2|${HOST}` } }]);
});

test('faults without a percentage hit nobody; retries default to two safe ones; attempts 0 switches them off', () => {
  const [rule] = routesOf([
    service(),
    route('vs', {
      http: [
        {
          fault: { delay: { fixedDelay: '2s' }, abort: { httpStatus: 418, percentage: { value: 12.5 } } },
          retries: { attempts: 0 },
          timeout: '3s',
          route: [{ destination: { host: HOST } }],
        },
      ],
    }),
  ]);
  expect(rule).toMatchObject({
    typedPerFilterConfig: {
      'envoy.filters.http.fault': {
        delay: { fixedDelay: '2s', percentage: {} },
        abort: { httpStatus: 418, percentage: { numerator: 125_000, denominator: 'MILLION' } },
      },
    },
    route: { timeout: '3s' },
  });
  expect(JSON.stringify(rule)).not.toContain('retryPolicy');
  const [plain] = routesOf([service()]);
  expect(plain).toMatchObject({
    name: 'default',
    route: {
      timeout: '0s',
      hostRewriteLiteral: `${HOST}:9080`,
      retryPolicy: { numRetries: 2, retryOn: 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes' },
    },
  });
});

test('a delegate takes over under both matches, with its own namespace for short names', () => {
  const objects = [
    service(),
    route('root', { http: [{ name: 'r', match: [{ uri: { prefix: '/api' } }], timeout: '5s', delegate: { name: 'leaf', namespace: 'team' } }] }),
    object('VirtualService', 'team', 'leaf', {
      http: [
        { name: 'in', match: [{ uri: { prefix: '/api/v2' } }], route: [{ destination: { host: 'backend' } }] },
        { name: 'out', match: [{ uri: { prefix: '/else' } }], route: [{ destination: { host: 'backend' } }] },
      ],
    }),
  ];
  expect(routesOf(objects)).toMatchObject([
    { name: 'r-in', match: { prefix: '/api/v2' }, route: { cluster: 'outbound|9080||backend.team.svc.cluster.local', timeout: '5s' } },
  ]);
});

test('a destination of its own may set the Host, unless the route does', () => {
  const split = (headers?: object): MeshObject =>
    route('vs', {
      http: [
        {
          ...(headers === undefined ? {} : { headers }),
          route: [
            { destination: { host: HOST, subset: 'v1' }, weight: 1, headers: { request: { set: { Host: 'one' } } } },
            { destination: { host: HOST, subset: 'v2' }, weight: 1 },
          ],
        },
      ],
    });
  expect(routesOf([service(), split()])).toMatchObject([{ route: { weightedClusters: { clusters: [{ hostRewriteLiteral: 'one' }, {}] } } }]);
  const [both] = routesOf([service(), split({ request: { set: { Host: 'all' } } })]);
  expect(both).toMatchObject({ route: { hostRewriteLiteral: 'all' } });
  expect(JSON.stringify(both)).not.toContain('one');
});

test('names of a service in the Host-keyed listener follow the client namespace', () => {
  const domains = (namespace: string): string[] =>
    (
      (decoded(translated([service()], client({ namespace })), TYPE_URL.route, 'http_proxy')['virtualHosts'] as { domains: string[] }[])[0]?.domains ?? []
    ).filter((d) => !d.includes(':'));
  expect(domains('shop')).toEqual([HOST, `${HOST}.`, 'reviews', 'reviews.shop.svc', 'reviews.shop']);
  expect(domains('other')).toEqual([HOST, `${HOST}.`, 'reviews.shop.svc', 'reviews.shop']);
});

test('endpoints carry identity and health; mutual TLS only where the workload takes it', () => {
  const objects = [
    service(),
    entry('reviews-v1', { app: 'reviews', version: 'v1', 'security.istio.io/tlsMode': 'istio' }, { serviceAccount: 'sa1', weight: 3 }),
    {
      ...entry('legacy', { app: 'reviews' }),
      metadata: { name: 'legacy', namespace: 'shop', creationTimestamp: '2025-01-01T00:00:00Z', annotations: { 'weft.dev/health': 'unhealthy' } },
    },
  ];
  const name = `outbound|9080||${HOST}`;
  const endpoints = decoded(translated(objects), TYPE_URL.endpoint, name);
  expect(endpoints).toMatchObject({
    endpoints: [
      {
        lbEndpoints: [
          { healthStatus: 'UNHEALTHY', metadata: { filterMetadata: { 'weft.peer': { workload: 'legacy', principal: '' } } } },
          {
            healthStatus: 'HEALTHY',
            loadBalancingWeight: 3,
            metadata: {
              filterMetadata: {
                'envoy.transport_socket_match': { tlsMode: 'istio' },
                'weft.peer': { workload: 'reviews-v1', version: 'v1', principal: 'spiffe://cluster.local/ns/shop/sa/sa1' },
              },
            },
          },
        ],
      },
    ],
  });
  const disabled = decoded(
    translated([
      ...objects,
      object('PeerAuthentication', 'shop', 'port', { selector: { matchLabels: { app: 'reviews' } }, portLevelMtls: { '9080': { mode: 'DISABLE' } } }),
    ]),
    TYPE_URL.endpoint,
    name,
  );
  expect(JSON.stringify(disabled)).not.toContain('tlsMode');
});

test('a TCP port is a tcp_proxy that follows the tcp rules', () => {
  const objects = [
    service('reviews', [{ name: 'tcp-db', port: 9080 }]),
    route('vs', {
      tcp: [
        { match: [{ sourceLabels: { app: 'other' } }], route: [{ destination: { host: 'x' } }] },
        {
          route: [
            { destination: { host: HOST, subset: 'v1' }, weight: 80 },
            { destination: { host: HOST, subset: 'v2' }, weight: 20 },
          ],
        },
      ],
    }),
  ];
  expect(decoded(translated(objects), TYPE_URL.listener, `${HOST}_9080`)).toMatchObject({
    filterChains: [{ filters: [{ typedConfig: { weightedClusters: { clusters: [{ name: `outbound|9080|v1|${HOST}`, weight: 80 }, { weight: 20 }] } } }] }],
  });
});

test('a proxyless gRPC client finds every HTTP service by its target name, with its route timeout as stream duration', () => {
  const set = translated(
    [service(), service('db', [{ name: 'tcp', port: 3306 }]), route('vs', { http: [{ timeout: '2s', route: [{ destination: { host: HOST } }] }] })],
    client({ dataPlane: 'grpc', upstreams: [], httpProxyPort: 0 }),
  );
  expect([...set[TYPE_URL.listener].keys()]).toEqual([`${HOST}:9080`]);
  expect(decoded(set, TYPE_URL.route, `${HOST}:9080`)).toMatchObject({
    virtualHosts: [{ routes: [{ route: { maxStreamDuration: { maxStreamDuration: '2s' } } }] }],
  });
});

test('two workloads share clusters byte for byte but not the routes that name them to their peers', () => {
  const mesh = buildMesh([service(), entry('reviews-v1', { app: 'reviews' })], SETTINGS);
  const one = translate(mesh, client(), SETTINGS);
  const two = translate(mesh, client({ workload: 'other' }), SETTINGS);
  const cluster = `outbound|9080||${HOST}`;
  expect(two[TYPE_URL.cluster].get(cluster)).toBe(one[TYPE_URL.cluster].get(cluster));
  expect(two[TYPE_URL.route].get(`${HOST}:9080`)?.version).not.toBe(one[TYPE_URL.route].get(`${HOST}:9080`)?.version);
});

test('what no mesh uses any more is forgotten', () => {
  let mesh = buildMesh([service()], SETTINGS);
  for (let i = 0; i < 1_000; i++) {
    mesh = buildMesh([service(), route('vs', { http: [{ timeout: `${i + 1}s`, route: [{ destination: { host: HOST } }] }] })], SETTINGS, mesh);
    translate(mesh, client(), SETTINGS);
  }
  expect(mesh.memo.size).toBeLessThan(1_000);
});

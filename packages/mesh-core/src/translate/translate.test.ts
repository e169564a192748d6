import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parseYaml, validateObject } from '../config/index.ts';
import { DEFAULT_MESH_SETTINGS, type MeshObject, type ProxyNode } from '../model/index.ts';
import { type ResourceSet, TYPE_URL } from '../xds/index.ts';
import { buildMesh, mtlsModeOf } from './mesh.ts';
import { proxyNode } from './testing/proxy-node.ts';
import { decoded, envoyBinary, staticBootstrap } from './testing/static-envoy.ts';
import { translate } from './translate.ts';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../../..');

function objectsOf(text: string): MeshObject[] {
  return parseYaml(text).documents.map((d) => {
    const { object, problems } = validateObject(d.value, d);
    if (object === undefined) throw new Error(JSON.stringify(problems));
    return object;
  });
}

const workload = (service: string, version: string, port: number): MeshObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'WorkloadEntry',
  metadata: { name: `${service}-${version}`, namespace: 'bookinfo' },
  spec: {
    address: '127.0.0.1',
    ports: { http: port },
    labels: { app: service, version, 'security.istio.io/tlsMode': 'istio' },
    serviceAccount: `bookinfo-${service}`,
  },
});
const BOOKINFO = [
  ...objectsOf(readFileSync(join(root, 'examples/bookinfo/bookinfo.yaml'), 'utf8')),
  workload('productpage', 'v1', 21_001),
  workload('reviews', 'v1', 21_002),
  workload('reviews', 'v2', 21_003),
  workload('ratings', 'v1', 21_004),
];

function node(dataPlane: ProxyNode['dataPlane'], role: ProxyNode['role'] = 'sidecar'): ProxyNode {
  const gateway = { labels: { istio: 'ingressgateway' } };
  const sidecar = {
    labels: { app: 'productpage', version: 'v1' },
    httpProxyPort: 15_001,
    inbound: [{ name: 'http', servicePort: 9080, listenPort: 21_001, appPort: 9999 }],
    upstreams: [{ host: 'reviews.bookinfo.svc.cluster.local', port: 9080, listenPort: 21_010 }],
  };
  const identity = { trustDomain: 'cluster.local', namespace: 'bookinfo', serviceAccount: 'bookinfo-productpage' };
  return proxyNode('productpage-v1', 'bookinfo', { role, dataPlane, identity, adminPort: 15_000, ...(role === 'router' ? gateway : sidecar) });
}

const all = (objects: MeshObject[], dataPlane: ProxyNode['dataPlane'] = 'embedded', role: ProxyNode['role'] = 'sidecar'): ResourceSet =>
  translate(buildMesh(objects, DEFAULT_MESH_SETTINGS), node(dataPlane, role), DEFAULT_MESH_SETTINGS);

test('a 90/10 VirtualService becomes weighted subset clusters', () => {
  const routes = decoded(all(BOOKINFO), TYPE_URL.route, 'reviews.bookinfo.svc.cluster.local:9080');
  expect(routes).toMatchObject({
    virtualHosts: [
      {
        domains: ['*'],
        routes: [
          {
            route: {
              weightedClusters: {
                clusters: [
                  { name: 'outbound|9080|v1|reviews.bookinfo.svc.cluster.local', weight: 90 },
                  { name: 'outbound|9080|v2|reviews.bookinfo.svc.cluster.local', weight: 10 },
                ],
              },
              retryPolicy: { numRetries: 2 },
            },
          },
        ],
      },
    ],
  });
});

test('the subset cluster checks the exact identity of its workloads and carries the pool and outlier settings', () => {
  const cluster = decoded(all(BOOKINFO), TYPE_URL.cluster, 'outbound|9080|v1|reviews.bookinfo.svc.cluster.local');
  expect(cluster).toMatchObject({
    circuitBreakers: { thresholds: [{ maxConnections: 100 }] },
    outlierDetection: { consecutive5xx: 5, interval: '30s', maxEjectionPercent: 100 },
  });
  expect(JSON.stringify(cluster)).toContain('spiffe://cluster.local/ns/bookinfo/sa/bookinfo-reviews');
});

test('the leg between sidecars negotiates HTTP/2 by ALPN wherever no connection can be plaintext for Envoy', () => {
  const name = 'outbound|9080||reviews.bookinfo.svc.cluster.local';
  const options = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  const protocolOf = (objects: MeshObject[], dataPlane: ProxyNode['dataPlane']): string => {
    const cluster = decoded(all(objects, dataPlane), TYPE_URL.cluster, name);
    const { autoConfig } = (cluster['typedExtensionProtocolOptions'] as Record<string, { autoConfig?: unknown }>)[options] ?? {};
    const alpn = /"alpnProtocols":\[([^\]]*)\]/.exec(JSON.stringify(cluster))?.[1] ?? '';
    return `${autoConfig === undefined ? 'explicit' : 'auto'} ${alpn} ${'transportSocket' in cluster ? 'TLS only' : 'by endpoint'}`;
  };
  const mixed = BOOKINFO.map((o) =>
    o.kind === 'WorkloadEntry' && o.metadata.name.startsWith('reviews-v2')
      ? (JSON.parse(JSON.stringify(o).replaceAll('"security.istio.io/tlsMode":"istio"', '"x":"y"')) as MeshObject)
      : o,
  );
  expect(mixed).not.toEqual(BOOKINFO);
  const both = '"h2","http/1.1"';
  expect(protocolOf(BOOKINFO, 'envoy')).toBe(`auto ${both} TLS only`);
  expect(protocolOf(BOOKINFO, 'embedded')).toBe(`auto ${both} TLS only`);
  expect(protocolOf(mixed, 'envoy')).toBe('explicit "http/1.1" by endpoint');
  expect(protocolOf(mixed, 'embedded')).toBe(`auto ${both} by endpoint`);
});

test('STRICT leaves no plaintext chain, PERMISSIVE both, DISABLE no TLS', () => {
  for (const [mode, chains] of [
    ['STRICT', ['mtls']],
    ['PERMISSIVE', ['mtls', 'plaintext']],
    ['DISABLE', ['plaintext']],
  ] as const) {
    const objects = BOOKINFO.map((o) => (o.kind === 'PeerAuthentication' ? { ...o, spec: { mtls: { mode } } } : o));
    const listener = decoded(all(objects), TYPE_URL.listener, 'virtualInbound_21001');
    expect((listener['filterChains'] as { name: string }[]).map((c) => c.name)).toEqual(chains);
  }
});

test('the oldest PeerAuthentication of a scope wins, workload before namespace', () => {
  const pa = (name: string, creationTimestamp: string, spec: unknown): MeshObject => ({
    apiVersion: 'security.istio.io/v1',
    kind: 'PeerAuthentication',
    metadata: { name, namespace: 'a', creationTimestamp },
    spec,
  });
  const mesh = buildMesh(
    [
      pa('young', '2026-02-01T00:00:00Z', { mtls: { mode: 'DISABLE' } }),
      pa('old', '2026-01-01T00:00:00Z', { mtls: { mode: 'STRICT' } }),
      pa('one', '2026-03-01T00:00:00Z', { selector: { matchLabels: { app: 'x' } }, mtls: { mode: 'PERMISSIVE' } }),
    ],
    DEFAULT_MESH_SETTINGS,
  );
  expect(mtlsModeOf(mesh, 'a', { app: 'y' }, 80)).toBe('STRICT');
  expect(mtlsModeOf(mesh, 'a', { app: 'x' }, 80)).toBe('PERMISSIVE');
});

test('what did not change is not encoded again', () => {
  const first = buildMesh(BOOKINFO, DEFAULT_MESH_SETTINGS);
  const before = translate(first, node('embedded'), DEFAULT_MESH_SETTINGS);
  const changed = BOOKINFO.map((o) =>
    o.kind === 'VirtualService' && o.metadata.name === 'reviews'
      ? (JSON.parse(JSON.stringify(o).replace('90', '50').replace('"weight":10', '"weight":50')) as MeshObject)
      : o,
  );
  const after = translate(buildMesh(changed, DEFAULT_MESH_SETTINGS, first), node('embedded'), DEFAULT_MESH_SETTINGS);
  expect(after[TYPE_URL.cluster].get('BlackHoleCluster')).toBe(before[TYPE_URL.cluster].get('BlackHoleCluster'));
  const name = 'reviews.bookinfo.svc.cluster.local:9080';
  expect(after[TYPE_URL.route].get(name)?.version).not.toBe(before[TYPE_URL.route].get(name)?.version);
});

const envoy = envoyBinary();

test.skipIf(envoy === undefined).each(['sidecar', 'router'] as const)('stock Envoy accepts what a %s is sent', (role) => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-envoy-'));
  try {
    const file = join(dir, 'bootstrap.json');
    writeFileSync(file, JSON.stringify(staticBootstrap(all(BOOKINFO, 'envoy', role))));
    const output = execFileSync(envoy ?? '', ['--mode', 'validate', '-c', file, '--disable-hot-restart'], { encoding: 'utf8', stdio: 'pipe' });
    expect(output).toContain('OK');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

test('who asks is told to sidecars only, not where a request or a copy of it leaves the mesh', () => {
  const more = objectsOf(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: outside, namespace: bookinfo }
spec: { hosts: [api.example.com], location: MESH_EXTERNAL, resolution: DNS, ports: [{ number: 80, name: http, protocol: HTTP }] }
---
apiVersion: v1
kind: Service
metadata: { name: bare, namespace: bookinfo }
spec: { selector: { app: bare }, ports: [{ name: http, port: 80 }] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: bare, namespace: bookinfo }
spec: { address: 127.0.0.1, labels: { app: bare }, ports: { http: 8080 } }
---
apiVersion: v1
kind: Service
metadata: { name: empty, namespace: bookinfo }
spec: { selector: { app: empty }, ports: [{ name: http, port: 80 }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: details, namespace: bookinfo }
spec:
  hosts: [details]
  http:
    - { match: [{ uri: { prefix: /share } }], route: [{ destination: { host: details }, weight: 90 }, { destination: { host: api.example.com }, weight: 10 }] }
    - { match: [{ uri: { prefix: /copy } }], route: [{ destination: { host: details } }], mirror: { host: bare } }
    - { match: [{ uri: { prefix: /drop } }], route: [{ destination: { host: bare } }], headers: { request: { remove: [x-own] } } }
    - { match: [{ uri: { prefix: /away } }], redirect: { uri: / } }
    - { route: [{ destination: { host: details } }] }`);
  const set = translate(buildMesh([...BOOKINFO, ...more], DEFAULT_MESH_SETTINGS), node('envoy'), DEFAULT_MESH_SETTINGS);
  type Level = {
    name: string;
    match?: { prefix: string };
    requestHeadersToRemove?: string[];
    routes?: Level[];
  };
  const { virtualHosts, mostSpecificHeaderMutationsWins } = decoded(set, TYPE_URL.route, 'http_proxy') as {
    mostSpecificHeaderMutationsWins: boolean;
    virtualHosts: Level[];
  };
  expect(mostSpecificHeaderMutationsWins).toBe(true);
  const dropped = virtualHosts
    .flatMap((host) => [host, ...(host.routes ?? [])])
    .filter(({ requestHeadersToRemove = [] }) => requestHeadersToRemove.length > 0)
    .map(({ name, match, requestHeadersToRemove }) => [match?.prefix ?? name, requestHeadersToRemove]);
  expect(dropped).toEqual([
    ['api.example.com:80', ['x-weft-peer']],
    ['bare.bookinfo.svc.cluster.local:80', ['x-weft-peer']],
    ['/share', ['x-weft-peer']],
    ['/copy', ['x-weft-peer']],
    ['/drop', ['x-own', 'x-weft-peer']],
    ['allow_any', ['x-weft-peer']],
  ]);
});

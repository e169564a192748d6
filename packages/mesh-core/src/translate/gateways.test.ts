import { expect, test } from 'vitest';
import { DEFAULT_MESH_SETTINGS, type MeshObject, type ProxyNode } from '../model/index.ts';
import { TYPE_URL } from '../xds/index.ts';
import { unservedServers } from './gateways.ts';
import { buildMesh } from './mesh.ts';
import { decoded } from './testing/static-envoy.ts';
import { translate } from './translate.ts';

const NODE: ProxyNode = {
  id: 'router~127.0.0.1~ingress.edge~edge.svc.cluster.local',
  role: 'router',
  dataPlane: 'embedded',
  ip: '127.0.0.1',
  workload: 'ingress',
  namespace: 'edge',
  identity: { trustDomain: 'cluster.local', namespace: 'edge', serviceAccount: 'ingress' },
  labels: { istio: 'ingressgateway' },
  locality: '',
  httpProxyPort: 0,
  inbound: [],
  upstreams: [],
  adminPort: 0,
  version: '0.1.0',
};
const object = (kind: string, name: string, spec: unknown, creationTimestamp = '2026-01-01T00:00:00Z', namespace = 'shop'): MeshObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name, namespace, creationTimestamp },
  spec,
});
const server = (protocol: string, hosts: string[], extra: object = {}): object => ({
  port: { number: 8080, name: protocol.toLowerCase(), protocol },
  hosts,
  ...extra,
});
const gateway = (...servers: object[]): MeshObject => object('Gateway', 'gw', { selector: { istio: 'ingressgateway' }, servers });
const vs = (name: string, hosts: string[], http: object[], created?: string, namespace?: string): MeshObject =>
  object('VirtualService', name, { hosts, gateways: ['shop/gw'], http }, created, namespace);
const to = (host: string, match?: object): object => ({
  ...(match === undefined ? {} : { match: [match] }),
  route: [{ destination: { host, port: { number: 80 } } }],
});

function virtualHosts(
  objects: MeshObject[],
  name = 'http.8080',
): { domains: string[]; routes?: { name: string; route?: { cluster: string }; redirect?: object }[]; requireTls?: string }[] {
  const mesh = buildMesh(objects, DEFAULT_MESH_SETTINGS);
  return decoded(translate(mesh, NODE, DEFAULT_MESH_SETTINGS), TYPE_URL.route, name)['virtualHosts'] as never;
}

test('rules of several VirtualServices for one host are joined by age, catch-alls last; without any there is a black hole', () => {
  const hosts = virtualHosts([
    gateway(server('HTTP', ['*'])),
    vs('young', ['shop.test'], [to('b', { uri: { prefix: '/b' } })], '2026-02-01T00:00:00Z'),
    vs('old', ['shop.test'], [to('a', { uri: { prefix: '/a' } }), to('rest')]),
  ]);
  expect(hosts.map((h) => h.domains)).toEqual([['shop.test']]);
  expect(hosts[0]?.routes?.map((r) => r.route?.cluster.split('|')[3]?.split('.')[0])).toEqual(['a', 'b', 'rest']);
  expect(virtualHosts([gateway(server('HTTP', ['*']))])).toMatchObject([{ name: 'blackhole:8080', domains: ['*'] }]);
});

test('a wildcard VirtualService gets no more hosts than the server has, and only from namespaces it admits', () => {
  expect(virtualHosts([gateway(server('HTTP', ['shop.test'])), vs('any', ['*'], [to('a')])]).map((h) => h.domains[0])).toEqual(['shop.test']);
  expect(virtualHosts([gateway(server('HTTP', ['./*'])), vs('foreign', ['shop.test'], [to('a')], undefined, 'other')]).map((h) => h.domains[0])).toEqual(['*']);
});

test('httpsRedirect asks for TLS on every host of its server, routed or not', () => {
  const hosts = virtualHosts([gateway(server('HTTP', ['a.test', '*.b.test'], { tls: { httpsRedirect: true } })), vs('v', ['a.test'], [to('a')])]);
  expect(hosts).toMatchObject([
    { domains: ['a.test'], requireTls: 'ALL', routes: [{}] },
    { domains: ['*.b.test'], requireTls: 'ALL' },
  ]);
});

test('a server with certificates of the mesh is served by SNI; one whose certificate is not to be had is named', () => {
  const objects = [
    gateway(server('HTTPS', ['a.test'], { tls: { mode: 'ISTIO_MUTUAL' }, bind: '127.0.0.2' }), {
      port: { number: 8443, name: 'x', protocol: 'HTTPS' },
      hosts: ['*'],
      tls: { mode: 'SIMPLE', credentialName: 'cert' },
    }),
    vs('v', ['a.test'], [to('a')]),
  ];
  const mesh = buildMesh(objects, DEFAULT_MESH_SETTINGS);
  const set = translate(mesh, NODE, DEFAULT_MESH_SETTINGS);
  expect([...set[TYPE_URL.listener].keys()]).toEqual(['127.0.0.1_8080']);
  expect(decoded(set, TYPE_URL.listener, '127.0.0.1_8080')).toMatchObject({
    address: { socketAddress: { address: '127.0.0.2' } },
    filterChains: [{ filterChainMatch: { serverNames: ['a.test'] }, filters: [{ typedConfig: { rds: { routeConfigName: 'https.8080.https.gw.shop' } } }] }],
  });
  expect(virtualHosts(objects, 'https.8080.https.gw.shop')[0]?.domains).toEqual(['a.test']);
  expect(unservedServers(mesh, NODE)).toMatchObject([{ gateway: 'shop/gw', port: 8443 }]);
});

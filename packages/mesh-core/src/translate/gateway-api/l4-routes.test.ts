// Where connections go by TCPRoutes and TLSRoutes; what the objects become is compared with Istio's in corpus.test.ts.

import type { JsonObject } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { parseYaml, validateObject } from '../../config/index.ts';
import { DEFAULT_MESH_SETTINGS, type MeshObject, type ProxyNode } from '../../model/index.ts';
import { TYPE_URL } from '../../xds/index.ts';
import { buildMesh } from '../mesh.ts';
import { proxyNode } from '../testing/proxy-node.ts';
import { decoded } from '../testing/static-envoy.ts';
import { translate } from '../translate.ts';

const HOST = 'db.shop.svc.cluster.local';
const sidecar = (namespace: string): ProxyNode =>
  proxyNode('w', namespace, { dataPlane: 'envoy', upstreams: [5432, 5433, 443].map((port) => ({ host: HOST, port, listenPort: port })) });
const ROUTER: ProxyNode = { ...sidecar('shop'), role: 'router', upstreams: [], labels: { 'gateway.networking.k8s.io/gateway-name': 'edge' } };

function objects(...texts: string[]): MeshObject[] {
  const services = ['db', 'other'].map(
    (name) =>
      `{ apiVersion: v1, kind: Service, metadata: { name: ${name}, namespace: shop }, spec: { ports: [{ name: tcp, port: 5432 }, { name: tcp-b, port: 5433 }, { name: tls, port: 443 }] } }`,
  );
  const secret = '{ apiVersion: v1, kind: Secret, metadata: { name: cert, namespace: shop }, stringData: { tls.crt: a, tls.key: b } }';
  return parseYaml([...services, secret, ...texts].join('\n---\n')).documents.map(({ value }) => {
    const { object, problems } = validateObject({ apiVersion: 'gateway.networking.k8s.io/v1', ...(value as object) });
    expect(problems).toEqual([]);
    return object as MeshObject;
  });
}
const route = (kind: 'TCPRoute' | 'TLSRoute', spec: string, namespace = 'shop'): string =>
  `{ kind: ${kind}, metadata: { name: r, namespace: ${namespace} }, spec: { ${spec} } }`;
const toDb = (port?: number, namespace = ''): string =>
  `parentRefs: [{ group: "", kind: Service, name: db${namespace}${port === undefined ? '' : `, port: ${port}`} }]`;
const backends = (...list: string[]): string => `rules: [{ backendRefs: [${list.map((b) => `{ ${b} }`).join(', ')}] }]`;

type Chain = { name: string; filterChainMatch?: { serverNames?: string[] }; filters: { typedConfig: JsonObject }[]; transportSocket?: object };
/** By SNI (`*` is every connection) the clusters a listener's connections go to, with weights where there are several; `+tls` where TLS ends there. */
function chainsOf(node: ProxyNode, listener: string, all: MeshObject[]): Record<string, unknown> {
  const config = decoded(translate(buildMesh(all, DEFAULT_MESH_SETTINGS), node, DEFAULT_MESH_SETTINGS), TYPE_URL.listener, listener) as unknown as {
    filterChains: Chain[];
    defaultFilterChain?: Chain;
  };
  return Object.fromEntries(
    [...config.filterChains, ...(config.defaultFilterChain === undefined ? [] : [config.defaultFilterChain])].map((chain) => {
      const { cluster, weightedClusters } = chain.filters.at(-1)?.typedConfig as {
        cluster?: string;
        weightedClusters?: { clusters: { name: string; weight: number }[] };
      };
      const to = cluster ?? Object.fromEntries(weightedClusters?.clusters.map((c) => [c.name, c.weight]) ?? []);
      return [`${chain.filterChainMatch?.serverNames?.join(' ') ?? '*'}${chain.transportSocket === undefined ? '' : '+tls'}`, to];
    }),
  );
}
const cluster = (name: string, port: number): string => `outbound|${port}||${name}.shop.svc.cluster.local`;

test('a TCPRoute on a Service: all its ports or the one it names; weights; without any nobody answers', () => {
  const everywhere = objects(route('TCPRoute', `${toDb()}, ${backends('name: other, port: 5432')}`));
  expect([5432, 5433].map((port) => chainsOf(sidecar('web'), `${HOST}_${port}`, everywhere))).toEqual(
    Array.from({ length: 2 }, () => ({ '*': cluster('other', 5432) })),
  );
  const one = objects(
    route('TCPRoute', `${toDb(5433)}, ${backends('name: other, port: 5432, weight: 3', 'name: db, port: 5433', 'name: db, port: 5432, weight: 0')}`),
  );
  expect(chainsOf(sidecar('web'), `${HOST}_5432`, one)).toEqual({ '*': cluster('db', 5432) });
  expect(chainsOf(sidecar('web'), `${HOST}_5433`, one)).toEqual({ '*': { [cluster('other', 5432)]: 3, [cluster('db', 5433)]: 1 } });
  const nobody = objects(route('TCPRoute', `${toDb()}, ${backends('name: other, port: 5432, weight: 0')}`));
  expect(chainsOf(sidecar('web'), `${HOST}_5432`, nobody)).toEqual({ '*': 'outbound|65535||UnknownService.shop.svc.cluster.local' });
});

test("a route in the client's namespace is for the clients there, and before the Service's own", () => {
  const all = objects(
    route('TCPRoute', `${toDb()}, ${backends('name: other, port: 5432')}`),
    route('TCPRoute', `${toDb(undefined, ', namespace: shop')}, ${backends('name: other, namespace: shop, port: 5433')}`, 'web'),
  );
  expect(chainsOf(sidecar('web'), `${HOST}_5432`, all)).toEqual({ '*': cluster('other', 5433) });
  expect(chainsOf(sidecar('elsewhere'), `${HOST}_5432`, all)).toEqual({ '*': cluster('other', 5432) });
});

test('a TLSRoute on a Service goes by its names, others go where they did; in v1alpha2 without names by the host of the Service', () => {
  const named = objects(route('TLSRoute', `hostnames: [a.test, "*.b.test"], ${toDb(443)}, ${backends('name: other, port: 443')}`));
  expect(chainsOf(sidecar('web'), `${HOST}_443`, named)).toEqual({ 'a.test *.b.test': cluster('other', 443), '*': cluster('db', 443) });
  const nameless = objects(
    route('TLSRoute', `${toDb()}, ${backends('name: other, port: 443')}`).replace('{ kind', '{ apiVersion: gateway.networking.k8s.io/v1alpha2, kind'),
  );
  expect(chainsOf(sidecar('web'), `${HOST}_443`, nameless)).toEqual({ [HOST]: cluster('other', 443), '*': cluster('db', 443) });
});

const gateway = (...listeners: string[]): string =>
  `{ kind: Gateway, metadata: { name: edge, namespace: shop }, spec: { gatewayClassName: istio, listeners: [${listeners.join(', ')}] } }`;
const attached = (kind: 'TCPRoute' | 'TLSRoute', name: string, section: string, spec: string): string =>
  route(kind, `parentRefs: [{ name: edge, sectionName: ${section} }], ${spec}`).replace('name: r,', `name: ${name},`);

test('at a Gateway: TCP by port, TLS by name, passed on or ended here; what nobody routes has no chain', () => {
  const all = objects(
    gateway(
      '{ name: tcp, port: 5432, protocol: TCP }',
      '{ name: pass, port: 443, protocol: TLS, tls: { mode: Passthrough } }',
      '{ name: end, port: 443, protocol: TLS, hostname: "*.end.test", tls: { mode: Terminate, certificateRefs: [{ name: cert }] } }',
    ),
    attached('TCPRoute', 'db', 'tcp', backends('name: db, port: 5432')),
    attached('TLSRoute', 'pass', 'pass', `hostnames: [a.test], ${backends('name: other, port: 443')}`),
    attached('TLSRoute', 'one', 'end', `hostnames: [one.end.test, elsewhere.test], ${backends('name: db, port: 5432')}`),
    attached('TLSRoute', 'two', 'end', `hostnames: ["*.test"], ${backends('name: db, port: 5433')}`),
  );
  expect(chainsOf(ROUTER, '127.0.0.1_5432', all)).toEqual({ '*': cluster('db', 5432) });
  expect(chainsOf(ROUTER, '127.0.0.1_443', all)).toEqual({
    'a.test': cluster('other', 443),
    'one.end.test+tls': cluster('db', 5432),
    '*.end.test+tls': cluster('db', 5433),
  });
});

test('a backend of another namespace needs its grant at a Gateway; TCP of a TLS listener is for all its names', () => {
  const listeners = gateway('{ name: end, port: 443, protocol: TLS, hostname: "*.end.test", tls: { mode: Terminate, certificateRefs: [{ name: cert }] } }');
  const to = attached('TCPRoute', 'far', 'end', backends('name: db, namespace: data, port: 5432'));
  const grant = (kind: string): string =>
    `{ apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant, metadata: { name: g, namespace: data }, spec: { from: [{ group: gateway.networking.k8s.io, kind: ${kind}, namespace: shop }], to: [{ group: "", kind: Service }] } }`;
  expect(chainsOf(ROUTER, '127.0.0.1_443', objects(listeners, to, grant('TLSRoute')))).toEqual({
    '*.end.test+tls': 'outbound|443||UnknownService.shop.svc.cluster.local',
  });
  expect(chainsOf(ROUTER, '127.0.0.1_443', objects(listeners, to, grant('TCPRoute')))).toEqual({
    '*.end.test+tls': 'outbound|5432||db.data.svc.cluster.local',
  });
});

// What proxies open for Gateways of the Gateway API; what becomes of the objects is compared with Istio's in corpus.test.ts.

import { expect, test } from 'vitest';
import { parseYaml, validateObject } from '../../config/index.ts';
import { DEFAULT_MESH_SETTINGS, type MeshObject, type ProxyNode } from '../../model/index.ts';
import { type ResourceSet, TYPE_URL } from '../../xds/index.ts';
import { buildMesh } from '../mesh.ts';
import { proxyNode } from '../testing/proxy-node.ts';
import { decoded } from '../testing/static-envoy.ts';
import { translate } from '../translate.ts';

const NODE = proxyNode('web', 'edge', {
  role: 'router',
  labels: { 'gateway.networking.k8s.io/gateway-name': 'web' },
  inbound: [{ name: 'http', servicePort: 80, listenPort: 21_080, appPort: 21_080 }],
});

/** Flow YAML of the parts; whole objects without their versions. */
function objects(...texts: string[]): MeshObject[] {
  return parseYaml(texts.join('\n---\n')).documents.map(({ value }) => {
    const { kind } = value as { kind: string };
    const apiVersion =
      kind === 'Service' || kind === 'Secret' || kind === 'Namespace' ? 'v1' : `gateway.networking.k8s.io/${kind === 'ReferenceGrant' ? 'v1beta1' : 'v1'}`;
    const { object, problems } = validateObject({ apiVersion, ...(value as object) });
    expect(problems).toEqual([]);
    return object as MeshObject;
  });
}
const translated = (all: MeshObject[], node: ProxyNode = NODE): ResourceSet => translate(buildMesh(all, DEFAULT_MESH_SETTINGS), node, DEFAULT_MESH_SETTINGS);
const gateway = (listeners: string, more = '', name = 'web', namespace = 'edge'): string =>
  `{ kind: Gateway, metadata: { name: ${name}, namespace: ${namespace} }, spec: { gatewayClassName: istio, ${more} listeners: [${listeners}] } }`;
const route = (name: string, spec: string, namespace = 'edge', kind = 'HTTPRoute'): string =>
  `{ kind: ${kind}, metadata: { name: ${name}, namespace: ${namespace} }, spec: { ${spec} } }`;
const to = (service: string, more = ''): string => `rules: [{ backendRefs: [{ name: ${service}, port: 80${more} }] }]`;
const HTTP = '{ name: http, port: 80, protocol: HTTP, allowedRoutes: { namespaces: { from: All } } }';

/** Domains and where their routes go. */
function hosts(set: ResourceSet, name = 'http.21080'): Record<string, string[]> {
  const { virtualHosts } = decoded(set, TYPE_URL.route, name) as unknown as {
    virtualHosts: { domains: string[]; routes?: { name: string; route?: { cluster?: string } }[] }[];
  };
  return Object.fromEntries(virtualHosts.map((v) => [v.domains.join(' '), (v.routes ?? []).map((r) => r.route?.cluster ?? r.name)]));
}

test('a Gateway is opened by the proxies of its name in its namespace, where they listen for its port', () => {
  const all = objects(gateway(HTTP), route('all', `parentRefs: [{ name: web }], ${to('shop')}`));
  const set = translated(all);
  expect([...set[TYPE_URL.listener].keys()]).toEqual(['127.0.0.1_21080']);
  expect(hosts(set)).toEqual({ '*': ['outbound|80||shop.edge.svc.cluster.local'] });
  expect([...translated(all, { ...NODE, namespace: 'elsewhere' })[TYPE_URL.listener].keys()]).toEqual([]);
  expect([...translated(all, { ...NODE, labels: { 'gateway.networking.k8s.io/gateway-name': 'other' } })[TYPE_URL.listener].keys()]).toEqual([]);
});

test('with an address of type Hostname it is opened by the proxies behind that Service; without such a Service nowhere', () => {
  const text = gateway(HTTP, 'addresses: [{ type: Hostname, value: ingress }],');
  const service = (namespace: string): string =>
    `{ kind: Service, metadata: { name: ingress, namespace: ${namespace} }, spec: { selector: { app: ingress }, ports: [{ name: http, port: 80 }] } }`;
  const node = { ...NODE, labels: { app: 'ingress' } };
  const opened = (...texts: string[]): number => translated(objects(text, ...texts), node)[TYPE_URL.listener].size;
  expect([opened(), opened(service('elsewhere')), opened(service('edge'))]).toEqual([0, 0, 1]);
  expect(translated(objects(text, service('edge')))[TYPE_URL.listener].size).toBe(0);
});

test('a class of somebody else, or none that is known, opens nothing', () => {
  const theirs = gateway(HTTP).replace('gatewayClassName: istio', 'gatewayClassName: theirs');
  const cls = (controller: string): string => `{ kind: GatewayClass, metadata: { name: theirs }, spec: { controllerName: ${controller} } }`;
  const opened = (...texts: string[]): number => translated(objects(theirs, ...texts))[TYPE_URL.listener].size;
  expect([opened(), opened(cls('example.com/theirs')), opened(cls('istio.io/gateway-controller'))]).toEqual([0, 0, 1]);
});

test('routes attach by section, port, host name, kind and namespace; a host goes to the listener that names it best', () => {
  const listeners = `{ name: any, port: 80, protocol: HTTP }, { name: wild, port: 80, protocol: HTTP, hostname: "*.shop.test", allowedRoutes: { namespaces: { from: Selector, selector: { matchLabels: { kubernetes.io/metadata.name: team } } } } },
    { name: grpc, port: 80, protocol: HTTP, hostname: rpc.test, allowedRoutes: { kinds: [{ kind: GRPCRoute }] } }`;
  const set = translated(
    objects(
      gateway(listeners),
      route('everywhere', `parentRefs: [{ name: web }], ${to('a')}`),
      route('section', `parentRefs: [{ name: web, sectionName: any }], hostnames: [one.test], ${to('b')}`),
      route('none', `parentRefs: [{ name: web, sectionName: nowhere }, { name: web, port: 81 }], hostnames: [lost.test], ${to('b')}`),
      route('team', `parentRefs: [{ name: web, namespace: edge }], hostnames: [cart.shop.test, lost.test], ${to('c')}`, 'team'),
      route('rpc', `parentRefs: [{ name: web, sectionName: grpc }], ${to('d')}`, 'edge', 'GRPCRoute'),
      route('not-rpc', `parentRefs: [{ name: web, sectionName: grpc }], ${to('e')}`),
    ),
  );
  expect(hosts(set)).toEqual({
    'cart.shop.test': ['outbound|80||c.team.svc.cluster.local'],
    'one.test': ['outbound|80||b.edge.svc.cluster.local'],
    'rpc.test': ['outbound|80||d.edge.svc.cluster.local'],
    '*': ['outbound|80||a.edge.svc.cluster.local'],
  });
});

test('a backend of another namespace needs a grant there; without it its share is answered 500', () => {
  const texts = [gateway(HTTP), route('cross', `parentRefs: [{ name: web }], ${to('shop', ', namespace: team')}`)];
  const grant = (kind: string): string =>
    `{ kind: ReferenceGrant, metadata: { name: g, namespace: team }, spec: { from: [{ group: gateway.networking.k8s.io, kind: ${kind}, namespace: edge }], to: [{ group: "", kind: Service, name: shop }] } }`;
  const cluster = (...more: string[]): string[] | undefined => hosts(translated(objects(...texts, ...more)))['*'];
  expect(cluster(grant('GRPCRoute'))).toEqual(['outbound|80||UnknownService.edge.svc.cluster.local']);
  expect(cluster(grant('HTTPRoute'))).toEqual(['outbound|80||shop.team.svc.cluster.local']);
});

test('of two listeners for the same connections the first has the port; protocols that are none are no ports', () => {
  const set = translated(
    objects(
      gateway(
        '{ name: a, port: 80, protocol: HTTP }, { name: b, port: 80, protocol: TCP }, { name: c, port: 81, protocol: UDP }, { name: d, port: 82, protocol: http }, { name: e, port: 83, protocol: HTTPS }',
      ),
    ),
  );
  expect([...set[TYPE_URL.listener].keys()]).toEqual(['127.0.0.1_21080']);
});

const chainsOf = (set: ResourceSet, name: string) =>
  (
    decoded(set, TYPE_URL.listener, name) as unknown as {
      filterChains: { filterChainMatch?: { serverNames: string[] }; transportSocket?: { typedConfig: object } }[];
    }
  ).filterChains;
const tls = (name: string, certificate: string, more = ''): string =>
  `{ name: ${name}, port: 443, protocol: HTTPS, hostname: ${name}.test, tls: { certificateRefs: [${certificate}] ${more} } }`;
const secret = (name: string, namespace: string): string =>
  `{ kind: Secret, metadata: { name: ${name}, namespace: ${namespace} }, stringData: { tls.crt: a, tls.key: b, ca.crt: c } }`;

test('TLS ends with the certificate the listener names, by SNI; one of another namespace needs a grant there', () => {
  const texts = [
    gateway([tls('own', '{ name: own }'), tls('theirs', '{ name: theirs, namespace: team }')].join(', ')),
    ...[secret('own', 'edge'), secret('theirs', 'team'), secret('other', 'team')],
  ];
  const grant = `{ kind: ReferenceGrant, metadata: { name: g, namespace: team }, spec: { from: [{ group: gateway.networking.k8s.io, kind: Gateway, namespace: edge }], to: [{ group: "", kind: Secret, name: theirs }] } }`;
  const set = translated(objects(...texts));
  const names = (all: ResourceSet): unknown[] => chainsOf(all, '127.0.0.1_443').map((c) => c.filterChainMatch?.serverNames);
  expect(names(translated(objects(...texts, grant)))).toEqual([['own.test'], ['theirs.test']]);
  const named = (all: ResourceSet): object | undefined => chainsOf(all, '127.0.0.1_443')[1]?.transportSocket?.typedConfig;
  const context = (name: string): object => ({ commonTlsContext: { tlsCertificateSdsSecretConfigs: [{ name }] } });
  expect(named(translated(objects(...texts, grant)))).toMatchObject(context('kubernetes-gateway://team/theirs'));
  // Proxies keep what they have: a grant that is gone counts for them only when nothing names the Secret any more.
  expect(names(set)).toEqual([['own.test']]);
  const secrets = (all: ResourceSet): string[] => [...all[TYPE_URL.secret].keys()].filter((name) => name.includes('://') && !name.endsWith('-cacert'));
  expect(secrets(set)).toEqual(['kubernetes-gateway://edge/own']);
  expect(secrets(translated(objects(...texts, grant))).toSorted()).toEqual(['kubernetes-gateway://edge/own', 'kubernetes-gateway://team/theirs']);
});

test("clients are asked for a certificate by the listener's option, or by the Gateway for all of a port", () => {
  const validation = 'tls: { frontend: { default: { validation: { caCertificateRefs: [{ group: "", kind: ConfigMap, name: roots }] } } } },';
  const known = [secret('own', 'edge'), '{ apiVersion: v1, kind: ConfigMap, metadata: { name: roots, namespace: edge }, data: { ca.crt: c } }'];
  const context = (text: string): object | undefined => chainsOf(translated(objects(text, ...known)), '127.0.0.1_443')[0]?.transportSocket?.typedConfig;
  expect(context(gateway(tls('a', '{ name: own }', ', options: { gateway.istio.io/tls-terminate-mode: MUTUAL }')))).toMatchObject({
    requireClientCertificate: true,
    commonTlsContext: { combinedValidationContext: { validationContextSdsSecretConfig: { name: 'kubernetes-gateway://edge/own-cacert' } } },
  });
  expect(context(gateway(tls('a', '{ name: own }'), validation))).toMatchObject({
    requireClientCertificate: true,
    commonTlsContext: { combinedValidationContext: { validationContextSdsSecretConfig: { name: 'configmap://edge/roots-cacert' } } },
  });
});

test('a listener whose Secret is not there or no longer there is not open; the others of its port, and of two certificates the other, stand', () => {
  const listeners = [
    tls('lost', '{ name: lost }'),
    tls('wrong', '{ kind: ConfigMap, name: own }'),
    tls('both', '{ name: lost }, { name: own }'),
    '{ name: alone, port: 444, protocol: HTTPS, tls: { certificateRefs: [{ name: lost }] } }',
  ];
  const roots =
    'tls: { frontend: { default: {}, perPort: [{ port: 445, tls: { validation: { caCertificateRefs: [{ group: "", kind: ConfigMap, name: lost }] } } }] } },';
  const unchecked = '{ name: unchecked, port: 445, protocol: HTTPS, tls: { certificateRefs: [{ name: own }] } }';
  const chains = (...more: string[]): unknown => {
    const set = translated(objects(gateway([...listeners, unchecked].join(', '), roots), secret('own', 'edge'), ...more));
    return [...set[TYPE_URL.listener].keys()].toSorted().map((name) =>
      chainsOf(set, name).map((c) => {
        const { commonTlsContext: context } = c.transportSocket?.typedConfig as { commonTlsContext: { tlsCertificateSdsSecretConfigs: { name: string }[] } };
        return [c.filterChainMatch?.serverNames[0], ...context.tlsCertificateSdsSecretConfigs.map(({ name }) => name.split('/').at(-1))];
      }),
    );
  };
  expect(chains()).toEqual([[['both.test', 'own']]]);
  expect(chains(secret('lost', 'edge'))).toEqual([
    [
      ['both.test', 'lost', 'own'],
      ['lost.test', 'lost'],
    ],
    [[undefined, 'lost']],
  ]);
});

test('a selector lets in the namespaces whose labels it fits, of which one without an object has its name', () => {
  const listener = (selector: string): string =>
    `{ name: http, port: 80, protocol: HTTP, allowedRoutes: { namespaces: { from: Selector, selector: { ${selector} } } } }`;
  const labelled = (labels: string): string => `{ kind: Namespace, metadata: { name: edge, labels: { ${labels} } } }`;
  const routed = (selector: string, ...more: string[]): string[] | undefined =>
    hosts(translated(objects(gateway(listener(selector)), route('r', `parentRefs: [{ name: web }], ${to('a')}`), ...more)))['*'];
  const named = 'matchExpressions: [{ key: kubernetes.io/metadata.name, operator: In, values: [edge] }]';
  expect(routed(named)).toHaveLength(1);
  // Whatever the object says of it.
  expect(routed(named, labelled('kubernetes.io/metadata.name: other'))).toHaveLength(1);
  expect(routed('matchLabels: { team: shop }')).toEqual([]);
  expect(routed('matchLabels: { team: shop }', labelled('team: shop'))).toHaveLength(1);
  expect(routed('matchLabels: { team: shop }', labelled('team: other'))).toEqual([]);
  expect(routed('matchExpressions: [{ key: team, operator: DoesNotExist }]')).toHaveLength(1);
  expect(routed('matchExpressions: [{ key: team, operator: DoesNotExist }]', labelled('team: shop'))).toEqual([]);
  expect(routed('matchExpressions: [{ key: team, operator: NotIn, values: [shop] }]', labelled('team: shop'))).toEqual([]);
});

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseYaml, validateObject } from '../../config/index.ts';
import type { MeshObject } from '../../model/index.ts';
import { gatewayApiProblems } from './problems.ts';
import { gatewayApiStatus } from './status.ts';
import { gatewayWorld } from './world.ts';

const SUFFIX = 'cluster.local';
const PROXY = { namespace: 'edge', labels: { 'gateway.networking.k8s.io/gateway-name': 'web' } };
function objects(...texts: string[]): MeshObject[] {
  return parseYaml(texts.join('\n---\n')).documents.map(({ value }) => {
    const { kind } = value as { kind: string };
    const apiVersion = kind === 'Service' || kind === 'Secret' || kind === 'Namespace' ? 'v1' : 'gateway.networking.k8s.io/v1';
    const { object, problems } = validateObject({ apiVersion, ...(value as object) });
    expect(problems).toEqual([]);
    return object as MeshObject;
  });
}
const gateway = (listeners: string, more = ''): string =>
  `{ kind: Gateway, metadata: { name: web, namespace: edge }, spec: { gatewayClassName: istio, ${more} listeners: [${listeners}] } }`;
const route = (spec: string): string => `{ kind: HTTPRoute, metadata: { name: r, namespace: edge }, spec: { ${spec} } }`;
const SERVICE = '{ kind: Service, metadata: { name: shop, namespace: edge }, spec: { ports: [{ port: 80 }] } }';
const HTTP = gateway('{ name: http, port: 80, protocol: HTTP, hostname: "*.test" }');
const TO_SHOP = 'rules: [{ backendRefs: [{ name: shop, port: 80 }] }]';

const found = (...texts: string[]): string[] =>
  gatewayApiProblems(objects(...texts), SUFFIX, [PROXY]).map(({ severity, code, path, message }) => `${severity} ${code} ${path}: ${message}`);

test('a Gateway with its proxy, and a route it takes, are all right', () => {
  expect(found(HTTP, SERVICE, route(`parentRefs: [{ name: web }], ${TO_SHOP}`))).toEqual([]);
});

test.each([
  [
    'a Gateway that is not there',
    [route(`parentRefs: [{ name: nobody }], ${TO_SHOP}`)],
    'error KIA1401 spec.parentRefs[0]: Gateway edge/nobody does not exist.',
  ],
  [
    'a Service that is not there',
    [route(`parentRefs: [{ group: "", kind: Service, name: nobody }], ${TO_SHOP}`)],
    'error KIA1401 spec.parentRefs[0]: Service edge/nobody',
  ],
  [
    'a host no listener has',
    [HTTP, route(`parentRefs: [{ name: web }], hostnames: [a.example], ${TO_SHOP}`)],
    'error WEFT_NOT_ACCEPTED spec.parentRefs[0]: NoMatchingListenerHostname',
  ],
  [
    'a section that is not there',
    [HTTP, route(`parentRefs: [{ name: web, sectionName: x }], ${TO_SHOP}`)],
    'error WEFT_NOT_ACCEPTED spec.parentRefs[0]: NoMatchingParent',
  ],
  [
    'a parent of another kind',
    [route(`parentRefs: [{ group: example.com, kind: Door, name: web }], ${TO_SHOP}`)],
    'warning WEFT_NOT_ACCEPTED spec.parentRefs[0].kind: Door of example.com',
  ],
  [
    'a backend that is not there',
    [HTTP, route('parentRefs: [{ name: web }], rules: [{ backendRefs: [{ name: nobody, port: 80 }] }]')],
    'error KIA1402 spec.rules[0].backendRefs[0].name: BackendNotFound: backend(nobody.edge.svc.cluster.local)',
  ],
  [
    'a backend without grant',
    [HTTP, route('parentRefs: [{ name: web }], rules: [{ backendRefs: [{ name: shop, namespace: other, port: 80 }] }]')],
    'error KIA1402 spec.rules[0].backendRefs[0]: RefNotPermitted',
  ],
  [
    'a backend of another kind',
    [HTTP, route('parentRefs: [{ name: web }], rules: [{ backendRefs: [{ group: example.com, kind: Pool, name: shop }] }]')],
    'error KIA1402 spec.rules[0].backendRefs[0].kind: InvalidKind',
  ],
  [
    'a protocol in small letters',
    [gateway('{ name: http, port: 80, protocol: http }')],
    'error WEFT_NOT_ACCEPTED spec.listeners[0].protocol: UnsupportedProtocol: protocol "http" is unsupported; write HTTP.',
  ],
  [
    'a port twice',
    [gateway('{ name: a, port: 80, protocol: HTTP }, { name: b, port: 80, protocol: TCP }')],
    'error WEFT_NOT_ACCEPTED spec.listeners[1].port: ProtocolConflict',
  ],
  [
    'routes of a wrong kind',
    [gateway('{ name: a, port: 80, protocol: HTTP, allowedRoutes: { kinds: [{ kind: TCPRoute }] } }')],
    'error WEFT_NOT_ACCEPTED spec.listeners[0].allowedRoutes.kinds: InvalidRouteKinds',
  ],
  [
    'a label no namespace has',
    [
      gateway('{ name: a, port: 80, protocol: HTTP, allowedRoutes: { namespaces: { from: Selector, selector: { matchLabels: { team: shop } } } } }'),
      '{ kind: Namespace, metadata: { name: edge, labels: { team: other } } }',
    ],
    'warning WEFT_SELECTS_NO_NAMESPACE spec.listeners[0].allowedRoutes.namespaces.selector: No namespace has the labels',
  ],
  [
    'a Secret that is not there',
    [gateway('{ name: a, port: 443, protocol: HTTPS, tls: { certificateRefs: [{ name: cert }] } }')],
    'error IST0101 spec.listeners[0].tls.certificateRefs[0].name: InvalidCertificateRef: secret edge/cert not found.',
  ],
  [
    'a bundle of clients that is not there',
    [
      gateway(
        '{ name: a, port: 443, protocol: HTTPS, tls: { certificateRefs: [{ name: own }] } }',
        'tls: { frontend: { default: { validation: { caCertificateRefs: [{ group: "", kind: ConfigMap, name: roots }] } } } },',
      ),
      '{ kind: Secret, metadata: { name: own, namespace: edge }, stringData: { tls.crt: a, tls.key: b } }',
    ],
    'error IST0101 spec.listeners[0].tls: InvalidCACertificateRef: ConfigMap edge/roots',
  ],
  ['a class nobody has', [HTTP.replace('istio', 'other')], 'warning WEFT_NOT_ACCEPTED spec.gatewayClassName: There is no GatewayClass other'],
  [
    'no proxy',
    [HTTP.replace('name: web', 'name: lonely')],
    'warning IST0101 spec.listeners: The ports of this Gateway are open nowhere: no gateway proxy of this name is connected: start one by weft gateway --gateway lonely --namespace edge.',
  ],
  [
    'an address without Service',
    [gateway('{ name: a, port: 80, protocol: HTTP }', 'addresses: [{ type: Hostname, value: ingress }],')],
    'warning IST0101 spec.listeners: The ports of this Gateway are open nowhere: no Service of namespace edge',
  ],
])('%s is told', (_, texts, start) => {
  const problems = found(SERVICE, ...texts);
  expect(problems).toEqual([expect.stringContaining(start)]);
});

test('a route of a namespace without the labels a listener selects by is told, and may be written: they may come later', () => {
  const selecting = gateway(
    '{ name: http, port: 80, protocol: HTTP, allowedRoutes: { namespaces: { from: Selector, selector: { matchLabels: { team: shop } } } } }',
  );
  const all = (...more: string[]) =>
    gatewayApiProblems(objects(selecting, SERVICE, route(`parentRefs: [{ name: web }], ${TO_SHOP}`), ...more), SUFFIX, [PROXY]);
  const labelled = (name: string): string => `{ kind: Namespace, metadata: { name: ${name}, labels: { team: shop } } }`;
  expect(all(labelled('other'))).toMatchObject([
    {
      code: 'WEFT_NOT_ACCEPTED',
      path: 'spec.parentRefs[0]',
      unresolved: true,
      message: expect.stringMatching(/"edge" is not allowed by the parent, which selects/) as unknown,
    },
  ]);
  expect(all(labelled('edge'))).toEqual([]);
  const closed = gateway('{ name: http, port: 80, protocol: HTTP, allowedRoutes: { namespaces: { from: Same } } }').replace(
    'namespace: edge',
    'namespace: far',
  );
  const outside = gatewayApiProblems(objects(closed, SERVICE, route(`parentRefs: [{ name: web, namespace: far }], ${TO_SHOP}`)), SUFFIX, []);
  expect(outside.map((p) => [p.path, p.unresolved])).toEqual([['spec.parentRefs[0]', undefined]]);
});

test('while no gateway proxy is connected, none is missed', () => {
  expect(gatewayApiProblems(objects(HTTP), SUFFIX, [])).toEqual([]);
});

test('status: programmed once its proxy is there; what a route is bound to; nothing of what somebody else looks after', () => {
  const all = objects(
    HTTP,
    SERVICE,
    HTTP.replace('istio', 'theirs').replace('name: web', 'name: theirs'),
    route(`parentRefs: [{ name: web }, { name: theirs }], hostnames: [a.test], ${TO_SHOP}`),
  );
  const world = gatewayWorld(all, SUFFIX);
  const [ours, , theirs, attached] = all.map((o) => gatewayApiStatus(o, world, [PROXY]));
  expect(ours).toMatchObject({
    addresses: [{ value: '127.0.0.1' }],
    conditions: [
      { type: 'Accepted', status: 'True' },
      { type: 'Programmed', status: 'True', reason: 'Programmed' },
    ],
    listeners: [{ name: 'http', attachedRoutes: 1, supportedKinds: [{ kind: 'HTTPRoute' }, { kind: 'GRPCRoute' }] }],
  });
  expect(theirs).toBeUndefined();
  expect(attached).toMatchObject({
    parents: [
      {
        parentRef: { name: 'web' },
        controllerName: 'istio.io/gateway-controller',
        conditions: [
          { type: 'Accepted', status: 'True' },
          { type: 'ResolvedRefs', status: 'True' },
        ],
      },
    ],
  });
  expect(gatewayApiStatus(all[0] as MeshObject, world, [])).toMatchObject({
    conditions: [{}, { type: 'Programmed', status: 'False', reason: 'AddressNotAssigned' }],
  });
});

test('the examples are all right beside Bookinfo', () => {
  const text = (name: string): string => readFileSync(new URL(`../../../../../examples/${name}`, import.meta.url), 'utf8');
  const [bookinfo, ...examples] = ['bookinfo/bookinfo.yaml', 'gateway-api/bookinfo.yaml', 'gateway-api/backend-tls.yaml'].map((name) =>
    parseYaml(text(name)).documents.map((d) => d.value as MeshObject),
  );
  const here = examples.flat().map((value) => ({ ...value, metadata: { ...value.metadata, namespace: 'bookinfo' } }));
  const all = [...(bookinfo ?? []), ...here].map((value) => validateObject(value).object as MeshObject);
  expect(gatewayApiProblems(all, SUFFIX, [{ namespace: 'bookinfo', labels: { 'gateway.networking.k8s.io/gateway-name': 'bookinfo-gateway' } }])).toEqual([]);
});

import { expect, test } from 'vitest';
import { parseYaml, validateObject } from '../../config/index.ts';
import { DEFAULT_MESH_SETTINGS, type MeshObject, type ProxyNode } from '../../model/index.ts';
import { TYPE_URL } from '../../xds/index.ts';
import { buildMesh } from '../mesh.ts';
import { proxyNode } from '../testing/proxy-node.ts';
import { decoded } from '../testing/static-envoy.ts';
import { translate } from '../translate.ts';
import { gatewayApiProblems } from './problems.ts';
import { gatewayApiStatus } from './status.ts';
import { gatewayWorld } from './world.ts';

const SUFFIX = 'cluster.local';
const GATEWAY_API = ['BackendTLSPolicy', 'Gateway', 'HTTPRoute', 'ReferenceGrant'];
function objects(...texts: string[]): MeshObject[] {
  return parseYaml(texts.join('\n---\n')).documents.map(({ value }) => {
    const { kind } = value as { kind: string };
    const apiVersion = GATEWAY_API.includes(kind) ? 'gateway.networking.k8s.io/v1' : kind === 'DestinationRule' ? 'networking.istio.io/v1' : 'v1';
    const { object, problems } = validateObject({ apiVersion, ...(value as object) });
    expect(problems).toEqual([]);
    return object as MeshObject;
  });
}
const SERVICE = '{ kind: Service, metadata: { name: db, namespace: shop }, spec: { ports: [{ name: http, port: 80 }, { name: https, port: 443 }] } }';
const ROOTS = '{ kind: ConfigMap, metadata: { name: roots, namespace: shop }, data: { ca.crt: PEM } }';
const BUNDLE = 'caCertificateRefs: [{ group: "", kind: ConfigMap, name: roots }]';
interface Written {
  name?: string;
  target?: string;
  trust?: string;
  more?: string;
  metadata?: string;
}
const policy = ({ name = 'p', target = 'kind: Service, name: db', trust = BUNDLE, more = '', metadata = '' }: Written = {}): string =>
  `{ kind: BackendTLSPolicy, metadata: { name: ${name}, namespace: shop ${metadata} }, spec: { targetRefs: [{ group: "", ${target} }], validation: { hostname: db.test, ${trust} ${more} } } }`;
const rule = (trafficPolicy: string, namespace = 'shop'): string =>
  `{ kind: DestinationRule, metadata: { name: r, namespace: ${namespace}, creationTimestamp: "2020-01-01T00:00:00Z" }, spec: { host: db.shop.svc.cluster.local, trafficPolicy: ${trafficPolicy} } }`;

const NODE = proxyNode('web', 'shop');
const set = (node: Partial<ProxyNode>, ...texts: string[]) =>
  translate(buildMesh(objects(SERVICE, ...texts), DEFAULT_MESH_SETTINGS), { ...NODE, ...node }, DEFAULT_MESH_SETTINGS);
interface Socket {
  name: string;
  typedConfig: { sni?: string; commonTlsContext: Record<string, unknown> };
}
/** TLS towards a port of the Service; undefined where there is none. */
function tls(port: number, texts: string[], node: Partial<ProxyNode> = {}) {
  const cluster = decoded(set(node, ...texts), TYPE_URL.cluster, `outbound|${port}||db.shop.svc.cluster.local`) as {
    transportSocket?: Socket;
    circuitBreakers?: unknown;
  };
  return cluster.transportSocket?.name === 'envoy.transport_sockets.tls' ? cluster.transportSocket.typedConfig : undefined;
}
const sans = (...names: [type: string, name: string][]) => ({ matchTypedSubjectAltNames: names.map(([sanType, exact]) => ({ sanType, matcher: { exact } })) });

test('the host name is sent and looked for; roots come of a ConfigMap, to proxies of all namespaces', () => {
  const context = {
    sni: 'db.test',
    commonTlsContext: {
      combinedValidationContext: {
        defaultValidationContext: sans(['DNS', 'db.test']),
        validationContextSdsSecretConfig: { name: 'configmap://shop/roots-cacert' },
      },
    },
  };
  for (const node of [{}, { namespace: 'other' }, { namespace: 'edge', role: 'router' }, { dataPlane: 'envoy', version: '1.40.0' }] as const) {
    expect(tls(80, [ROOTS, policy()], node)).toMatchObject(context);
    expect(tls(443, [ROOTS, policy()], node)).toMatchObject(context);
    expect(decoded(set(node, ROOTS, policy()), TYPE_URL.secret, 'configmap://shop/roots-cacert')).toMatchObject({
      validationContext: { trustedCa: { inlineString: 'PEM' } },
    });
  }
});

test('other names are looked for instead; the roots of the system need no Secret', () => {
  const names = 'subjectAltNames: [{ type: Hostname, hostname: a.test }, { type: URI, uri: "spiffe://a/b" }]';
  const trust = 'wellKnownCACertificates: System,';
  expect(tls(80, [policy({ trust, more: names })])).toMatchObject({
    sni: 'db.test',
    commonTlsContext: { validationContext: { systemRootCerts: {}, ...sans(['DNS', 'a.test'], ['URI', 'spiffe://a/b']) } },
  });
});

test.each([
  ['a ConfigMap that is not there', [policy()]],
  ['one without certificates', [policy(), ROOTS.replace('ca.crt', 'other')]],
  ['roots of another kind', [policy({ trust: 'caCertificateRefs: [{ group: "", kind: Secret, name: roots }]' }), ROOTS]],
  ['well known roots nobody here knows', [policy({ trust: 'wellKnownCACertificates: example.com/roots' })]],
])('%s: no server is believed', (_, texts) => {
  expect(tls(80, texts)).toMatchObject({
    commonTlsContext: { combinedValidationContext: { validationContextSdsSecretConfig: { name: 'invalid://-cacert' } } },
  });
  expect([...set({}, ...texts)[TYPE_URL.secret].keys()]).toEqual([]);
});

test('a section is one port; the oldest policy of a target counts, then the first by name; one that is to be ignored does not', () => {
  const part = policy({ target: 'kind: Service, name: db, sectionName: https' });
  expect([tls(80, [ROOTS, part]), tls(443, [ROOTS, part])?.sni]).toEqual([undefined, 'db.test']);
  const older = policy({ name: 'z', metadata: ', creationTimestamp: "2020-01-01T00:00:00Z"' }).replace('db.test', 'older.test');
  const younger = policy({ metadata: ', creationTimestamp: "2021-01-01T00:00:00Z"' });
  expect(tls(80, [ROOTS, younger, older])?.sni).toBe('older.test');
  expect(tls(80, [ROOTS, policy({ name: 'b' }).replace('db.test', 'b.test'), policy({ name: 'a' })])?.sni).toBe('db.test');
  const ignored = older.replace('namespace: shop', 'namespace: shop, annotations: { istio.io/ignore-policy-attachment: "true" }');
  expect(tls(80, [ROOTS, younger, ignored])?.sni).toBe('db.test');
});

test('DestinationRules of users come first with what they say, however old, and a policy fills the gaps', () => {
  const limits = '{ connectionPool: { tcp: { maxConnections: 7 } } }';
  const cluster = decoded(set({}, ROOTS, policy(), rule(limits)), TYPE_URL.cluster, 'outbound|80||db.shop.svc.cluster.local');
  expect(cluster).toMatchObject({ transportSocket: { typedConfig: { sni: 'db.test' } }, circuitBreakers: { thresholds: [{ maxConnections: 7 }] } });
  expect(tls(80, [ROOTS, policy(), rule('{ tls: { mode: SIMPLE, sni: own.test } }')])?.sni).toBe('own.test');
  // Of one port: there the rule's, elsewhere the policy's.
  const ofPort = rule('{ portLevelSettings: [{ port: { number: 443 }, tls: { mode: DISABLE } }] }');
  expect([tls(80, [ROOTS, policy(), ofPort])?.sni, tls(443, [ROOTS, policy(), ofPort])]).toEqual(['db.test', undefined]);
  const section = policy({ target: 'kind: Service, name: db, sectionName: https' });
  expect(tls(443, [ROOTS, section, rule('{ portLevelSettings: [{ port: { number: 443 }, loadBalancer: { simple: RANDOM } }] }')])?.sni).toBe('db.test');
  // Rules of the client's namespace come before those of the Service's, as for any other rule.
  expect(tls(80, [ROOTS, policy(), rule(limits, 'other')], { namespace: 'other' })).toBeUndefined();
});

const found = (...texts: string[]): string[] =>
  gatewayApiProblems(objects(SERVICE, ...texts), SUFFIX, []).map(
    ({ severity, code, path, message, unresolved }) => `${severity}${unresolved ? '?' : ''} ${code} ${path}: ${message}`,
  );

test.each<[string, string[], string[]]>([
  ['a policy whose references are there', [ROOTS, policy()], []],
  [
    'a Service that is not',
    [ROOTS, policy({ target: 'kind: Service, name: x' })],
    ['error? IST0101 spec.targetRefs[0].name: TargetNotFound: targetRefs invalid: reference shop/x'],
  ],
  [
    'a port that is not',
    [ROOTS, policy({ target: 'kind: Service, name: db, sectionName: x' })],
    ['error? IST0101 spec.targetRefs[0].sectionName: TargetNotFound: '],
  ],
  [
    'another kind of target',
    [ROOTS, policy({ target: 'kind: Pod, name: db' })],
    ['error? IST0101 spec.targetRefs[0].kind: TargetNotFound: targetRefs invalid: unsupported kind Pod'],
  ],
  ['a ConfigMap that is not', [policy()], ['error? IST0101 spec.validation.caCertificateRefs[0].name: InvalidCACertificateRef: ']],
  [
    'roots of another kind',
    [policy({ trust: 'caCertificateRefs: [{ group: "", kind: Secret, name: roots }]' })],
    ['error WEFT_NOT_ACCEPTED spec.validation.caCertificateRefs[0].kind: InvalidKind: '],
  ],
  [
    'a second bundle',
    [ROOTS, policy({ trust: BUNDLE.replace('}]', '}, { group: "", kind: ConfigMap, name: more }]') })],
    ['warning WEFT_NO_EFFECT spec.validation.caCertificateRefs[1]: '],
  ],
  ['unknown roots', [policy({ trust: 'wellKnownCACertificates: a.test/b' })], ['error WEFT_NOT_ACCEPTED spec.validation.wellKnownCACertificates: Invalid: ']],
  [
    'a second policy',
    [ROOTS, policy(), policy({ name: 'q' })],
    ['error WEFT_NOT_ACCEPTED spec.targetRefs[0]: Conflicted: Conflicts with BackendTLSPolicy "p"'],
  ],
  [
    'a rule with TLS',
    [ROOTS, policy(), rule('{ tls: { mode: DISABLE } }')],
    ['warning WEFT_NO_EFFECT spec.targetRefs[0]: DestinationRule shop/r has TLS settings of its own'],
  ],
  [
    'a rule with settings of a port',
    [ROOTS, policy(), rule('{ portLevelSettings: [{ port: { number: 443 }, loadBalancer: { simple: RANDOM } }] }')],
    ['warning WEFT_NO_EFFECT spec.targetRefs[0]: DestinationRule shop/r has settings for port 443 of its own'],
  ],
  ['a rule without TLS', [ROOTS, policy(), rule('{ loadBalancer: { simple: RANDOM } }')], []],
  [
    'a rule of a client',
    [ROOTS, policy(), rule('{ loadBalancer: { simple: RANDOM } }', 'web')],
    ['warning WEFT_NO_EFFECT spec.targetRefs[0]: DestinationRule web/r takes its place for clients in namespace web'],
  ],
])('%s is told as it is', (_, texts, expected) => {
  expect(found(...texts)).toEqual(expected.map((start) => expect.stringContaining(start) as unknown));
});

test('status: of each target for the mesh, and of each Gateway with a route to one', () => {
  const all = objects(
    SERVICE,
    ROOTS,
    policy(),
    '{ kind: Gateway, metadata: { name: web, namespace: edge }, spec: { gatewayClassName: istio, listeners: [{ name: http, port: 80, protocol: HTTP, allowedRoutes: { namespaces: { from: All } } }] } }',
    '{ kind: HTTPRoute, metadata: { name: r, namespace: shop }, spec: { parentRefs: [{ name: web, namespace: edge }], rules: [{ backendRefs: [{ name: db, port: 80 }] }] } }',
  );
  const good = [
    { type: 'Accepted', status: 'True', reason: 'Accepted' },
    { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs' },
  ];
  expect(gatewayApiStatus(all[2] as MeshObject, gatewayWorld(all, SUFFIX), [])).toMatchObject({
    ancestors: [
      { ancestorRef: { group: '', kind: 'Service', name: 'db' }, controllerName: 'istio.io/mesh-controller', conditions: good },
      { ancestorRef: { kind: 'Gateway', name: 'web', namespace: 'edge' }, controllerName: 'istio.io/gateway-controller', conditions: good },
    ],
  });
});

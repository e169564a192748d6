import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type MeshObject, refusesWrite } from '../model/index.ts';
import type { ConnectedProxy } from './analyze-mesh.ts';
import { analyzeObjects } from './analyze.ts';
import { validateObject } from './validate.ts';
import { parseYaml } from './yaml-text.ts';

const WORLD = `
apiVersion: v1
kind: Service
metadata: { name: reviews, namespace: shop }
spec: { selector: { app: reviews }, ports: [{ name: http, port: 9080 }] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: reviews-0, namespace: shop }
spec: { address: 127.0.0.1, labels: { app: reviews }, serviceAccount: reviews }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: off-0, namespace: shop }
spec: { address: 127.0.0.1, labels: { app: off } }
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: edge, namespace: shop }
spec: { selector: { istio: edge }, servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ["*.example.com"] }] }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: "off", namespace: shop }
spec: { selector: { matchLabels: { app: "off" } }, mtls: { mode: DISABLE } }
---
apiVersion: v1
kind: Namespace
metadata: { name: soon }
`;

function read(text: string): MeshObject[] {
  return parseYaml(text).documents.map((document) => {
    const { object, problems } = validateObject(document.value, document);
    if (object === undefined) throw new Error(problems.map((p) => `${p.path}: ${p.message}`).join('\n'));
    return object;
  });
}

const found = (spec: string, namespace = 'shop', proxies: ConnectedProxy[] = []): string[] =>
  analyzeObjects(
    read(`${WORLD}---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p, namespace: ${namespace} }\nspec: ${spec}\n`),
    proxies,
  ).map(({ severity, code, path }) => `${severity} ${code} ${path}`);
const from = (source: string): string => `{ rules: [{ from: [{ source: ${source} }] }] }`;
const to = (operation: string): string => `{ rules: [{ to: [{ operation: ${operation} }] }] }`;

test.each<[string, string, string[]]>([
  ['a selector that selects nothing', '{ selector: { matchLabels: { app: x } } }', ['warning KIA0004 spec.selector.matchLabels']],
  ['one of a gateway', '{ selector: { matchLabels: { istio: edge } } }', []],
  [
    'a namespace that is not there; `soon` is a Namespace with nothing in it',
    from('{ namespaces: [shop, soon, nowhere, "*-x"], notNamespaces: [gone] }'),
    ['namespaces[2]', 'namespaces[3]', 'notNamespaces[0]'].map((at) => `warning KIA0101 spec.rules[0].from[0].source.${at}`),
  ],
  ['the same as a condition', '{ rules: [{ when: [{ key: source.namespace, values: [nowhere] }] }] }', ['warning KIA0101 spec.rules[0].when[0].values[0]']],
  [
    'what is no method',
    to('{ methods: [GET, "*", "P*", get, FETCH], notMethods: [x] }'),
    ['methods[3]', 'methods[4]', 'notMethods[0]'].map((at) => `warning KIA0102 spec.rules[0].to[0].operation.${at}`),
  ],
  [
    'a host of nobody',
    to('{ hosts: [reviews, "reviews.shop:80", REVIEWS.shop.svc.cluster.local, a.example.com, "*.x", nobody.test] }'),
    ['error KIA0104 spec.rules[0].to[0].operation.hosts[5]'],
  ],
  [
    'an account nobody has, and a principal as certificates have it',
    from(
      '{ principals: [cluster.local/ns/shop/sa/reviews, cluster.local/ns/shop/sa/x, spiffe://cluster.local/ns/shop/sa/reviews, "*/sa/x", cluster.local/ns/far/sa/x] }',
    ),
    ['principals[1]', 'principals[2]'].map((at) => `warning KIA0106 spec.rules[0].from[0].source.${at}`),
  ],
  [
    'an identity where nobody has one',
    '{ selector: { matchLabels: { app: "off" } }, rules: [{ from: [{ source: { namespaces: [shop] } }, { source: { ipBlocks: [1.2.3.4] } }], when: [{ key: source.principal, values: ["*"] }] }] }',
    ['from[0].source.namespaces', 'when[0].key'].map((at) => `error KIA0105 spec.rules[0].${at}`),
  ],
  ['a denial that is HTTP’s only', '{ action: DENY, rules: [{ to: [{ operation: { paths: [/a] } }] }] }', ['warning WEFT_DENIES_TCP spec.rules[0]']],
  ['one with a port', '{ action: DENY, rules: [{ to: [{ operation: { paths: [/a], ports: ["80"] } }] }] }', []],
  ['a denial by token only', '{ action: DENY, rules: [{ from: [{ source: { notRequestPrincipals: ["*"] } }] }] }', ['warning WEFT_DENIES_TCP spec.rules[0]']],
])('%s', (_, spec, expected) => {
  expect(found(spec)).toEqual(expected);
});

test('of the root namespace workloads everywhere are looked at', () => {
  expect(found('{ selector: { matchLabels: { app: reviews } } }', 'istio-system')).toEqual([]);
});

test('what could not be enforced is refused', () => {
  const refusals = (spec: string, annotations = '{}'): string[] =>
    validateObject(
      parseYaml(`apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p, annotations: ${annotations} }\nspec: ${spec}\n`).documents[0]
        ?.value,
    ).problems.map((p) => `${p.path}: ${p.message}`);
  expect(refusals('{ action: CUSTOM, provider: { name: x }, rules: [{}] }')).toEqual([]);
  expect(
    refusals('{ action: CUSTOM, provider: { name: x }, rules: [{ from: [{ source: { namespaces: [a] } }], when: [{ key: source.principal, values: [a] }] }] }'),
  ).toEqual(['from[0].source.namespaces', 'when[0].key'].map((at) => expect.stringContaining(`spec.rules[0].${at}: `) as unknown));
  expect(refusals('{ action: CUSTOM, provider: {}, rules: [{}] }')[0]).toContain('spec.provider: ');
  expect(refusals('{ targetRefs: [{ kind: Service, name: x }] }')[0]).toContain('spec.targetRefs: names what a waypoint would look after');
  expect(refusals('{ targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: x }] }')).toEqual([]);
  expect(refusals('{ rules: [{}] }', '{ istio.io/dry-run: maybe }')).toEqual([
    'metadata.annotations["istio.io/dry-run"]: istio.io/dry-run "maybe": must be "true" or "false"',
  ]);
});

test('the example is in order in the demo it is for', () => {
  const example = (name: string): string => readFileSync(new URL(`../../../../examples/${name}`, import.meta.url), 'utf8');
  const workloads = ['productpage', 'details', 'reviews', 'ratings'].map(
    (app) =>
      `apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: { name: ${app}-v1, namespace: bookinfo }\nspec: { address: 127.0.0.1, labels: { app: ${app}, version: v1 }, serviceAccount: bookinfo-${app} }\n`,
  );
  const gateway = 'apiVersion: v1\nkind: Service\nmetadata: { name: ingressgateway, namespace: ingress }\nspec: { ports: [{ name: http, port: 80 }] }\n';
  const problems = analyzeObjects(
    read([example('bookinfo/bookinfo.yaml'), example('security/authorization-bookinfo.yaml'), ...workloads, gateway].join('---\n')),
  );
  expect(problems.filter((p) => p.ref?.kind === 'AuthorizationPolicy')).toEqual([]);
});

test('a host that is not there yet refuses no write', () => {
  const [object] = read(
    `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p, namespace: shop }\nspec: ${to('{ hosts: [nobody.test] }')}\n`,
  );
  expect(analyzeObjects(object === undefined ? [] : [object]).map((p) => [p.code, refusesWrite(p)])).toEqual([['KIA0104', false]]);
});

test('a namespace or an account of which only a proxy is known, a gateway or a program that only calls others, is there', () => {
  const proxy = [
    { namespace: 'ingress', identity: 'spiffe://cluster.local/ns/ingress/sa/gate', labels: { app: 'gate' } },
    { namespace: 'shop', identity: 'spiffe://cluster.local/ns/shop/sa/curl', labels: { app: 'curl' } },
  ];
  expect(found('{ selector: { matchLabels: { app: curl } } }', 'shop', proxy)).toEqual([]);
  expect(found('{ selector: { matchLabels: { app: gate } } }', 'shop', proxy)).toHaveLength(1);
  expect(found(from('{ namespaces: [ingress] }'), 'shop', proxy)).toEqual([]);
  expect(found(from('{ namespaces: [other] }'), 'shop', proxy)).toHaveLength(1);
  expect(found(from('{ principals: [cluster.local/ns/shop/sa/curl] }'), 'shop', proxy)).toEqual([]);
  expect(found(from('{ principals: [cluster.local/ns/shop/sa/curl] }'), 'shop')).toHaveLength(1);
});

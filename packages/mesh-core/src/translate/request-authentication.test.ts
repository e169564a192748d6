// Where the JWT filter stands and which keys are in it; field by field it is compared with Istio's own in the server's conformance tests.

import type { JsonObject } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { DEFAULT_MESH_SETTINGS, type MeshObject, type ProxyNode } from '../model/index.ts';
import { TYPE_URL } from '../xds/index.ts';
import { keySetObject, keySources } from './key-sets.ts';
import { buildMesh } from './mesh.ts';
import { proxyNode } from './testing/proxy-node.ts';
import { decoded } from './testing/static-envoy.ts';
import { proxyFacts, translate } from './translate.ts';

const object = (kind: string, name: string, spec: object): MeshObject => ({ apiVersion: 'v1', kind, metadata: { name, namespace: 'shop' }, spec });
const WORLD = [
  object('Service', 'a', {
    selector: { app: 'a' },
    ports: [
      { name: 'http', port: 80 },
      { name: 'tcp', port: 90 },
      { name: 'grpc-web', port: 81 },
    ],
  }),
  object('WorkloadEntry', 'a-0', { address: '10.0.0.1', ports: { http: 21_000 }, labels: { app: 'a' } }),
  object('Gateway', 'gw', { selector: { app: 'gw' }, servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }] }),
];
const SIDECAR = proxyNode('a-0', 'shop', {
  ip: '10.0.0.1',
  labels: { app: 'a' },
  httpProxyPort: 15_001,
  inbound: ['http', 'tcp', 'grpc-web'].map((name, i) => ({ name, servicePort: [80, 90, 81][i] ?? 0, listenPort: 21_000 + i, appPort: 8080 + i })),
  upstreams: [{ host: 'a.shop.svc.cluster.local', port: 80, listenPort: 8000 }],
});
const ROUTER: ProxyNode = { ...SIDECAR, role: 'router', labels: { app: 'gw' }, httpProxyPort: 0, inbound: [], upstreams: [] };

/** Names of the HTTP filters of each chain, by listener. */
function filters(objects: readonly MeshObject[], node: ProxyNode): Record<string, string[][]> {
  const set = translate(buildMesh([...WORLD, ...objects], DEFAULT_MESH_SETTINGS), node, DEFAULT_MESH_SETTINGS);
  return Object.fromEntries(
    [...set[TYPE_URL.listener].keys()].map((name) => [
      name,
      ((decoded(set, TYPE_URL.listener, name)['filterChains'] ?? []) as unknown as { filters: { typedConfig?: { httpFilters?: { name: string }[] } }[] }[]).map(
        (chain) => chain.filters.flatMap((f) => f.typedConfig?.httpFilters?.map((h) => h.name) ?? []),
      ),
    ]),
  );
}
const policy = (...jwtRules: object[]): MeshObject => object('RequestAuthentication', 'p', { jwtRules });
const JWT = 'envoy.filters.http.jwt_authn';

test('every HTTP chain in, and none out, asks for tokens before anything else is made of a request', () => {
  const lists = filters([policy({ issuer: 'x', jwks: '{"keys":[]}' })], SIDECAR);
  const chains = (name: string): string[][] | undefined => lists[name]?.map((names) => names.filter((n) => !n.startsWith('weft.')));
  for (const name of ['virtualInbound_21000', 'virtualInbound_21002']) {
    expect(chains(name)?.length).toBe(2);
    for (const names of chains(name) ?? []) expect(names[0]).toBe(JWT);
  }
  expect(chains('virtualInbound_21002')?.[0]?.slice(0, 2)).toEqual([JWT, 'envoy.filters.http.grpc_web']);
  for (const name of ['virtualInbound_21001', 'http_proxy', 'a.shop.svc.cluster.local_80']) expect(lists[name]?.flat()).not.toContain(JWT);
  expect(filters([policy({ issuer: 'x', jwks: '{"keys":[]}' })], ROUTER)).toEqual({ '10.0.0.1_80': [expect.arrayContaining([JWT]) as unknown] });
});

test('without rules there is no filter', () => {
  expect(JSON.stringify(filters([policy()], SIDECAR))).not.toContain(JWT);
  const other = object('RequestAuthentication', 'p', { selector: { matchLabels: { app: 'b' } }, jwtRules: [{ issuer: 'x', jwks: '{"keys":[]}' }] });
  expect(JSON.stringify(filters([other], SIDECAR))).not.toContain(JWT);
});

const jwksIn = (objects: readonly MeshObject[]): { jwks: string[]; facts: ReturnType<typeof proxyFacts> } => {
  const mesh = buildMesh([...WORLD, ...objects], DEFAULT_MESH_SETTINGS);
  const listener = decoded(translate(mesh, SIDECAR, DEFAULT_MESH_SETTINGS), TYPE_URL.listener, 'virtualInbound_21000');
  const texts: string[] = [];
  JSON.stringify(listener, (key, value: JsonObject) => {
    if (key === 'localJwks') texts.push(String(value['inlineString']));
    return value;
  });
  return { jwks: [...new Set(texts)], facts: proxyFacts(mesh, SIDECAR, DEFAULT_MESH_SETTINGS) };
};

test('keys of a server are sent when they are there; until then a key that fits no token, and the status says why', () => {
  const rule = policy({ issuer: 'x', jwksUri: 'http://keys/x' });
  const [source] = keySources([rule]);
  if (source === undefined) throw new Error('no source');
  expect(source).toEqual({ url: 'http://keys/x', discovery: false, timeoutMs: 5_000 });
  const none = jwksIn([rule]);
  expect(none.facts.labels).toEqual(SIDECAR.labels);
  expect(none.facts.missingKeys).toEqual([
    { policy: 'RequestAuthentication/shop/p', rule: 0, reason: 'http://keys/x has not answered yet', url: 'http://keys/x' },
  ]);
  expect(none.jwks).toHaveLength(1);
  expect(JSON.parse(none.jwks[0] ?? '')).toMatchObject({ keys: [{ kty: 'RSA' }] });
  const failed = jwksIn([rule, keySetObject(source, { problem: 'http://keys/x answered 503' })]);
  expect(failed.jwks).toEqual(none.jwks);
  expect(failed.facts.missingKeys?.[0]?.reason).toBe('http://keys/x answered 503');
  const jwks = '{"keys":[{"kty":"oct","k":"AAAA"}]}';
  const there = jwksIn([rule, keySetObject(source, { jwks })]);
  expect(there.jwks).toEqual([jwks]);
  expect(there.facts.missingKeys).toBeUndefined();
});

test('sources: one for all rules with a URL, waiting as long as the longest; a discovery document is another than keys of that URL', () => {
  expect(
    keySources([
      policy({ issuer: 'https://i/', timeout: '1s' }, { issuer: 'https://i' }, { issuer: 'me' }, { issuer: 'x', jwks: '{"keys":[]}' }),
      policy({ issuer: 'y', jwks_uri: 'https://i/.well-known/openid-configuration', timeout: '7s' }, { jwksUri: 'https://i/.well-known/openid-configuration' }),
    ]),
  ).toEqual([
    { url: 'https://i/.well-known/openid-configuration', discovery: true, timeoutMs: 5_000 },
    { url: 'https://i/.well-known/openid-configuration', discovery: false, timeoutMs: 7_000 },
  ]);
});

// Envoy refuses a listener with such a key set, and what was there before, perhaps nothing, would go on.
test.each(['{"keys":[]}', '{"keys":[{"kty":"AKP"}]}', '{"kty":"oct","k":"AAAA"}'])('a key set no proxy can use is never sent: %s', (jwks) => {
  const rule = policy({ issuer: 'x', jwks });
  const inline = jwksIn([rule]);
  expect(JSON.parse(inline.jwks[0] ?? '')).toMatchObject({ keys: [{ kty: 'RSA' }] });
  expect(inline.facts.missingKeys?.[0]?.reason).toBe('jwks has no key that proxies can use');
  const fetched = policy({ issuer: 'x', jwksUri: 'http://keys/x' });
  const [source] = keySources([fetched]);
  if (source === undefined) throw new Error('no source');
  const answered = jwksIn([fetched, keySetObject(source, { jwks })]);
  expect(answered.jwks).toEqual(inline.jwks);
  expect(answered.facts.missingKeys?.[0]?.reason).toBe('the key set of http://keys/x has no key that proxies can use');
});

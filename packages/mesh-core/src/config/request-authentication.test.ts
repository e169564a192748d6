// Verdicts on RequestAuthentications, as istiod's webhook and the CRD's schema gave them (istio-oracle validate, Istio of its go.mod).

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { MeshObject } from '../model/index.ts';
import { analyzeObjects } from './analyze.ts';
import { hasUsableKey } from './jwks.ts';
import { validateObject } from './validate.ts';
import { parseYaml } from './yaml-text.ts';

const policy = (spec: unknown, namespace = 'shop'): MeshObject => ({
  ...{ apiVersion: 'security.istio.io/v1', kind: 'RequestAuthentication', metadata: { name: 'x', namespace } },
  spec,
});
const WORKLOAD: MeshObject = {
  ...{ apiVersion: 'networking.istio.io/v1', kind: 'WorkloadEntry', metadata: { name: 'a-0', namespace: 'shop' } },
  spec: { address: '127.0.0.1', labels: { app: 'a' } },
};
const errors = (spec: unknown): string[] => validateObject(policy(spec)).problems.map((p) => `${p.path}: ${p.message}`);
const rule = (fields: object): object => ({ jwtRules: [{ issuer: 'i', ...fields }] });
/** 2,048 bits. */
const RSA = { kty: 'RSA', e: 'AQAB', n: `${'q'.repeat(341)}w`, kid: '1' };
const set = (...keys: unknown[]): object => rule({ jwks: JSON.stringify({ keys }) });
const jwks = JSON.stringify({ keys: [RSA] });
const service = { kind: 'Service', name: 'g' };

const GOOD: Readonly<Record<string, object>> = {
  'nothing at all': {},
  'a selector': { selector: { matchLabels: { a: 'b' } } },
  'an empty selector': { selector: {} },
  'no rules': { jwtRules: [] },
  'discovery by issuer': rule({}),
  'two rules of one issuer': {
    jwtRules: [
      { issuer: 'i', jwks },
      { issuer: 'i', jwks },
    ],
  },
  'inline keys': rule({ jwks }),
  'empty inline keys': rule({ jwks: '' }),
  'a key server': rule({ jwksUri: 'https://a/b' }),
  'a key server and no issuer': { jwtRules: [{ jwksUri: 'https://a/b' }, { jwks_uri: 'https://a/b' }] },
  'a key server by its old name': rule({ jwks_uri: 'https://a/b' }),
  'a plaintext key server': rule({ jwksUri: 'http://a:80/b' }),
  'a key server, scheme in capitals': rule({ jwksUri: 'HTTPS://a/b' }),
  'a key server by IPv6': rule({ jwksUri: 'https://[::1]:8/x' }),
  'no keys in the set': set(),
  'keys that are null': rule({ jwks: '{"keys":null}' }),
  'one key alone': rule({ jwks: JSON.stringify(RSA) }),
  'a private key': set({ ...RSA, d: 'abc' }),
  'a symmetric key': set({ kty: 'oct', k: 'AA' }),
  'an Ed25519 key': set({ kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }),
  'a curve nobody knows': set({ kty: 'EC', crv: 'P-1', x: 'f83O', y: 'x0' }),
  audiences: rule({ audiences: ['a'] }),
  'no audiences': rule({ audiences: [] }),
  'a header': rule({ fromHeaders: [{ name: 'a', prefix: 'B ' }] }),
  'a header with an empty prefix': rule({ fromHeaders: [{ name: 'a', prefix: '' }] }),
  'a parameter and a cookie': rule({ fromParams: ['a'], fromCookies: ['a'] }),
  'a payload header': rule({ outputPayloadToHeader: 'x' }),
  'an empty payload header': rule({ outputPayloadToHeader: '' }),
  'claims in headers': rule({
    outputClaimToHeaders: [
      { header: 'a_b-C9', claim: 'y.z' },
      { header: 'a', claim: 'y' },
      { header: 'a', claim: 'z' },
    ],
  }),
  'the token goes on': rule({ forwardOriginalToken: true }),
  timeouts: { jwtRules: ['5s', '1.5s', '1h30m'].map((timeout) => ({ issuer: 'i', timeout })) },
  'claims with spaces': rule({ spaceDelimitedClaims: ['a', 'a', 'scope'] }),
  'a target': { targetRefs: [service] },
  'the old form of a target': { targetRef: { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'g' } },
  'no targets': { targetRefs: [] },
};
test.each(Object.entries(GOOD))('taken: %s', (_, spec) => {
  expect(errors(spec)).toEqual([]);
});

const BAD: Readonly<Record<string, object>> = {
  'an empty label': { selector: { matchLabels: { '': 'b' } } },
  'a wildcard label': { selector: { matchLabels: { a: '*' } } },
  'no issuer': { jwtRules: [{ jwks }] },
  'an empty issuer': { jwtRules: [{ issuer: '', jwks }] },
  'inline keys and a server': rule({ jwks, jwksUri: 'https://a/b' }),
  'an empty server': rule({ jwksUri: '' }),
  'an empty server beside keys': rule({ jwks, jwksUri: '' }),
  'another scheme': rule({ jwksUri: 'ftp://a/b' }),
  'no scheme': rule({ jwksUri: 'a/b' }),
  'a port that is none': rule({ jwksUri: 'https://a:x/' }),
  'a space': rule({ jwksUri: 'https://a b/' }),
  'a long URL': rule({ jwksUri: `https://a/${'x'.repeat(2_050)}` }),
  'no JSON': rule({ jwks: 'nope' }),
  'a list': rule({ jwks: '[]' }),
  'a null': rule({ jwks: 'null' }),
  'a number': rule({ jwks: 3 }),
  'a PEM key': rule({ jwks: '-----BEGIN PUBLIC KEY-----' }),
  'an object without keys': rule({ jwks: '{}' }),
  'keys that are no list': rule({ jwks: '{"keys":{}}' }),
  'a key without type': set({ a: 1 }),
  'a key of unknown type': set({ kty: 'X' }),
  'a good key beside a bad one': set({ kty: 'X' }, RSA),
  'a key that is text': set('x'),
  'an RSA key without modulus': set({ kty: 'RSA' }),
  'an RSA key that is no base64url': set({ kty: 'RSA', e: 'A!', n: 'a$' }),
  'a kid that is a number': set({ ...RSA, kid: 1 }),
  'an empty audience': rule({ audiences: [''] }),
  'an audience that is a number': rule({ audiences: [1] }),
  'a header without name': rule({ fromHeaders: [{}] }),
  'a header with an empty name': rule({ fromHeaders: [{ name: '' }] }),
  'a field of a header nobody knows': rule({ fromHeaders: [{ name: 'a', x: 1 }] }),
  'an empty parameter': rule({ fromParams: [''] }),
  'an empty cookie': rule({ fromCookies: [''] }),
  'a claim without header': rule({ outputClaimToHeaders: [{ claim: 'y' }] }),
  'a header without claim': rule({ outputClaimToHeaders: [{ header: 'x' }] }),
  'an empty claim': rule({ outputClaimToHeaders: [{ header: 'x', claim: '' }] }),
  'a header with a space': rule({ outputClaimToHeaders: [{ header: 'a b', claim: 'y' }] }),
  'a header with a dot': rule({ outputClaimToHeaders: [{ header: 'a.b', claim: 'y' }] }),
  'a yes': rule({ forwardOriginalToken: 'yes' }),
  'a timeout of nothing': rule({ timeout: '0s' }),
  'a negative timeout': rule({ timeout: '-1s' }),
  'a tiny timeout': rule({ timeout: '1us' }),
  'a timeout that is none': rule({ timeout: 'x' }),
  'an empty claim with spaces': rule({ spaceDelimitedClaims: [''] }),
  '65 claims with spaces': rule({ spaceDelimitedClaims: Array.from({ length: 65 }, (_, i) => `c${i}`) }),
  'a field of a rule nobody knows': rule({ foo: 1 }),
  'a field nobody knows': { foo: 1 },
  'a selector and a target': { selector: { matchLabels: { a: 'b' } }, targetRefs: [service] },
  'both forms of a target': { targetRef: service, targetRefs: [service] },
  'a target of another kind': { targetRefs: [{ group: 'apps', kind: 'Deployment', name: 'g' }] },
  'a target of another namespace': { targetRefs: [{ ...service, namespace: 'x' }] },
  '17 targets': { targetRefs: Array.from({ length: 17 }, (_, i) => ({ kind: 'Service', name: `g${i}` })) },
};
test.each(Object.entries(BAD))('refused: %s', (_, spec) => {
  expect(errors(spec)).not.toEqual([]);
});

// Istio takes these: nobody could be asked there, and proxies would not read them.
test('stricter than Istio: a URL without host, a port beyond 65535, text after the key set', () => {
  for (const fields of [{ jwksUri: 'https://' }, { jwksUri: 'https://a:99999/' }, { jwks: `${jwks}x` }]) expect(errors(rule(fields))).toHaveLength(1);
});

test('problems name the field', () => {
  expect(errors(set({ kty: 'RSA', n: 'abc' }))[0]).toMatch(/^spec\.jwtRules\[0\]\.jwks: .*keys\[0\] of kty RSA must have e, base64url$/);
  expect(errors(rule({ jwks, jwksUri: 'https://a/b' }))[0]).toMatch(/^spec\.jwtRules\[0\]: .*only one of jwks, jwksUri/);
});

const coordinate = (bytes: number): string => 'A'.repeat(Math.ceil((bytes * 4) / 3));
// What Envoy 1.40 said of a listener with such a key set (envoy --mode validate).
test.each([
  [true, 'RSA', [RSA]],
  [true, 'RSA with an algorithm', [{ ...RSA, alg: 'PS256' }]],
  [true, 'an algorithm that is no text', [{ ...RSA, alg: 3 }]],
  [true, 'P-256', [{ kty: 'EC', crv: 'P-256', x: coordinate(32), y: coordinate(32) }]],
  [true, 'P-521', [{ kty: 'EC', crv: 'P-521', alg: 'ES512', x: coordinate(66), y: coordinate(66) }]],
  [true, 'Ed25519', [{ kty: 'OKP', crv: 'Ed25519', x: coordinate(32) }]],
  [true, 'symmetric', [{ kty: 'oct', k: 'AAAA' }]],
  [true, 'one beside others', [{ kty: 'AKP' }, 'x', RSA]],
  [false, 'none', []],
  [false, 'another type', [{ kty: 'AKP' }]],
  [false, 'a small modulus', [{ ...RSA, n: 'abc' }]],
  [false, 'exponent 1', [{ ...RSA, e: 'AQ' }]],
  [false, 'a large exponent', [{ ...RSA, e: 'AQABAQABAQ' }]],
  [false, 'plain base64', [{ ...RSA, n: `+${RSA.n}` }]],
  [false, 'the algorithm of another type', [{ ...RSA, alg: 'ES256' }]],
  [false, 'another curve', [{ kty: 'EC', crv: 'secp256k1', x: coordinate(32), y: coordinate(32) }]],
  [false, 'the algorithm of another curve', [{ kty: 'EC', crv: 'P-256', alg: 'ES384', x: coordinate(32), y: coordinate(32) }]],
  [false, 'short coordinates', [{ kty: 'EC', crv: 'P-256', x: 'f83O', y: 'x0' }]],
  [false, 'Ed448', [{ kty: 'OKP', crv: 'Ed448', x: coordinate(57) }]],
  [false, 'a short Ed25519', [{ kty: 'OKP', crv: 'Ed25519', x: 'AAAA' }]],
])('usable by proxies is %s of: %s', (usable, _, keys) => {
  expect(hasUsableKey(JSON.stringify({ keys }))).toBe(usable);
});

test('usable by proxies is no text that is no set', () => {
  expect([JSON.stringify(RSA), '{"keys":null}', '[]', 'nope'].map(hasUsableKey)).toEqual([false, false, false, false]);
});

test.each([
  ['a selector nobody has', { selector: { matchLabels: { app: 'none' } } }, 'KIA0004', 'spec.selector.matchLabels'],
  ['an issuer nobody can be asked about', { jwtRules: [{ issuer: 'me@example.com' }] }, 'WEFT_NO_KEYS', 'spec.jwtRules[0]'],
  ['a key that is no set', rule({ jwks: JSON.stringify(RSA) }), 'WEFT_NO_KEYS', 'spec.jwtRules[0].jwks'],
  ['a private key', set({ ...RSA, d: 'abc' }), 'WEFT_PRIVATE_KEY', 'spec.jwtRules[0].jwks'],
  ['a target', { targetRefs: [service] }, 'WEFT_NO_EFFECT', 'spec.targetRefs[0]'],
])('told, and nothing else: %s', (_, spec, code, path) => {
  expect(analyzeObjects([WORKLOAD, policy(spec)]).map((p) => [p.code, p.path])).toEqual([[code, path]]);
});

test('nothing is told of policies in order: by workload, by gateway, of the root namespace', () => {
  const gateway = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'Gateway',
    metadata: { name: 'g', namespace: 'ingress' },
    spec: { selector: { istio: 'in' }, servers: [] },
  };
  const policies = [
    policy({ selector: { matchLabels: { app: 'a' } }, jwtRules: [{ issuer: 'https://a' }, { issuer: 'b', jwksUri: 'http://b' }, { issuer: 'c', jwks }] }),
    policy({ selector: { matchLabels: { istio: 'in' } } }, 'ingress'),
    policy({ selector: { matchLabels: { app: 'a' } } }, 'istio-system'),
  ];
  expect(analyzeObjects([WORKLOAD, gateway, ...policies])).toEqual([]);
});

test('the example is taken, and nothing is told of it beside the demo', () => {
  const read = (file: string): MeshObject[] =>
    parseYaml(readFileSync(new URL(`../../../../examples/${file}`, import.meta.url), 'utf8')).documents.map((document) => {
      const { object, problems } = validateObject(document.value, document);
      expect(problems).toEqual([]);
      return object as MeshObject;
    });
  const demo = read('bookinfo/bookinfo.yaml');
  expect(analyzeObjects([...demo, ...read('security/request-authentication.yaml')])).toEqual(analyzeObjects(demo));
});

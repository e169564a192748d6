import type { JsonObject } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { jwk, jwks } from '../http/jwt/testing/tokens.ts';
import { decodeJwtAuthn } from './decode-jwt-authn.ts';
import { Fields } from './fields.ts';
import type { JwtAuthn } from './jwt-model.ts';

const local = { localJwks: { inlineString: jwks(jwk('rsa')) } };
const match = { prefix: '/' };

function decode(json: JsonObject): { config: JwtAuthn; problems: string[] } {
  const problems: string[] = [];
  return { config: decodeJwtAuthn(new Fields(json, 'jwt', problems)), problems };
}
const ofProvider = (json: JsonObject): string[] => decode({ providers: { p: { issuer: 'i', ...local, ...json } } }).problems;
const ofRequirement = (requires: JsonObject): string[] => decode({ providers: { p: local }, rules: [{ match, requires }] }).problems;
const p = { providerName: 'p' };

test('as Istio configures it', () => {
  const { config, problems } = decode({
    providers: {
      p: {
        ...{ issuer: 'i', audiences: ['a'], ...local, forward: true, fromHeaders: [{ name: 'X-Jwt', valuePrefix: 'Bearer ' }], fromParams: ['t'] },
        ...{ fromCookies: ['c'], forwardPayloadHeader: 'X-P', payloadInMetadata: 'payload', clearRouteCache: true },
        ...{ normalizePayloadInMetadata: { spaceDelimitedClaims: ['scope'] }, claimToHeaders: [{ headerName: 'X-Sub', claimName: 'sub' }] },
      },
    },
    rules: [
      { match, requires: { requiresAny: { requirements: [p, { requiresAll: { requirements: [p, { allowMissing: {} }] } }, { allowMissingOrFailed: {} }] } } },
      { match, requirementName: 'n' },
      { match },
    ],
    requirementMap: { n: { providerAndAudiences: { providerName: 'p', audiences: ['b'] } } },
    bypassCorsPreflight: true,
  });
  expect(problems).toEqual([]);
  expect(config.providers.get('p')).toMatchObject({
    ...{ issuer: 'i', audiences: ['a'], jwks: local.localJwks.inlineString, forward: true, fromHeaders: [{ name: 'x-jwt', prefix: 'Bearer ' }] },
    ...{ fromParams: ['t'], fromCookies: ['c'], payloadHeader: 'x-p', payloadKey: 'payload', spaceDelimitedClaims: ['scope'], clockSkewSeconds: 60 },
    ...{ claimHeaders: [{ header: 'x-sub', claim: 'sub' }], clearRouteCache: true },
  });
  const provider = { kind: 'provider', provider: 'p' };
  expect(config.rules.map(({ requirement }) => requirement)).toEqual([
    { kind: 'any', requirements: [provider, { kind: 'all', requirements: [provider, { kind: 'allow-missing' }] }, { kind: 'allow-missing-or-failed' }] },
    { ...provider, audiences: ['b'] },
    undefined,
  ]);
  expect(config).toMatchObject({ bypassCorsPreflight: true, stripFailureResponse: false });
});

test('what cannot be done is refused with its place', () => {
  const remote = { remoteJwks: { httpUri: { uri: 'https://x', cluster: 'x' } } };
  expect(decode({ providers: { p: { issuer: 'i', ...remote } } }).problems).toEqual([
    'jwt.providers.p.remoteJwks: this proxy fetches no keys: they have to come inline',
  ]);
  expect(decode({ providers: { p: { issuer: 'i' } } }).problems).toEqual(['jwt.providers.p.localJwks: is missing']);
  expect(ofProvider({ localJwks: { inlineString: '{"keys":[]}' } })).toEqual(["jwt.providers.p.localJwks: of no use: Jwks doesn't have any valid public key"]);
  expect(ofProvider({ localJwks: { filename: '/keys' } })).toEqual([
    'jwt.providers.p.localJwks.filename: this proxy cannot do it',
    'jwt.providers.p.localJwks: of no use: Jwks is an invalid JSON',
  ]);
  expect(ofProvider({ fromHeaders: [{ valuePrefix: 'x' }] })).toEqual(['jwt.providers.p.fromHeaders[0].name: is missing']);
  expect(decode({ filterStateRules: { name: 'x' } }).problems).toEqual(['jwt.filterStateRules: this proxy cannot do it']);
});

test('a requirement that says nothing, or nothing that is known, is not one that asks for nothing', () => {
  expect(ofRequirement({})).toEqual(['jwt.rules[0].requires.requiresType: says nothing this proxy knows']);
  expect(ofRequirement({ extractOnlyWithoutValidation: {} })[0]).toBe('jwt.rules[0].requires.requiresType: says nothing this proxy knows');
  expect(ofRequirement({ providerName: 'q' })).toEqual(['jwt.rules[0].requires.providerName: there is no provider q']);
  expect(ofRequirement({ requiresAny: { requirements: [p] } })).toEqual(['jwt.rules[0].requires.requiresAny.requirements: at least two are needed']);
  expect(decode({ rules: [{ match, requirementName: 'q' }] }).problems).toEqual(['jwt.rules[0].requirementName: there is no requirement q']);
});

test('keys may come as bytes', () => {
  const { config, problems } = decode({ providers: { p: { localJwks: { inlineBytes: Buffer.from(local.localJwks.inlineString).toString('base64') } } } });
  expect([problems, config.providers.get('p')?.jwks]).toEqual([[], local.localJwks.inlineString]);
});

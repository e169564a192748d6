import { isJwtFailure, jwtFailures } from '@weft/mesh-core/traffic';
import { describe, expect, test } from 'vitest';
import type { JwtProvider } from '../../config/jwt-model.ts';
import { compileProvider, type ProviderAtWork } from './provider.ts';
import { jwk, jwks, token } from './testing/tokens.ts';
import { parseJwt, type JwtToken } from './token.ts';
import { TokenMemory } from './token-memory.ts';

const settings: JwtProvider = {
  ...{ issuer: 'one', audiences: [], jwks: jwks(jwk('rsa')), forward: false, fromHeaders: [], fromParams: [], fromCookies: [], payloadHeader: '' },
  ...{ padPayload: false, payloadKey: '', headerKey: '', failureKey: '', spaceDelimitedClaims: [], clockSkewSeconds: 60, claimHeaders: [] },
  clearRouteCache: false,
};

function read(memory: TokenMemory, text: string): JwtToken {
  const found = memory.read(text);
  if (isJwtFailure(found)) throw new Error(found.text);
  return found;
}

const judge = (provider: ProviderAtWork, memory: TokenMemory, text: string, now: number): string =>
  provider.failure(text, read(memory, text), provider.audiences, now)?.text ?? 'good';

describe('what was found good', () => {
  test('is remembered, but by that provider only, and not beyond its time', () => {
    const memory = new TokenMemory();
    const provider = compileProvider(settings, memory);
    const stranger = compileProvider({ ...settings, jwks: jwks(jwk('other')) }, memory);
    const text = token({ iss: 'one', exp: 1000 });
    expect(judge(provider, memory, text, 900)).toBe('good');
    const known = read(memory, text);
    expect([read(memory, token({ iss: 'two' })), memory.read(text)][1]).toBe(known);
    expect(judge(stranger, memory, text, 900)).toBe('Jwt verification fails');
    expect(judge(provider, memory, text, 1060)).toBe('good');
    expect([judge(provider, memory, text, 1061), memory.size]).toEqual(['Jwt is expired', 0]);
  });

  test('what was not is not, nor is what is very long, nor more than some', () => {
    const memory = new TokenMemory();
    const provider = compileProvider(settings, memory);
    const bad = token({ iss: 'one' }, { key: 'other' });
    expect([judge(provider, memory, bad, 1), judge(provider, memory, bad, 1), memory.size]).toEqual([
      jwtFailures.signature.text,
      jwtFailures.signature.text,
      0,
    ]);
    expect([judge(provider, memory, token({ iss: 'one', more: 'x'.repeat(4096) }), 1), memory.size]).toEqual(['good', 0]);
    const keep = (text: string): void => memory.keep(text, read(memory, bad));
    for (let i = 0; i < 512; i++) keep(`token ${i}`);
    memory.read('token 0');
    keep('one more');
    expect([memory.size, isJwtFailure(memory.read('token 0')), isJwtFailure(memory.read('token 1'))]).toEqual([512, false, true]);
  });
});

test('of a mixed set the key of the right kind is taken, wherever it stands (Envoy looks no further than an Ed25519 key)', () => {
  const memory = new TokenMemory();
  const provider = compileProvider({ ...settings, jwks: jwks(jwk('ed'), jwk('secret'), jwk('rsa')) }, memory);
  expect(judge(provider, memory, token({ iss: 'one' }), 1)).toBe('good');
  // A secret signs what says so, and nothing that says another kind of key did.
  expect(judge(provider, memory, token({ iss: 'one' }, { alg: 'HS256', key: 'secret' }), 1)).toBe('good');
  expect(judge(provider, memory, token({ iss: 'one' }, { alg: 'RS256', key: 'secret' }), 1)).toBe('Jwt verification fails');
});

test('a set of no use lets nobody in', () => {
  const memory = new TokenMemory();
  expect(judge(compileProvider({ ...settings, jwks: '{}' }, memory), memory, token({ iss: 'one' }), 1)).toBe(jwtFailures.noSuchKey.text);
});

test('white space is no part of a token', () => {
  expect(parseJwt(`${token({ iss: 'one' })} `)).toBe(jwtFailures.signatureBase64);
});

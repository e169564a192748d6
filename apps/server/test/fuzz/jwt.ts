// Tokens: nothing but what was signed is believed, and nothing that comes is more than refused.

import { isJwtFailure } from '@weft/mesh-core/traffic';
import { parseJwks } from '../../src/proxy/http/jwt/jwks.ts';
import { base64url, jwk, jwks, token } from '../../src/proxy/http/jwt/testing/tokens.ts';
import { parseJwt } from '../../src/proxy/http/jwt/token.ts';
import { signatureFailure } from '../../src/proxy/http/jwt/verify-signature.ts';
import type { Target } from './target.ts';

const claims = { iss: 'one', sub: 'sue', aud: ['a', 'b'], exp: 2e9, nested: { list: [1, 'two', null] } };
const seeds = (['rsa', 'p256', 'ed', 'secret'] as const).map((key, i) => token(claims, { key, alg: ['RS256', 'ES256', 'EdDSA', 'HS256'][i] ?? '' }));
const none = base64url('{"alg":"none"}');
const pieces = ['.', '..', '=', '==', '-', '_', '$', ' ', 'e30', 'W10', none, `${none}.`, base64url('{"alg":"HS256","kid":"../x"}'), base64url('"sub":"eve",')];

/** What a token says and who says so: padding, empty parts and spare bits are only another spelling. */
const essence = (text: string): string => {
  const read = parseJwt(text);
  return isJwtFailure(read) ? '' : JSON.stringify([read.header, read.payload, read.signature.toString('hex')]);
};

export function tokenTarget(): Target {
  const keys = parseJwks(jwks(jwk('rsa'), jwk('p256'), jwk('ed'), jwk('secret')));
  if (typeof keys === 'string') throw new Error(keys);
  const known = new Set(seeds.map(essence));
  return {
    name: 'jwt',
    make: (random) => random.mutate(random.pick(seeds), pieces),
    check(input) {
      const read = parseJwt(input);
      if (isJwtFailure(read)) return false;
      if (signatureFailure(read, keys) === undefined && !known.has(essence(input))) throw new Error('believed, and nobody has signed it');
      return true;
    },
  };
}

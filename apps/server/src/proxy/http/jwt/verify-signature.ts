// Whether any key of a set has signed a token.

import { constants, createHmac, timingSafeEqual, verify } from 'node:crypto';
import { type JwtFailure, jwtFailures } from '@weft/mesh-core/traffic';
import type { Jwk, KeyType } from './jwks.ts';
import type { JwtToken } from './token.ts';

/** Kind of key an algorithm takes, by its first letters: no key is used for what it is not. */
const TYPES: Readonly<Record<string, KeyType>> = { RS: 'RSA', PS: 'RSA', ES: 'EC', HS: 'oct', Ed: 'OKP' };

/** Undefined = one has. */
export function signatureFailure(token: JwtToken, keys: readonly Jwk[]): JwtFailure | undefined {
  let fits = false;
  for (const key of keys) {
    // Who does not name a key, or a key without a name, may be anyone's.
    if (token.kid !== '' && key.kid !== '' && key.kid !== token.kid) continue;
    if (key.alg !== '' && key.alg !== token.alg) continue;
    fits = true;
    if (TYPES[token.alg.slice(0, 2)] !== key.type) continue;
    if (key.type === 'OKP' && token.signature.length !== 64) return jwtFailures.ed25519Length;
    if (isSigned(token, key)) return undefined;
  }
  return fits ? jwtFailures.signature : jwtFailures.noSuchKey;
}

function isSigned({ alg, signed, signature }: JwtToken, { type, key }: Jwk): boolean {
  const hash = `sha${alg.slice(2)}`;
  const data = Buffer.from(signed, 'latin1');
  try {
    switch (type) {
      case 'oct': {
        const own = createHmac(hash, key).update(data).digest();
        return own.length === signature.length && timingSafeEqual(own, signature);
      }
      case 'OKP':
        return verify(null, data, key, signature);
      case 'EC':
        return verify(hash, data, { key, dsaEncoding: 'ieee-p1363' }, signature);
      case 'RSA':
        if (alg.startsWith('RS')) return verify(hash, data, key, signature);
        return verify(hash, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }, signature);
    }
  } catch {
    // A key too short for the hash.
    return false;
  }
}

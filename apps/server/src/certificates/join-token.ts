// Join tokens: HMAC-SHA256 over three claims and an expiry, in the shape of a JWT. They prove who may ask for which certificate.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { CertificateError } from './errors.ts';

export interface JoinClaims {
  namespace: string;
  workload: string;
  serviceAccount: string;
  /** Unix ms. */
  expiresAt: number;
}

const HEADER = Buffer.from(JSON.stringify({ alg: 'HS256', typ: 'weft-join' })).toString('base64url');

/** A token for exactly these claims. */
export function signJoinToken(claims: JoinClaims, key: Buffer): string {
  const body = `${HEADER}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;
  return `${body}.${mac(body, key).toString('base64url')}`;
}

/** The claims of a token this key signed; throws WEFT_TOKEN_INVALID or WEFT_TOKEN_EXPIRED. `now` in unix ms. */
export function verifyJoinTokenWith(token: string, key: Buffer, now: number): JoinClaims {
  const [header, payload, signature, ...rest] = token.split('.');
  if (header !== HEADER || payload === undefined || signature === undefined || rest.length > 0) throw invalid();
  const wanted = mac(`${header}.${payload}`, key);
  const given = Buffer.from(signature, 'base64url');
  // Compared as text too: base64url has several spellings of the same bytes.
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted) || given.toString('base64url') !== signature) throw invalid();
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as JoinClaims;
  if (claims.expiresAt <= now)
    throw new CertificateError(
      'WEFT_TOKEN_EXPIRED',
      `the join token of workload ${claims.workload} expired at ${new Date(claims.expiresAt).toISOString()}; ask for a new one`,
    );
  return claims;
}

function mac(text: string, key: Buffer): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function invalid(): CertificateError {
  return new CertificateError('WEFT_TOKEN_INVALID', 'the join token was not issued by this mesh; ask POST /api/v1/join-tokens for one');
}

// Tokens for cases, and the key set that fits them. Made once a run, so that both data planes see the same.

import { generateKeyPairSync, sign } from 'node:crypto';

export const ISSUER = 'https://issuer.example.com';
export const OTHER_ISSUER = 'https://other.example.com';

const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const strange = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const KID = 'key-1';

/** Of the issuers. */
export const JWKS = JSON.stringify({ keys: [{ ...own.publicKey.export({ format: 'jwk' }), kid: KID, use: 'sig' }] });

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const FAR = 4_102_444_800;

/** Signed by the issuer unless told otherwise. */
export function token(claims: object = {}, { header = {}, stranger = false }: { header?: object; stranger?: boolean } = {}): string {
  const payload = { iss: ISSUER, sub: 'alice', aud: 'shop', exp: FAR, scope: 'read write', team: { name: 'blue' }, ...claims };
  const signed = `${part({ alg: 'ES256', typ: 'JWT', kid: KID, ...header })}.${part(payload)}`;
  const key = (stranger ? strange : own).privateKey;
  return `${signed}.${sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
}

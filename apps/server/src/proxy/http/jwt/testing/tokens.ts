// Keys made for a run, and tokens signed by them.

import { constants, createHmac, generateKeyPairSync, type JsonWebKey, type KeyObject, sign } from 'node:crypto';

const pair = {
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  other: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  p256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  p521: generateKeyPairSync('ec', { namedCurve: 'P-521' }),
  ed: generateKeyPairSync('ed25519'),
};
export const secret = 'a secret of thirty-two letters..';

export type KeyName = keyof typeof pair | 'secret';

/** The public half; a secret has no halves. */
export function jwk(name: KeyName, more: object = {}): JsonWebKey {
  const key = name === 'secret' ? { kty: 'oct', k: Buffer.from(secret).toString('base64url') } : pair[name].publicKey.export({ format: 'jwk' });
  return { ...key, ...more };
}

export function jwks(...keys: readonly JsonWebKey[]): string {
  return JSON.stringify({ keys });
}

export const base64url = (text: string | Buffer): string => Buffer.from(text).toString('base64url');

export interface Signing {
  alg?: string;
  key?: KeyName;
  header?: object;
}

/** A token of these claims, or of this text in their place. */
export function token(claims: object | string | Buffer, { alg = 'RS256', key = 'rsa', header = {} }: Signing = {}): string {
  const payload = typeof claims === 'string' || Buffer.isBuffer(claims) ? claims : JSON.stringify(claims);
  const signed = `${base64url(JSON.stringify({ alg, typ: 'JWT', ...header }))}.${base64url(payload)}`;
  return `${signed}.${signature(alg, key, Buffer.from(signed)).toString('base64url')}`;
}

function signature(alg: string, name: KeyName, data: Buffer): Buffer {
  const hash = `sha${/\d+/.exec(alg)?.[0] ?? '256'}`;
  if (name === 'secret') return createHmac(hash, secret).update(data).digest();
  const key: KeyObject = pair[name].privateKey;
  if (alg.startsWith('PS')) return sign(hash, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST });
  if (alg.startsWith('ES')) return sign(hash, data, { key, dsaEncoding: 'ieee-p1363' });
  return sign(alg === 'EdDSA' ? null : hash, data, key);
}

// JSON Web Key Sets. Keys that cannot be used are left out; a set without any that can is refused, in Envoy's words.

import { createPublicKey, createSecretKey, type JsonWebKey, type KeyObject, X509Certificate } from 'node:crypto';
import { parseJsonObject } from '@weft/mesh-core/traffic';
import type { JsonObject } from '@weft/mesh-core/wire';
import { decodeBase64Url } from './base64url.ts';

export interface Jwk {
  /** '' = it does not say. */
  kid: string;
  alg: string;
  type: KeyType;
  key: KeyObject;
}

export type KeyType = 'RSA' | 'EC' | 'oct' | 'OKP';

/** Why a key, or a set, is of no use. */
class JwksError extends Error {}

/** The keys, or what is wrong with them. */
export function parseJwks(text: string): readonly Jwk[] | string {
  const json = parseJsonObject(text);
  if (json === undefined) return 'Jwks is an invalid JSON';
  const { keys } = json;
  try {
    if (keys === undefined) return certificates(json);
  } catch (error) {
    return (error as Error).message;
  }
  if (!Array.isArray(keys)) return '[keys] in Jwks is not an array';
  const usable: Jwk[] = [];
  let problem = "Jwks doesn't have any valid public key";
  let first = true;
  for (const entry of keys) {
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) continue;
    try {
      usable.push(readKey(entry));
    } catch (error) {
      if (first) problem = (error as Error).message;
      first = false;
    }
  }
  return usable.length > 0 ? usable : problem;
}

/** Certificates of RSA keys by kid. */
function certificates(json: JsonObject): readonly Jwk[] | string {
  const entries = Object.entries(json);
  const all = entries.every(
    ([kid, pem]) => kid !== '' && typeof pem === 'string' && /^-----BEGIN CERTIFICATE-----\n.*\n-----END CERTIFICATE-----\n$/s.test(pem),
  );
  if (entries.length === 0 || !all) return 'Jwks does not have [keys] field';
  return entries.map(([kid, pem]) => {
    const key = attempt(() => new X509Certificate(pem as string).publicKey, 'X509 parse pubkey fails');
    if (key.asymmetricKeyType !== 'rsa') throw new JwksError('X509 parse pubkey internal fails: get pubkey');
    return { kid, alg: '', type: 'RSA', key };
  });
}

function readKey(json: JsonObject): Jwk {
  const { kty, kid, alg: said } = json;
  const alg = typeof said === 'string' ? said : '';
  if (kty === undefined) throw new JwksError('[kty] is missing in [keys]');
  if (typeof kty !== 'string') throw new JwksError('[kty] is bad in [keys]');
  const read = READERS[kty as KeyType];
  if (!Object.hasOwn(READERS, kty)) throw new JwksError('[kty] is not supported in [keys]');
  return { kid: typeof kid === 'string' ? kid : '', alg, type: kty as KeyType, key: read(json, alg) };
}

const READERS: Readonly<Record<KeyType, (json: JsonObject, alg: string) => KeyObject>> = {
  RSA(json, alg) {
    if (alg !== '' && !/^[RP]S/.test(alg)) throw new JwksError('[alg] is not started with [RS] or [PS] for an RSA key');
    const broken = 'Jwks RSA [n] or [e] field is missing or has a parse error';
    const n = bytes(field(json, 'n', 'a RSA'), broken);
    const e = bytes(field(json, 'e', 'a RSA'), broken);
    const exponent = e.length > 0 && e.length < 7 ? e.readUIntBE(0, e.length) : 0;
    if ((exponent !== 3 && exponent !== 65_537) || ((n.at(-1) ?? 0) & 1) === 0) throw new JwksError(broken);
    return publicKey({ kty: 'RSA', n: n.toString('base64url'), e: e.toString('base64url') }, broken);
  },
  EC(json, alg) {
    if (alg !== '' && !alg.startsWith('ES')) throw new JwksError('[alg] is not started with [ES] for an EC key');
    const { crv: curve = CURVES[alg] ?? (alg === '' ? 'P-256' : '') } = json;
    if (typeof curve !== 'string') throw new JwksError('[crv] field is not string for an EC key');
    if (alg !== '' && json['crv'] !== undefined && CURVES[alg] !== curve)
      throw new JwksError('[crv] field specified is not compatible with [alg] for an EC key');
    if (!Object.values(CURVES).includes(curve)) throw new JwksError('[crv] or [alg] field is not supported for an EC key');
    const broken = 'Jwks EC [x] or [y] field is an invalid Base64.';
    const [x, y] = ['x', 'y'].map((name) => bytes(field(json, name, 'an EC'), broken).toString('base64url'));
    return publicKey({ kty: 'EC', crv: curve, x, y } as JsonWebKey, 'Jwks EC [x] and [y] fields have a parse error.');
  },
  oct(json, alg) {
    if (alg !== '' && !/^HS(256|384|512)$/.test(alg)) throw new JwksError('[alg] does not start with [HS] for an HMAC key');
    const secret = bytes(field(json, 'k', 'an HMAC'), 'Jwks Oct key is an invalid Base64');
    if (secret.length === 0) throw new JwksError('Jwks Oct key is an invalid Base64');
    return createSecretKey(secret);
  },
  OKP(json, alg) {
    if (alg !== '' && alg !== 'EdDSA') throw new JwksError('[alg] is not [EdDSA] for an OKP key');
    if (field(json, 'crv', 'an OKP') !== 'Ed25519') throw new JwksError('[crv] field is not supported for an OKP key');
    const x = bytes(field(json, 'x', 'an OKP'), 'Jwks OKP [x] field is an invalid Base64.');
    if (x.length !== 32) throw new JwksError('Jwks OKP [x] field is wrong length.');
    return publicKey({ kty: 'OKP', crv: 'Ed25519', x: x.toString('base64url') }, 'Jwks OKP [x] field is wrong length.');
  },
};

const CURVES: Readonly<Record<string, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };

function field(json: JsonObject, name: string, of: string): string {
  const value = json[name];
  if (value === undefined) throw new JwksError(`[${name}] field is missing for ${of} key`);
  if (typeof value !== 'string') throw new JwksError(`[${name}] field is not string for ${of} key`);
  return value;
}

function bytes(text: string, otherwise: string): Buffer {
  const decoded = decodeBase64Url(text);
  if (decoded === undefined) throw new JwksError(otherwise);
  return decoded;
}

function publicKey(key: JsonWebKey, otherwise: string): KeyObject {
  return attempt(() => createPublicKey({ key, format: 'jwk' }), otherwise);
}

function attempt<T>(make: () => T, otherwise: string): T {
  try {
    return make();
  } catch {
    throw new JwksError(otherwise);
  }
}

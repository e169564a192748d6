import { generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { expect, test } from 'vitest';
import { parseJwks } from './jwks.ts';
import { base64url, jwk, jwks } from './testing/tokens.ts';

const rsa = jwk('rsa');
const modulus = Buffer.from(rsa.n ?? '', 'base64url');
const made = (curve: 'x25519' | 'ed448'): JsonWebKey =>
  (curve === 'x25519' ? generateKeyPairSync('x25519') : generateKeyPairSync('ed448')).publicKey.export({ format: 'jwk' });
const brokenRsa = 'Jwks RSA [n] or [e] field is missing or has a parse error';

/** Seen at stock Envoy 1.40, which refuses the listener with these words. */
test.each<[string, string, string | number]>([
  ['no JSON', 'x', 'Jwks is an invalid JSON'],
  ['a list', '[]', 'Jwks is an invalid JSON'],
  ['a name twice', `${jwks(rsa).slice(0, -1)},"keys":[]}`, 'Jwks is an invalid JSON'],
  ['no keys', '{}', 'Jwks does not have [keys] field'],
  ['keys no list', '{"keys":{}}', '[keys] in Jwks is not an array'],
  ['empty', jwks(), "Jwks doesn't have any valid public key"],
  ['no object', '{"keys":[1]}', "Jwks doesn't have any valid public key"],
  ['a good one among bad ones', jwks({ kty: 'zz' }, rsa, {}), 1],
  ['the first failure is told', jwks({ kty: 'zz' }, {}), '[kty] is not supported in [keys]'],
  ['no kty', jwks({}), '[kty] is missing in [keys]'],
  ['kty no text', '{"keys":[{"kty":1}]}', '[kty] is bad in [keys]'],
  ['kty of a prototype', jwks({ kty: 'constructor' }), '[kty] is not supported in [keys]'],
  ['RSA for encryption', jwks({ ...rsa, alg: 'RSA-OAEP' }), 1],
  ['RSA alg', jwks({ ...rsa, alg: 'ES256' }), '[alg] is not started with [RS] or [PS] for an RSA key'],
  ['RSA without n', jwks({ kty: 'RSA', e: 'AQAB' }), '[n] field is missing for a RSA key'],
  ['RSA n no text', '{"keys":[{"kty":"RSA","n":1,"e":"AQAB"}]}', '[n] field is not string for a RSA key'],
  ['RSA n with padding', jwks({ ...rsa, n: `${rsa.n}==` }), 1],
  ['RSA n in the other alphabet', jwks({ ...rsa, n: '++++' }), brokenRsa],
  ['RSA n even', jwks({ ...rsa, n: base64url(Buffer.concat([modulus.subarray(0, -1), Buffer.of(0)])) }), brokenRsa],
  ['RSA e 3', jwks({ ...rsa, e: 'Aw' }), 1],
  ['RSA e 17', jwks({ ...rsa, e: 'EQ' }), brokenRsa],
  ['RSA e 1', jwks({ ...rsa, e: 'AQ' }), brokenRsa],
  ['kid and alg no text', JSON.stringify({ keys: [{ ...rsa, kid: 3, alg: 4 }] }), 1],
  ['EC of each curve', jwks(jwk('p256'), jwk('p384'), jwk('p521')), 3],
  ['EC without curve', JSON.stringify({ keys: [{ ...jwk('p256'), crv: undefined }] }), 1],
  ['EC, its curve by alg', JSON.stringify({ keys: [{ ...jwk('p384'), crv: undefined, alg: 'ES384' }] }), 1],
  ['EC curve no text', JSON.stringify({ keys: [{ ...jwk('p256'), crv: 1 }] }), '[crv] field is not string for an EC key'],
  ['EC another curve', jwks({ ...jwk('p256'), crv: 'secp256k1' }), '[crv] or [alg] field is not supported for an EC key'],
  ['EC alg of another curve', jwks({ ...jwk('p256'), alg: 'ES384' }), '[crv] field specified is not compatible with [alg] for an EC key'],
  ['EC alg', jwks({ ...jwk('p256'), alg: 'ECDH-ES' }), '[alg] is not started with [ES] for an EC key'],
  ['EC off its curve', jwks({ ...jwk('p256'), x: jwk('p256').y ?? '' }), 'Jwks EC [x] and [y] fields have a parse error.'],
  ['EC without y', JSON.stringify({ keys: [{ ...jwk('p256'), y: undefined }] }), '[y] field is missing for an EC key'],
  ['a secret', jwks(jwk('secret')), 1],
  ['a secret, empty', jwks({ kty: 'oct', k: '' }), 'Jwks Oct key is an invalid Base64'],
  ['a secret, alg', jwks({ kty: 'oct', k: 'aaaa', alg: 'HS1' }), '[alg] does not start with [HS] for an HMAC key'],
  ['Ed25519', jwks(jwk('ed')), 1],
  ['Ed25519, alg', jwks({ ...jwk('ed'), alg: 'ES256' }), '[alg] is not [EdDSA] for an OKP key'],
  ['Ed25519, short', jwks({ ...jwk('ed'), x: 'YQ' }), 'Jwks OKP [x] field is wrong length.'],
  ['X25519', jwks(made('x25519')), '[crv] field is not supported for an OKP key'],
  ['Ed448', jwks(made('ed448')), '[crv] field is not supported for an OKP key'],
  ['a certificate that is none', JSON.stringify({ a: '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n' }), 'X509 parse pubkey fails'],
])('%s', (_, text, expected) => {
  const keys = parseJwks(text);
  expect(typeof keys === 'string' ? keys : keys.length).toBe(expected);
});

// JSON Web Key Sets (RFC 7517) as far as configuration is concerned: whether a text is one.

/** Members a key of each type needs to be a public one. */
const MEMBERS: Readonly<Record<string, readonly string[]>> = { RSA: ['n', 'e'], EC: ['crv', 'x', 'y'], OKP: ['crv', 'x'], oct: ['k'] };
/** Those that are numbers or octets. */
const BASE64URL = /^[-_A-Za-z0-9]+={0,2}$/;

/** What is wrong with a key set; undefined when nothing is. One key by itself is taken too, as Istio takes it. */
export function jwksProblem(text: string): string | undefined {
  const set = parsed(text);
  if (set === undefined) return 'must be a JSON Web Key Set: a JSON object with keys';
  const { keys } = set;
  if (keys === undefined) return keyProblem(set, 'the key');
  if (keys === null) return undefined;
  if (!Array.isArray(keys)) return 'keys must be a list';
  for (const [i, key] of keys.entries()) {
    const problem = keyProblem(key, `keys[${i}]`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Whether it is a key set as servers give them, which may hold keys of types nobody here knows. */
export function hasKeyList(text: string): boolean {
  return keysIn(text) !== undefined;
}

/** Whether proxies can use a key of it. Envoy refuses the whole listener when there is none. */
export function hasUsableKey(text: string): boolean {
  return keysIn(text)?.some(isUsable) === true;
}

/** Whether it has the half of a key that makes tokens. */
export function hasPrivateKey(text: string): boolean {
  return keysIn(text)?.some((key) => isObject(key) && (key['d'] !== undefined || key['k'] !== undefined)) === true;
}

/** Bytes of a coordinate, and the algorithm, by curve. */
const CURVES: Readonly<Record<string, readonly [number, string]>> = { 'P-256': [32, 'ES256'], 'P-384': [48, 'ES384'], 'P-521': [66, 'ES512'] };
/** Below, RSA is no protection, and BoringSSL knows it. */
const LEAST_MODULUS = 64;

function isUsable(key: unknown): boolean {
  if (!isObject(key)) return false;
  const alg = typeof key['alg'] === 'string' ? key['alg'] : '';
  const length = (name: string): number => (typeof key[name] === 'string' && BASE64URL.test(key[name]) ? bytesOf(key[name]) : 0);
  switch (key['kty']) {
    case 'RSA':
      return length('n') >= LEAST_MODULUS && length('e') > 0 && length('e') <= 4 && key['e'] !== 'AQ' && /^(|[RP]S.*)$/.test(alg);
    case 'EC': {
      const [size, own] = CURVES[String(key['crv'])] ?? [];
      return size !== undefined && length('x') === size && length('y') === size && (alg === '' || alg === own);
    }
    case 'OKP':
      return key['crv'] === 'Ed25519' && length('x') === 32 && (alg === '' || alg === 'EdDSA');
    case 'oct':
      return length('k') > 0 && (alg === '' || alg.startsWith('HS'));
    default:
      return false;
  }
}

function bytesOf(base64url: string): number {
  return Math.floor((base64url.replace(/=+$/, '').length * 3) / 4);
}

function keysIn(text: string): unknown[] | undefined {
  const keys = parsed(text)?.['keys'];
  return Array.isArray(keys) ? keys : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function keyProblem(value: unknown, what: string): string | undefined {
  if (!isObject(value)) return `${what} must be an object`;
  const key = value;
  const members = MEMBERS[String(key['kty'])];
  if (typeof key['kty'] !== 'string' || members === undefined) return `${what} must have kty ${Object.keys(MEMBERS).join(', ')}`;
  for (const name of members) {
    const member = key[name];
    if (typeof member !== 'string' || !BASE64URL.test(member))
      return `${what} of kty ${key['kty']} must have ${name}, ${name === 'crv' ? 'a curve' : 'base64url'}`;
  }
  return key['kid'] === undefined || typeof key['kid'] === 'string' ? undefined : `kid of ${what} must be text`;
}

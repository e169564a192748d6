// Key sets that RequestAuthentications leave to a server. Whoever may ask servers, the control plane, hands in what they said as
// objects of a kind of its own, so that it is one more source of the translation. No store, list or API has this kind.

import { type JwtRule, type RequestAuthenticationSpec, durationMs, hasUsableKey, isHttpUrl, keyServerOf } from '../config/index.ts';
import { type MeshObject, refKey, refOf } from '../model/index.ts';
import { fact } from './memo.ts';
import { type Mesh, ofKind } from './mesh.ts';

const KIND = 'weft.internal/KeySet';

/** Where a key set comes from: the server's URL, and whether that is the issuer's discovery document, which names the server. */
export interface KeySource {
  url: string;
  discovery: boolean;
  /** How long to wait for an answer: the longest of the rules that have this source. */
  timeoutMs: number;
}

/** What became of a source: its key set, or why there is none. */
export interface KeySet {
  jwks?: string;
  problem?: string;
}

const TIMEOUT_MS = 5_000;

/** Undefined where the keys stand in the rule, or where an issuer that is no URL says nothing about them. */
function sourceOf(rule: JwtRule): KeySource | undefined {
  if (rule.jwks) return undefined;
  const timeoutMs = rule.timeout === undefined ? TIMEOUT_MS : (durationMs(rule.timeout) ?? TIMEOUT_MS);
  const url = keyServerOf(rule);
  if (url !== undefined) return { url, discovery: false, timeoutMs };
  return rule.issuer !== undefined && isHttpUrl(rule.issuer)
    ? { url: `${rule.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, discovery: true, timeoutMs }
    : undefined;
}

/** Names a source; the two uses of one URL are two sources. */
export function keySourceName({ url, discovery }: Pick<KeySource, 'url' | 'discovery'>): string {
  return `${discovery ? 'discovery' : 'keys'} ${url}`;
}

/** Every source that RequestAuthentications among the objects name, once. */
export function keySources(objects: Iterable<MeshObject>): KeySource[] {
  const sources = new Map<string, KeySource>();
  for (const object of objects) {
    if (object.kind !== 'RequestAuthentication') continue;
    for (const rule of (object.spec as RequestAuthenticationSpec).jwtRules ?? []) {
      const source = sourceOf(rule);
      if (source === undefined) continue;
      const known = sources.get(keySourceName(source));
      sources.set(keySourceName(source), { ...source, timeoutMs: Math.max(source.timeoutMs, known?.timeoutMs ?? 0) });
    }
  }
  return [...sources.values()];
}

/** For {@link buildMesh}, beside the objects of the store. The same key set should stay the same object. */
export function keySetObject(source: KeySource, keySet: KeySet): MeshObject<KeySet> {
  return { apiVersion: 'weft.internal', kind: KIND, metadata: { name: keySourceName(source), namespace: '' }, spec: keySet };
}

function keySetOf(mesh: Mesh, source: KeySource): KeySet {
  const name = keySourceName(source);
  const found = fact(mesh, `key set|${name}`, (m) => ofKind<KeySet>(m, KIND).find((o) => o.metadata.name === name)?.spec);
  return found ?? { problem: `${source.url} has not answered yet` };
}

/** A key nobody has the other half of (it was thrown away when it was made): every token of the rule is refused. */
const NOBODYS_KEYS = JSON.stringify({
  keys: [
    {
      kty: 'RSA',
      e: 'AQAB',
      n: 'zYjHeK0xXC07WoTOQiRgv-gNUz5L32Jg3RKGTlU9RXWMz7vLn3FT_AMCfDP9wHmcrE9bExkErVufzK4EEQb2uqf0cKNpK9MqExUmLT-2eB4-16hl79Uvn-mjMORIIUW8aQIQo4rbXhu9EwDc-dLTqzz8ZWeKlFlDBCpZWLIx7x___lEEUstCbP36TnzQUu8ZIO7L3b6CMicK0JcAJJJPENC1wgmEotCqEuqBjj37qjqrmfhcSAcK1rmf36pHbuxvp3Ygb3Bk406QRnVM82aT2UrpE3eHguta4NM_p9UFCPde6NuP-ucr7JCxvyQtsfQsY44WTNaB8PjJ3w9ULqWBjw',
    },
  ],
});

/** The key set to send for a rule, and why it is one that fits no token. */
export function keysFor(mesh: Mesh, rule: JwtRule): { jwks: string; problem?: string } {
  const { jwks, problem = '', from } = given(mesh, rule);
  if (jwks === undefined) return { jwks: NOBODYS_KEYS, problem };
  return hasUsableKey(jwks) ? { jwks } : { jwks: NOBODYS_KEYS, problem: `${from} has no key that proxies can use` };
}

function given(mesh: Mesh, rule: JwtRule): KeySet & { from: string } {
  if (rule.jwks) return { jwks: rule.jwks, from: 'jwks' };
  const source = sourceOf(rule);
  if (source === undefined) return { problem: `issuer ${rule.issuer ?? ''} is no URL to find keys by: give jwks or jwksUri`, from: '' };
  return { ...keySetOf(mesh, source), from: `the key set of ${source.url}` };
}

/** One rule whose tokens are all refused. */
export interface MissingKeys {
  /** `RequestAuthentication/<namespace>/<name>` */
  policy: string;
  /** Of the rule, by its place in the object. */
  rule: number;
  reason: string;
  /** Server to blame; absent = what the rule says can give no keys. */
  url?: string;
}

export function missingKeys(mesh: Mesh, policies: readonly MeshObject<RequestAuthenticationSpec>[]): MissingKeys[] {
  return policies.flatMap((policy) =>
    (policy.spec.jwtRules ?? []).flatMap((rule, i) => {
      const { problem } = keysFor(mesh, rule);
      const url = sourceOf(rule)?.url;
      return problem === undefined ? [] : [{ policy: refKey(refOf(policy)), rule: i, reason: problem, ...(url === undefined ? {} : { url }) }];
    }),
  );
}

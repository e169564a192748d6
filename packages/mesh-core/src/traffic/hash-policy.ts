// The hash of a request for ring and maglev clusters, from its route's hash policies: the same number Envoy computes.

import { compileRegexRewriteText } from './rewrite.ts';
import { queryParameter, type RequestView } from './route-match.ts';
import { xxHash64 } from './xx-hash.ts';

export type HashPolicySpec =
  | { kind: 'header'; name: string; rewrite?: { pattern: string; substitution: string }; terminal: boolean }
  /** With `ttlMs` a client without the cookie is given one; 0 = for its session. */
  | { kind: 'cookie'; name: string; path: string; ttlMs?: number; attributes: readonly { name: string; value: string }[]; terminal: boolean }
  | { kind: 'source-ip'; terminal: boolean }
  | { kind: 'query'; name: string; terminal: boolean };

/** The request as it goes on. */
export interface HashSource extends Pick<RequestView, 'path'> {
  /** Values of a header, name in lower case. */
  all(name: string): string[];
  /** Without port. */
  readonly sourceIp: string;
  /** Both ends of the client's connection: what a new cookie is made of, so that all requests of a connection get the same. */
  readonly connectionKey: string;
  addSetCookie(value: string): void;
}

export type RequestHash = (source: HashSource) => bigint | undefined;

/** Undefined without policies. @throws RegexError */
export function compileHashPolicies(policies: readonly HashPolicySpec[]): RequestHash | undefined {
  if (policies.length === 0) return undefined;
  const compiled = policies.map((policy) => ({ terminal: policy.terminal, hashed: compilePolicy(policy) }));
  return (source) => {
    let hash: bigint | undefined;
    for (const { hashed, terminal } of compiled) {
      const own = hashed(source);
      if (own !== undefined) {
        // Turned by one bit, so that two equal policies do not cancel each other out.
        const before = hash === undefined ? 0n : ((hash << 1n) | (hash >> 63n)) & 0xffffffffffffffffn;
        hash = before ^ own;
      }
      if (terminal && hash !== undefined) break;
    }
    return hash;
  };
}

/** Whatever their order. */
function hashOfAll(values: readonly string[]): bigint | undefined {
  let hash: bigint | undefined;
  for (const value of values.toSorted()) hash = xxHash64(value, Number((hash ?? 0n) & 0xffffffffn), Number((hash ?? 0n) >> 32n));
  return hash;
}

const hashOf = (value: string | undefined): bigint | undefined => (value === undefined ? undefined : xxHash64(value));

function compilePolicy(policy: HashPolicySpec): RequestHash {
  switch (policy.kind) {
    case 'header': {
      const rewrite = policy.rewrite === undefined ? undefined : compileRegexRewriteText(policy.rewrite.pattern, policy.rewrite.substitution);
      return (source) => {
        const values = source.all(policy.name);
        return hashOfAll(rewrite === undefined ? values : values.map(rewrite));
      };
    }
    case 'cookie':
      return (source) => {
        const given = cookieValue(source.all('cookie').join(';'), policy.name);
        if ((given !== undefined && given !== '') || policy.ttlMs === undefined) return given === '' ? undefined : hashOf(given);
        const made = xxHash64(source.connectionKey).toString(16).padStart(16, '0');
        source.addSetCookie(setCookie(policy, made));
        return hashOf(made);
      };
    case 'source-ip':
      return (source) => xxHash64(source.sourceIp);
    case 'query':
      return (source) => hashOf(queryParameter(source.path, policy.name));
  }
}

function setCookie(policy: Extract<HashPolicySpec, { kind: 'cookie' }>, value: string): string {
  let text = `${policy.name}="${value}"`;
  if (policy.ttlMs !== undefined && policy.ttlMs > 0) text += `; Max-Age=${Math.floor(policy.ttlMs / 1000)}`;
  if (policy.path !== '') text += `; Path=${policy.path}`;
  for (const attribute of policy.attributes) text += attribute.value === '' ? `; ${attribute.name}` : `; ${attribute.name}=${attribute.value}`;
  return `${text}; HttpOnly`;
}

/** Value of the first cookie of this name, without its quotes; undefined when there is none. */
function cookieValue(header: string | undefined, name: string): string | undefined {
  for (const part of header?.split(';') ?? []) {
    const equals = part.indexOf('=');
    if (equals < 0 || part.slice(0, equals).trim() !== name) continue;
    const value = part.slice(equals + 1).trim();
    return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
  }
  return undefined;
}

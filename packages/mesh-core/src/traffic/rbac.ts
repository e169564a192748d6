// Who may do what: Envoy's role based access control, decided for a request or a connection. Rules are compiled to predicates
// once; a decision is one of a few objects made then.

import { compileIpRange, type IpRangeSpec } from './ip-range.ts';
import { compileMetadataMatch, type DynamicMetadata, type MetadataMatchSpec } from './metadata-match.ts';
import { compilePathTemplate } from './path-template.ts';
import { compileHeaderMatch, type HeaderMatchSpec, type RequestView } from './route-match.ts';
import { compileStringMatch, type StringMatchSpec, type StringPredicate } from './string-match.ts';

export interface RbacSpec {
  action: 'allow' | 'deny' | 'log';
  policies: readonly RbacPolicySpec[];
}

/** Holds when any of its permissions and any of its principals do. */
export interface RbacPolicySpec {
  name: string;
  permissions: readonly RbacRuleSpec[];
  principals: readonly RbacRuleSpec[];
}

export type RbacRuleSpec =
  | { kind: 'any' }
  | { kind: 'and' | 'or'; rules: readonly RbacRuleSpec[] }
  | { kind: 'not'; rule: RbacRuleSpec }
  | { kind: 'header'; header: HeaderMatchSpec }
  /** Of the path without query and fragment. */
  | { kind: 'url-path'; match: StringMatchSpec }
  | { kind: 'path-template'; template: string }
  | { kind: 'metadata'; match: MetadataMatchSpec }
  /** Which address must be in the range. */
  | { kind: 'ip'; of: 'destination' | 'source' | 'direct-remote' | 'remote'; range: IpRangeSpec }
  /** From `start` up to but without `end`. */
  | { kind: 'destination-port'; start: number; end: number }
  | { kind: 'server-name'; match: StringMatchSpec }
  /** A name of the peer's certificate; without `name` any connection by TLS. */
  | { kind: 'authenticated'; name?: StringMatchSpec };

export interface RbacConnection {
  readonly tls: boolean;
  /** Of the peer's certificate; empty without one. */
  readonly uriNames: readonly string[];
  readonly dnsNames: readonly string[];
  readonly subject: string;
  readonly serverName: string;
  /** Who connected. */
  readonly directAddress: string;
  /** The same, or whom a PROXY header names. */
  readonly sourceAddress: string;
  readonly destinationAddress: string;
  readonly destinationPort: number;
}

/** What is asked about; without a request it is the connection by itself. */
export interface RbacSubject {
  readonly connection: RbacConnection;
  readonly request: RequestView | undefined;
  /** The client as far as proxies in front are believed. */
  readonly remoteAddress: string;
  readonly metadata: DynamicMetadata | undefined;
}

export interface RbacDecision {
  allowed: boolean;
  /** A policy holds; of `log` that is all there is to know. */
  matched: boolean;
  /** Which; '' = none. */
  policy: string;
  /** Envoy's words for it: `rbac_access_denied_matched_policy[name]`. */
  details: string;
}

type Rule = (subject: RbacSubject) => boolean;

/** Policies are asked in the order of their names (as Envoy). @throws RegexError */
export function compileRbac(spec: RbacSpec): (subject: RbacSubject) => RbacDecision {
  const { action } = spec;
  const policies = spec.policies
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((policy) => ({
      permissions: anyOf(policy.permissions.map(compileRule)),
      principals: anyOf(policy.principals.map(compileRule)),
      decision: decided(action !== 'deny', policy.name),
    }));
  const unmatched = decided(action !== 'allow');
  return (subject) => {
    for (const policy of policies) if (policy.permissions(subject) && policy.principals(subject)) return policy.decision;
    return unmatched;
  };
}

function decided(allowed: boolean, policy?: string): RbacDecision {
  const details = `rbac_access_denied_matched_policy[${(policy ?? 'none').replaceAll(/\s/g, '_')}]`;
  return { allowed, matched: policy !== undefined, policy: policy ?? '', details };
}

function anyOf(rules: readonly Rule[]): Rule {
  const [only] = rules;
  if (only !== undefined && rules.length === 1) return only;
  return (subject) => {
    for (const rule of rules) if (rule(subject)) return true;
    return false;
  };
}

function allOf(rules: readonly Rule[]): Rule {
  const [only] = rules;
  if (only !== undefined && rules.length === 1) return only;
  return (subject) => {
    for (const rule of rules) if (!rule(subject)) return false;
    return true;
  };
}

const nobody: Rule = () => false;

function compileRule(spec: RbacRuleSpec): Rule {
  switch (spec.kind) {
    case 'any':
      return () => true;
    case 'and':
      return allOf(spec.rules.map(compileRule));
    case 'or':
      return anyOf(spec.rules.map(compileRule));
    case 'not': {
      const rule = compileRule(spec.rule);
      return (subject) => !rule(subject);
    }
    case 'header': {
      const test = compileHeaderMatch(spec.header);
      return ({ request }) => request !== undefined && test(request);
    }
    case 'url-path': {
      const test = compileStringMatch(spec.match);
      return ({ request }) => request !== undefined && test(barePath(request.path));
    }
    case 'path-template': {
      const test = compilePathTemplate(spec.template);
      return test === undefined ? nobody : ({ request }) => request !== undefined && test(barePath(request.path));
    }
    case 'metadata': {
      const test = compileMetadataMatch(spec.match);
      return ({ metadata }) => test(metadata);
    }
    case 'ip':
      return compileIp(spec.of, compileIpRange(spec.range));
    case 'destination-port':
      return ({ connection }) => connection.destinationPort >= spec.start && connection.destinationPort < spec.end;
    case 'server-name': {
      const test = compileStringMatch(spec.match);
      return ({ connection }) => test(connection.serverName);
    }
    case 'authenticated':
      return spec.name === undefined ? ({ connection }) => connection.tls : compilePrincipal(compileStringMatch(spec.name));
  }
}

/** Without a name of either kind the subject counts, and without a certificate that is empty (as Envoy). */
function compilePrincipal(test: StringPredicate): Rule {
  return ({ connection: { tls, uriNames, dnsNames, subject } }) => {
    if (!tls) return false;
    for (const name of uriNames) if (test(name)) return true;
    for (const name of dnsNames) if (test(name)) return true;
    return test(subject);
  };
}

function compileIp(of: 'destination' | 'source' | 'direct-remote' | 'remote', test: StringPredicate | undefined): Rule {
  if (test === undefined) return nobody;
  switch (of) {
    case 'destination':
      return ({ connection }) => test(connection.destinationAddress);
    case 'source':
      return ({ connection }) => test(connection.sourceAddress);
    case 'direct-remote':
      return ({ connection }) => test(connection.directAddress);
    case 'remote':
      return ({ remoteAddress }) => test(remoteAddress);
  }
}

function barePath(path: string): string {
  const end = path.search(/[?#]/);
  return end < 0 ? path : path.slice(0, end);
}

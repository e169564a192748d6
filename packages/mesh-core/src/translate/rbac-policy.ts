// One rule of an AuthorizationPolicy as a policy of Envoy's RBAC: what is asked about the request are its permissions, what is
// asked about who sends it its principals.

import type { JsonObject } from '@bufbuild/protobuf';
import { type AuthorizationPolicySpec, isPathTemplate } from '../config/index.ts';
import {
  cidrRange,
  claimMatcher,
  headerMatcher,
  metadataMatcher,
  namespaceMatcher,
  requestPrincipalMatchers,
  serviceAccountMatcher,
  stringMatcher,
  templateMatcher,
  trustDomainMatcher,
} from './rbac-matchers.ts';

export type Rule = NonNullable<AuthorizationPolicySpec['rules']>[number];
type Source = NonNullable<Rule['from']>[number]['source'];
type Operation = NonNullable<Rule['to']>[number]['operation'];
type When = NonNullable<Rule['when']>[number];
type Values = readonly string[] | undefined;

/** Where a rule is enforced. */
export interface Place {
  /** TCP has no requests: what asks for one cannot be met there. */
  tcp: boolean;
  /** A rule that allows must not allow more, one that denies or tells not less, for what cannot be asked. */
  action: 'ALLOW' | 'DENY' | 'AUDIT';
  /** Of the policy: where its service accounts are. */
  namespace: string;
  /** The mesh's own trust domain, then its aliases. */
  trustDomains: readonly string[];
  /** The number a port named in the rule has on this listener. */
  portOf: (port: number) => number;
}

/** What is asked in one respect: a matcher of values; undefined where nothing of the kind can be asked. */
interface Condition {
  values: Values;
  notValues: Values;
  match: ((values: readonly string[], place: Place) => JsonObject) | undefined;
}

/** Of a policy without rules: it matches nothing. */
export const MATCHES_NEVER: JsonObject = { permissions: [{ notRule: { any: true } }], principals: [{ notId: { any: true } }] };

/** Undefined where the rule cannot be asked and so allows nothing. */
export function rbacPolicy({ from = [], to = [], when = [] }: Rule, place: Place): JsonObject | undefined {
  const asked = when.map((w) => whenCondition(w, place));
  const ofRequest = asked.filter(({ side }) => side === 'permission').map(({ condition }) => condition);
  const ofPeer = asked.filter(({ side }) => side === 'principal').map(({ condition }) => condition);
  const permissions = (to.length === 0 ? [undefined] : to).map((t) => together([...operationConditions(t?.operation, place), ...ofRequest], place, PERMISSION));
  const principals = (from.length === 0 ? [undefined] : from).map((f) => together([...sourceConditions(f?.source, place), ...ofPeer], place, PRINCIPAL));
  if (permissions.includes(undefined) || principals.includes(undefined)) return undefined;
  return { permissions: permissions as JsonObject[], principals: principals as JsonObject[] };
}

interface Side {
  and: (all: JsonObject[]) => JsonObject;
  not: (one: JsonObject) => JsonObject;
}
const PERMISSION: Side = { and: (rules) => ({ andRules: { rules } }), not: (notRule) => ({ notRule }) };
const PRINCIPAL: Side = { and: (ids) => ({ andIds: { ids } }), not: (notId) => ({ notId }) };

function together(conditions: readonly Condition[], place: Place, side: Side): JsonObject | undefined {
  const all: JsonObject[] = [];
  for (const { values = [], notValues = [], match } of conditions) {
    if (values.length + notValues.length === 0) continue;
    if (match === undefined && place.action === 'ALLOW') return undefined;
    if (match === undefined) continue;
    if (values.length > 0) all.push(match(values, place));
    if (notValues.length > 0) all.push(side.not(match(notValues, place)));
  }
  return side.and(all.length === 0 ? [{ any: true }] : all);
}

const eachRule =
  (one: (value: string, place: Place) => JsonObject): NonNullable<Condition['match']> =>
  (values, place) => ({ orRules: { rules: values.map((value) => one(value, place)) } });
const eachId =
  (one: (value: string, place: Place) => JsonObject): NonNullable<Condition['match']> =>
  (values, place) => ({ orIds: { ids: values.map((value) => one(value, place)) } });
const peerNamed = (principalName: JsonObject): JsonObject => ({ authenticated: { principalName } });

const PORT = eachRule((value, { portOf }) => ({ destinationPort: portOf(Number(value)) }));
const PRINCIPAL_NAME: Condition['match'] = (values, { trustDomains }) => ({
  orIds: { ids: withAliases(values, trustDomains).map((value) => peerNamed(stringMatcher(value, 'spiffe://'))) },
});
const TRUST_DOMAIN: Condition['match'] = (values, { trustDomains }) => {
  const all = [...new Set(values.flatMap((value) => (trustDomains.includes(value) ? trustDomains : [value])))];
  return { orIds: { ids: all.map((value) => peerNamed(trustDomainMatcher(value))) } };
};
const NAMESPACE = eachId((value) => peerNamed(namespaceMatcher(value)));
const SERVICE_ACCOUNT = eachId((value, { namespace }) => peerNamed(serviceAccountMatcher(value, namespace)));
const PEER_ADDRESS = eachId((value) => ({ directRemoteIp: cidrRange(value) }));
const CLIENT_ADDRESS = eachId((value) => ({ remoteIp: cidrRange(value) }));
const REQUEST_PRINCIPAL: Condition['match'] = (values) => {
  const each = values.map((value): JsonObject => ({ andIds: { ids: requestPrincipalMatchers(value).map((metadata) => ({ metadata })) } }));
  return each.length === 1 ? (each[0] as JsonObject) : { orIds: { ids: each } };
};
const claimOf =
  (...way: string[]): NonNullable<Condition['match']> =>
  (values) => ({ metadata: claimMatcher(way, values) });

function sourceConditions(source: Source | undefined, { tcp }: Place): Condition[] {
  if (source === undefined) return [];
  const s = source;
  return [
    { values: s.principals, notValues: s.notPrincipals, match: PRINCIPAL_NAME },
    { values: s.requestPrincipals, notValues: s.notRequestPrincipals, match: tcp ? undefined : REQUEST_PRINCIPAL },
    { values: s.serviceAccounts, notValues: s.notServiceAccounts, match: SERVICE_ACCOUNT },
    { values: s.trustDomains, notValues: s.notTrustDomains, match: TRUST_DOMAIN },
    { values: s.namespaces, notValues: s.notNamespaces, match: NAMESPACE },
    { values: s.remoteIpBlocks, notValues: s.notRemoteIpBlocks, match: CLIENT_ADDRESS },
    { values: s.ipBlocks, notValues: s.notIpBlocks, match: PEER_ADDRESS },
  ];
}

function operationConditions(operation: Operation | undefined, { tcp }: Place): Condition[] {
  if (operation === undefined) return [];
  const o = operation;
  const ofRequest = (one: (value: string) => JsonObject): Condition['match'] => (tcp ? undefined : eachRule(one));
  const path = (value: string): JsonObject => (isPathTemplate(value) ? { uriTemplate: templateMatcher(value) } : { urlPath: { path: stringMatcher(value) } });
  return [
    { values: o.hosts, notValues: o.notHosts, match: ofRequest((value) => ({ header: headerMatcher(':authority', value, true) })) },
    { values: o.methods, notValues: o.notMethods, match: ofRequest((value) => ({ header: headerMatcher(':method', value) })) },
    { values: o.paths, notValues: o.notPaths, match: ofRequest(path) },
    { values: o.ports, notValues: o.notPorts, match: PORT },
  ];
}

/** Under which side of a policy Envoy looks at an attribute, and how. */
function whenCondition({ key, values, notValues }: When, { tcp }: Place): { side: 'permission' | 'principal'; condition: Condition } {
  const permission = (match: Condition['match']) => ({ side: 'permission' as const, condition: { values, notValues, match } });
  const principal = (match: Condition['match']) => ({ side: 'principal' as const, condition: { values, notValues, match } });
  const ofRequest = (match: Condition['match']) => principal(tcp ? undefined : match);
  switch (key) {
    case 'destination.ip':
      return permission(eachRule((value) => ({ destinationIp: cidrRange(value) })));
    case 'destination.port':
      return permission(PORT);
    case 'connection.sni':
      return permission(eachRule((value) => ({ requestedServerName: stringMatcher(value) })));
    case 'source.ip':
      return principal(PEER_ADDRESS);
    case 'remote.ip':
      return principal(CLIENT_ADDRESS);
    case 'source.namespace':
      return principal(NAMESPACE);
    case 'source.serviceAccount':
      return principal(SERVICE_ACCOUNT);
    case 'source.principal':
      return principal(PRINCIPAL_NAME);
    case 'source.trustDomain':
      return principal(TRUST_DOMAIN);
    case 'request.auth.principal':
      return ofRequest(REQUEST_PRINCIPAL);
    case 'request.auth.audiences':
      return ofRequest(claimOf('aud'));
    case 'request.auth.presenter':
      return ofRequest(claimOf('azp'));
    default: {
      const name = key.slice(key.indexOf('[') + 1, -1);
      if (key.startsWith('experimental.')) {
        const filter = key.slice('experimental.'.length, key.indexOf('['));
        return permission((list) => ({ metadata: metadataMatcher(filter, name, list) }));
      }
      if (key.startsWith('request.auth.claims')) return ofRequest(claimOf(...nested(name)));
      return ofRequest(eachId((value) => ({ header: headerMatcher(name, value) })));
    }
  }
}

/** `a][b` of `claims[a][b]` as its parts; a name with stray brackets is one. */
function nested(name: string): string[] {
  const parts = name.split('][');
  return parts.some((part) => /[[\]]/.test(part)) ? [name] : parts;
}

/** Names of the mesh's own trust domain, `cluster.local` among them, stand for all it is known by. */
function withAliases(principals: readonly string[], trustDomains: readonly string[]): readonly string[] {
  return principals.flatMap((principal) => {
    const [domain = '', ...rest] = principal.split('/');
    const own = trustDomains.some((td) => td === domain || covers(domain, td) || begins(domain, td)) || domain === 'cluster.local';
    if (rest.length !== 4 || domain === '*' || !own) return [principal];
    return [...new Set(trustDomains.map((td) => (covers(domain, td) ? principal : [td, ...rest].join('/'))))];
  });
}

/** Whether `*-td` covers a trust domain. */
function covers(pattern: string, trustDomain: string): boolean {
  return pattern.startsWith('*') && trustDomain.endsWith(pattern.slice(1));
}

function begins(pattern: string, trustDomain: string): boolean {
  return pattern.endsWith('*') && trustDomain.startsWith(pattern.slice(0, -1));
}

// AuthorizationPolicies against the workloads they are for and what they name: a rule that names what is not there never matches,
// which in ALLOW means that somebody is shut out and in DENY that nobody is.

import { type MeshObject, type Problem, unresolved, oncePer } from '../model/index.ts';
import type { AuthorizationPolicySpec } from './authorization-policy.ts';
import { type Mesh, hostMatches, problem, resolveHost, selectsAny } from './analyze-mesh.ts';
import { matches } from './label-index.ts';

type Policy = MeshObject<AuthorizationPolicySpec>;
type Found = (severity: Problem['severity'], code: string, path: string, message: string) => Problem;

interface Values {
  path: string;
  values: readonly string[] | undefined;
}

const METHOD = /^(\*|\*?[A-Z]+\*?|\/?[\w.*]+\/[\w*]+)$/;
const HTTP_METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE']);
const OF_IDENTITY = [
  'principals',
  'notPrincipals',
  'namespaces',
  'notNamespaces',
  'serviceAccounts',
  'notServiceAccounts',
  'trustDomains',
  'notTrustDomains',
] as const;
const KEYS_OF_IDENTITY = new Set(['source.principal', 'source.namespace', 'source.serviceAccount', 'source.trustDomain']);

/** Pods and gateways choose themselves: of what the registry knows, those a policy is for. Targets are Gateways, whose proxies it does not know. */
export function selectedBy({ metadata: { namespace }, spec }: Policy, { workloads, workloadsWith }: Mesh, rootNamespace = 'istio-system'): Mesh['workloads'] {
  if ((spec.targetRefs ?? []).length > 0 || spec.targetRef !== undefined) return [];
  const wanted = spec.selector?.matchLabels;
  return namespace === rootNamespace ? workloads.filter((w) => matches(w.spec.labels, wanted)) : workloadsWith(namespace, wanted);
}

export function authorizationProblems(policy: Policy, mesh: Mesh, rootNamespace = 'istio-system'): Problem[] {
  const found: Found = (severity, code, path, message) => problem(policy, severity, code, path, message);
  const { namespace } = policy.metadata;
  const wanted = policy.spec.selector?.matchLabels ?? {};
  const selected = selectedBy(policy, mesh, rootNamespace);
  const { spec } = policy;
  return [
    ...(Object.keys(wanted).length > 0 &&
    !selectsAny(mesh, wanted, namespace === rootNamespace ? undefined : namespace) &&
    ![...mesh.gateways.values()].some((g) => matches(wanted, g.spec.selector) || matches(g.spec.selector, wanted))
      ? [
          found(
            'warning',
            'KIA0004',
            'spec.selector.matchLabels',
            `No workload${namespace === rootNamespace ? '' : ` of namespace ${namespace}`} has these labels.`,
          ),
        ]
      : []),
    ...values(
      spec,
      (s) => s.namespaces,
      (s) => s.notNamespaces,
      'namespaces',
      'source.namespace',
    ).flatMap((v) => namespaceProblems(v, mesh, found)),
    ...methods(spec).flatMap((v) => methodProblems(v, found)),
    ...hosts(spec).flatMap((v) => hostProblems(v, namespace, mesh, found)),
    ...values(
      spec,
      (s) => s.principals,
      (s) => s.notPrincipals,
      'principals',
      'source.principal',
    ).flatMap((v) => principalProblems(v, mesh, found)),
    ...identityProblems(spec, selected, mesh, found),
    ...(spec.action === 'DENY' ? (spec.rules ?? []).flatMap((rule, i) => denialProblems(rule, `spec.rules[${i}]`, found)) : []),
  ];
}

type Rule = NonNullable<AuthorizationPolicySpec['rules']>[number];
type Source = NonNullable<Rule['from']>[number]['source'];

function capital(name: string): string {
  return `not${name.charAt(0).toUpperCase()}${name.slice(1)}`;
}

/** Of a field of sources, its opposite, and the attribute that asks the same. */
function values(
  { rules = [] }: AuthorizationPolicySpec,
  ...[of, notOf, name, key]: [(s: Source) => Values['values'], (s: Source) => Values['values'], string, string]
): Values[] {
  return rules.flatMap((rule, i) => [
    ...(rule.from ?? []).flatMap(({ source }, j) => [
      { path: `spec.rules[${i}].from[${j}].source.${name}`, values: of(source) },
      { path: `spec.rules[${i}].from[${j}].source.${capital(name)}`, values: notOf(source) },
    ]),
    ...(rule.when ?? []).flatMap((when, j) =>
      when.key === key
        ? [
            { path: `spec.rules[${i}].when[${j}].values`, values: when.values },
            { path: `spec.rules[${i}].when[${j}].notValues`, values: when.notValues },
          ]
        : [],
    ),
  ]);
}

function methods({ rules = [] }: AuthorizationPolicySpec): Values[] {
  return rules.flatMap((rule, i) =>
    (rule.to ?? []).flatMap(({ operation }, j) => [
      { path: `spec.rules[${i}].to[${j}].operation.methods`, values: operation.methods },
      { path: `spec.rules[${i}].to[${j}].operation.notMethods`, values: operation.notMethods },
    ]),
  );
}

function hosts({ rules = [] }: AuthorizationPolicySpec): Values[] {
  return rules.flatMap((rule, i) =>
    (rule.to ?? []).map(({ operation }, j) => ({ path: `spec.rules[${i}].to[${j}].operation.hosts`, values: operation.hosts })),
  );
}

function eachOf({ path, values: list = [] }: Values): { at: string; value: string }[] {
  return list.map((value, i) => ({ at: `${path}[${i}]`, value }));
}

// What all policies of a mesh ask for is worked out once.
const namespacesOf = oncePer((mesh: Mesh) => {
  const objects = [...mesh.services.values(), ...mesh.workloads, ...mesh.gateways.values()];
  return [...new Set([...mesh.proxies, ...objects.map((o) => o.metadata)].map((o) => o.namespace).concat(mesh.namespaces.map((n) => n.metadata.name)))];
});

function namespaceProblems(of: Values, mesh: Mesh, found: Found): Problem[] {
  return eachOf(of).flatMap(({ at, value }) => {
    const pattern = new RegExp(
      `^${value
        .split('*')
        .map((part) => part.replaceAll(/\W/g, String.raw`\$&`))
        .join('.*')}$`,
    );
    return namespacesOf(mesh).some((name) => pattern.test(name))
      ? []
      : [found('warning', 'KIA0101', at, `There is no Namespace ${value}, and none of this name has a service, a workload or a proxy.`)];
  });
}

function methodProblems(of: Values, found: Found): Problem[] {
  return eachOf(of).flatMap(({ at, value }) =>
    HTTP_METHODS.has(value) || (METHOD.test(value) && (value.includes('*') || value.includes('/')))
      ? []
      : [found('warning', 'KIA0102', at, `${value} is no method of HTTP; they are upper-case words like GET.`)],
  );
}

/** Hosts a client may ask for: of Services, entries, VirtualServices and Gateways. */
const hostsOf = oncePer((mesh: Mesh) => {
  const all = [
    ...mesh.services.keys(),
    ...mesh.entries.map((e) => e.host),
    ...mesh.virtualServices.flatMap((vs) => vs.spec.hosts ?? []),
    ...[...mesh.gateways.values()].flatMap((g) => g.spec.servers.flatMap((s) => s.hosts.map((host) => host.split('/').at(-1) ?? host))),
  ].map((host) => host.toLowerCase());
  const names = new Set(all);
  return { names, wildcards: [...names].filter((host) => host.startsWith('*')) };
});

function hostProblems(of: Values, namespace: string, mesh: Mesh, found: Found): Problem[] {
  return eachOf(of).flatMap(({ at, value }) => {
    const host = value.toLowerCase().replace(/:(\d+|\*)$/, '');
    if (host.includes('*')) return [];
    const names = [host, resolveHost(host, namespace), `${host}.svc.cluster.local`, `${host}.cluster.local`];
    const known = hostsOf(mesh);
    return names.some((name) => known.names.has(name) || known.wildcards.some((wildcard) => hostMatches(wildcard, name)))
      ? []
      : [unresolved(found('error', 'KIA0104', at, `Host ${value} is not one of the mesh.`))];
  });
}

/** Of workloads and of connected proxies: `/ns/<namespace>/sa/<service account>`. */
const accountsOf = oncePer(
  ({ workloads, proxies }: Mesh) =>
    new Set([
      ...workloads.map((w) => `/ns/${w.metadata.namespace}/sa/${w.spec.serviceAccount ?? 'default'}`),
      ...proxies.map((p) => p.identity.replace(/^spiffe:\/\/[^/]*/, '')),
    ]),
);

/** Names of those that are there: `<trust domain>/ns/<namespace>/sa/<service account>`. */
function principalProblems(of: Values, mesh: Mesh, found: Found): Problem[] {
  return eachOf(of).flatMap(({ at, value }) => {
    const [, namespace = '', account = ''] = /^[^*/]+\/ns\/([^*/]+)\/sa\/([^*/]+)$/.exec(value) ?? [];
    if (value.startsWith('spiffe://')) return [found('warning', 'KIA0106', at, `${value} never matches: principals are written without spiffe://.`)];
    // Gateways and clients that are not connected now are in no object: only where workloads of the namespace are known it is told.
    const told = account !== '' && mesh.workloadsWithAll(namespace, {}).length > 0 && !accountsOf(mesh).has(`/ns/${namespace}/sa/${account}`);
    return told ? [found('warning', 'KIA0106', at, `No workload of namespace ${namespace} has the service account ${account}.`)] : [];
  });
}

/** What asks for an identity where mutual TLS is off, so that nobody has one. */
function identityProblems({ rules = [] }: AuthorizationPolicySpec, selected: Mesh['workloads'], { policies }: Mesh, found: Found): Problem[] {
  const off = (w: Mesh['workloads'][number]): boolean => {
    const own = policies.filter((p) => p.metadata.namespace === w.metadata.namespace && matches(w.spec.labels, p.spec.selector?.matchLabels));
    const selecting = own.find((p) => Object.keys(p.spec.selector?.matchLabels ?? {}).length > 0 && p.spec.portLevelMtls === undefined);
    return (selecting ?? own.find((p) => p.spec.selector === undefined))?.spec.mtls?.mode === 'DISABLE';
  };
  if (selected.length === 0 || !selected.every(off)) return [];
  return rules.flatMap((rule, i) => [
    ...(rule.from ?? []).flatMap(({ source }, j) =>
      OF_IDENTITY.filter((field) => (source[field] ?? []).length > 0).map((field) =>
        found('error', 'KIA0105', `spec.rules[${i}].from[${j}].source.${field}`, NO_IDENTITY),
      ),
    ),
    ...(rule.when ?? []).flatMap(({ key }, j) =>
      KEYS_OF_IDENTITY.has(key) ? [found('error', 'KIA0105', `spec.rules[${i}].when[${j}].key`, NO_IDENTITY)] : [],
    ),
  ]);
}
const NO_IDENTITY = 'Needs mutual TLS, which a PeerAuthentication of mode DISABLE switches off for every workload this is for.';

function denialProblems(rule: Rule, path: string, found: Found): Problem[] {
  return asksOnlyHttp(rule)
    ? [found('warning', 'WEFT_DENIES_TCP', path, 'Asks for what only HTTP has, so it denies all connections of TCP ports: say which ports it is for.')]
    : [];
}

/** As istiod warns of denials, whatever ports there are. */
export function asksOnlyHttp({ from = [], to = [] }: Rule): boolean {
  return to.length > 0
    ? to.every(({ operation: o }) => (o.ports ?? o.notPorts) === undefined)
    : from.length > 0 && from.every(({ source }) => onlyOfRequests(source));
}

function onlyOfRequests(source: Source): boolean {
  return Object.entries(source).every(([field, list]) => list === undefined || field.endsWith('equestPrincipals'));
}

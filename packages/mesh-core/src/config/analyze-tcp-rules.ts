// Rules about requests, at ports that have none: on TCP an ALLOW rule that asks anything of HTTP never matches, and a DENY rule
// leaves that part out, so that it denies more.

import type { MeshObject, Problem } from '../model/index.ts';
import { oncePer } from '../model/index.ts';
import { type Mesh, problem } from './analyze-mesh.ts';
import { asksOnlyHttp } from './analyze-authorization.ts';
import type { AuthorizationPolicySpec } from './authorization-policy.ts';
import { protocolOf } from './port-protocol.ts';

type Policy = MeshObject<AuthorizationPolicySpec>;
type Rule = NonNullable<AuthorizationPolicySpec['rules']>[number];
type Labels = Readonly<Record<string, string>>;

interface TcpPort {
  /** `db 5432` */
  shown: string;
  /** What policies may call it by. */
  numbers: readonly string[];
  namespace: string;
  selector: Labels;
}

const OF_REQUESTS = ['hosts', 'notHosts', 'methods', 'notMethods', 'paths', 'notPaths'] as const;
const OF_TOKENS = ['requestPrincipals', 'notRequestPrincipals'] as const;

export function tcpRuleProblems(policy: Policy, mesh: Mesh, rootNamespace = 'istio-system'): Problem[] {
  const { action = 'ALLOW', rules = [] } = policy.spec;
  if (action !== 'ALLOW' && action !== 'DENY') return [];
  return rules.flatMap((rule, i) => {
    const asked = httpFields(rule, `spec.rules[${i}]`);
    if (asked[0] === undefined || (action === 'DENY' && asksOnlyHttp(rule))) return [];
    const ports = portsOf(policy, mesh, rootNamespace).filter((port) => concerns(rule, port));
    if (action === 'DENY') return ports.length === 0 ? [] : [problem(policy, 'warning', 'WEFT_DENIES_TCP', asked[0], denied(ports))];
    const shut = ports.filter((port) => !allowed(port, policy, mesh, rootNamespace));
    return shut.length === 0 ? [] : [problem(policy, 'warning', 'WEFT_NEVER_MATCHES', asked[0], unmatched(shut))];
  });
}

const shownPorts = (ports: readonly TcpPort[]): string => [...new Set(ports.map((p) => p.shown))].join(', ');
const denied = (ports: readonly TcpPort[]): string =>
  `TCP has no requests, so of connections to ${shownPorts(ports)} this is not asked: whatever else the rule is for is denied there. Say which ports it is for.`;
const unmatched = (ports: readonly TcpPort[]): string =>
  `TCP has no requests, so this rule never matches connections to ${shownPorts(ports)}, and no other rule allows them: they are denied. Add a rule with these ports that asks nothing of requests, or ports to this one.`;

/** Paths of what can only be asked of requests. */
function httpFields({ from = [], to = [], when = [] }: Rule, path: string): string[] {
  return [
    ...to.flatMap(({ operation }, i) => OF_REQUESTS.filter((f) => (operation[f] ?? []).length > 0).map((f) => `${path}.to[${i}].operation.${f}`)),
    ...from.flatMap(({ source }, i) => OF_TOKENS.filter((f) => (source[f] ?? []).length > 0).map((f) => `${path}.from[${i}].source.${f}`)),
    ...when.flatMap(({ key }, i) => (key.startsWith('request.') ? [`${path}.when[${i}].key`] : [])),
  ];
}

/** Whether a rule is for a port, as far as it names ports. */
function concerns({ to = [], when = [] }: Rule, { numbers }: TcpPort): boolean {
  const fits = (ports: readonly string[] | undefined, notPorts: readonly string[] | undefined): boolean =>
    (ports === undefined || ports.some((p) => numbers.includes(p))) && !(notPorts ?? []).some((p) => numbers.includes(p));
  return (
    (to.length === 0 || to.some(({ operation }) => fits(operation.ports, operation.notPorts))) &&
    when.every(({ key, values, notValues }) => key !== 'destination.port' || fits(values, notValues))
  );
}

/** Whether a rule of any policy can let connections to a port of this one's in. */
function allowed(port: TcpPort, policy: Policy, mesh: Mesh, rootNamespace: string): boolean {
  const { namespace } = policy.metadata;
  return mesh.authorizations.some(
    ({ metadata, spec }) =>
      (spec.action ?? 'ALLOW') === 'ALLOW' &&
      [namespace, port.namespace, rootNamespace].includes(metadata.namespace) &&
      agree(port.selector, spec.selector?.matchLabels) &&
      (spec.rules ?? []).some((rule) => httpFields(rule, '').length === 0 && concerns(rule, port)),
  );
}

/** TCP ports of Services with workloads a policy is for. Targets are Gateways, whose ports are their own. */
function portsOf({ metadata: { namespace }, spec }: Policy, mesh: Mesh, rootNamespace: string): TcpPort[] {
  if ((spec.targetRefs ?? []).length > 0 || spec.targetRef !== undefined) return [];
  const wanted = spec.selector?.matchLabels;
  return tcpPorts(mesh).filter(
    (port) =>
      (namespace === rootNamespace || port.namespace === namespace) &&
      agree(port.selector, wanted) &&
      mesh.workloadsWith(port.namespace, { ...port.selector, ...wanted }).length > 0,
  );
}

/** Whether something can have both. */
function agree(one: Labels, other: Labels = {}): boolean {
  return Object.entries(other).every(([key, value]) => one[key] === undefined || one[key] === value);
}

const tcpPorts = oncePer(({ services }: Mesh): TcpPort[] =>
  [...services.values()].flatMap(({ metadata: { name, namespace }, spec: { selector = {}, ports } }) => {
    if (Object.keys(selector).length === 0) return [];
    return ports
      .filter((p) => p.protocol !== 'UDP' && ['tcp', 'https'].includes(protocolOf(p.name ?? '', p.appProtocol, p.port)))
      .map((p) => ({ shown: `${name} ${p.port}`, numbers: [p.port, p.targetPort ?? p.port].map(String), namespace, selector }));
  }),
);

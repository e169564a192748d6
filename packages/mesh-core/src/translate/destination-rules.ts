// DestinationRules: which is in force for a service, as a client sees it.

import { type DestinationRuleSpec, type TrafficPolicySpec, hostIndex, matches, resolveHost, visible } from '../config/index.ts';
import { type MeshObject, configPath, grouped } from '../model/index.ts';
import { isBackendTlsRule } from './gateway-api/backend-tls.ts';
import { derived, once, sameContent } from './memo.ts';
import type { Mesh, MeshService } from './mesh.ts';

/**
 * The DestinationRule for a host as seen from a namespace: client's, then the service's, then the root namespace; the most
 * specific host of the first namespace that has one. Rules for the same host are united: subsets of all (the oldest keeps a
 * name), traffic policy of the oldest that has one.
 */
export function destinationRuleFor(mesh: Mesh, service: MeshService, client: RuleClient): EffectiveRule | undefined {
  const { host, namespace } = service;
  const from = client.namespace;
  const selective = derived(mesh, `rule selectors|${from}|${host}`, (m) => rulesFor(m, from, host).some(hasSelector));
  // Proxies that differ in labels share a result unless a rule looks at them.
  const labels = selective ? client.labels : {};
  const key = `rule|${from}|${namespace}|${host}|${JSON.stringify(labels)}`;
  return derived(mesh, key, (m) => findDestinationRule(m, { host, namespace }, { namespace: from, labels }), sameContent);
}

export interface RuleClient {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Several objects for one host, united. */
export interface EffectiveRule extends DestinationRuleSpec {
  /** Asked for by annotation (`weft.dev/load-balancer: PEAK_EWMA`), since DestinationRule has no word for it. */
  peakEwma: boolean;
  /** Path of the oldest of them, as Istio writes it into a cluster's metadata. */
  source: string;
}

interface HostRule {
  rule: MeshObject<DestinationRuleSpec>;
  host: string;
}

/** Rules of a namespace that cover a host. */
function rulesFor(mesh: Mesh, namespace: string, host: string): readonly HostRule[] {
  const byNamespace = once(mesh, 'rules by namespace', () => {
    const rules = mesh.destinationRules.map((rule) => ({ rule, host: resolveHost(rule.spec.host, rule.metadata.namespace, mesh.settings.domainSuffix) }));
    return new Map([...grouped(rules, (r) => r.rule.metadata.namespace)].map(([name, list]) => [name, hostIndex(list)]));
  });
  return byNamespace.get(namespace)?.(host) ?? [];
}

function hasSelector({ rule }: HostRule): boolean {
  return Object.keys(rule.spec.workloadSelector?.matchLabels ?? {}).length > 0;
}

function findDestinationRule(mesh: Mesh, service: { host: string; namespace: string }, client: RuleClient): EffectiveRule | undefined {
  for (const namespace of [client.namespace, service.namespace, mesh.settings.rootNamespace]) {
    const candidates = rulesFor(mesh, namespace, service.host).filter((r) => {
      if (hasSelector(r)) return namespace === client.namespace && matches(client.labels, r.rule.spec.workloadSelector?.matchLabels);
      return visible(r.rule.spec.exportTo, namespace, client.namespace);
    });
    // Among rules for one host those that select the client come first; they are not united with those for everybody.
    const [best] = candidates.toSorted((a, b) => specificity(b.host) - specificity(a.host) || Number(hasSelector(b)) - Number(hasSelector(a)));
    if (best === undefined) continue;
    const rules = candidates.filter((r) => r.host === best.host && hasSelector(r) === hasSelector(best)).map((r) => r.rule);
    const same = rules.map((r) => r.spec);
    const peakEwma = rules.some((r) => r.metadata.annotations?.[BALANCER_ANNOTATION] === 'PEAK_EWMA');
    const names = new Set<string>();
    const subsets = same.flatMap((r) => r.subsets ?? []).filter((s) => !names.has(s.name) && names.add(s.name));
    const [own, made] = [rules.filter((r) => !isBackendTlsRule(r)), rules.filter(isBackendTlsRule)].map(
      (list) => list.find((r) => r.spec.trafficPolicy !== undefined)?.spec.trafficPolicy,
    );
    const trafficPolicy = own === undefined || made === undefined ? (own ?? made) : filledIn(own, made);
    const { namespace: home, name } = (rules[0] ?? best.rule).metadata;
    const source = configPath('DestinationRule', home, name);
    return { host: best.host, subsets, peakEwma, source, ...(trafficPolicy === undefined ? {} : { trafficPolicy }) };
  }
  return undefined;
}

/** What users say wins; what a policy of the Gateway API says fills the gaps, whichever is older. */
function filledIn(own: TrafficPolicySpec, made: TrafficPolicySpec): TrafficPolicySpec {
  const { portLevelSettings: ports = [] } = own;
  const ofPort = (number: number) => made.portLevelSettings?.find((p) => p.port.number === number);
  const more = (made.portLevelSettings ?? []).filter((p) => !ports.some((o) => o.port.number === p.port.number));
  const portLevelSettings = [...ports.map((p) => ({ ...ofPort(p.port.number ?? 0), ...p })), ...more];
  return { ...made, ...own, ...(portLevelSettings.length === 0 ? {} : { portLevelSettings }) };
}

/** Exact hosts before wildcards, longer wildcards before shorter. */
function specificity(host: string): number {
  return host.startsWith('*') ? host.length : 1_000;
}

/** On a DestinationRule: `PEAK_EWMA` takes the place of LEAST_REQUEST, on data planes that have it. */
const BALANCER_ANNOTATION = 'weft.dev/load-balancer';

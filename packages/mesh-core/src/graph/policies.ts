// What configuration says about a service's traffic: badges, and the intended share per workload.

import type { Badge } from '../api/graph.ts';
import { matches, resolveHost, type DestinationRuleSpec, type HttpRouteSpec, type PeerAuthenticationSpec, type VirtualServiceSpec } from '../config/index.ts';
import { type MeshObject, type ObjectRef, refOf } from '../model/index.ts';
import type { Catalog, CatalogService, CatalogWorkload } from './catalog.ts';

export interface ServicePolicy {
  badges: Badge[];
  /** Configured share 0-1 per workload name; undefined when no route gives weights or subsets. */
  intended?: ReadonlyMap<string, number>;
}

/** Policies by service host. */
export function servicePolicies(objects: readonly MeshObject[], catalog: Catalog): Map<string, ServicePolicy> {
  const routes = new Map<string, HttpRouteSpec[]>();
  const rules = new Map<string, DestinationRuleSpec>();
  for (const object of objects) {
    const { namespace } = object.metadata;
    if (object.kind === 'DestinationRule') {
      const spec = object.spec as DestinationRuleSpec;
      rules.set(resolveHost(spec.host, namespace), spec);
    } else if (object.kind === 'VirtualService') {
      const spec = object.spec as VirtualServiceSpec;
      if (spec.gateways !== undefined && spec.gateways.length > 0 && !spec.gateways.includes('mesh')) continue;
      for (const host of spec.hosts ?? []) routes.set(resolveHost(host, namespace), spec.http ?? []);
    }
  }
  const policies = new Map<string, ServicePolicy>();
  for (const service of catalog.services.values()) {
    const http = routes.get(service.host);
    const rule = rules.get(service.host);
    const intended = http === undefined ? undefined : intendedShares(service, http, rule);
    policies.set(service.host, {
      badges: [...(http === undefined ? [] : routeBadges(http)), ...ruleBadges(rule)],
      ...(intended === undefined ? {} : { intended }),
    });
  }
  return policies;
}

function routeBadges(http: readonly HttpRouteSpec[]): Badge[] {
  const badges: Badge[] = ['virtual-service'];
  const shifts = http.some((route) => (route.route ?? []).filter((r) => r.weight === undefined || r.weight > 0).length > 1);
  if (shifts) badges.push('traffic-shifting');
  if (http.some((route) => route.match !== undefined && route.match.length > 0)) badges.push('request-routing');
  if (http.some((route) => route.timeout !== undefined || route.retries !== undefined)) badges.push('timeout-retry');
  if (http.some((route) => route.fault !== undefined)) badges.push('fault-injection');
  if (http.some((route) => route.mirror !== undefined || route.mirrors !== undefined)) badges.push('mirroring');
  return badges;
}

function ruleBadges(rule: DestinationRuleSpec | undefined): Badge[] {
  const policies = [rule?.trafficPolicy, ...(rule?.subsets ?? []).map((subset) => subset.trafficPolicy)];
  return policies.some((policy) => policy?.connectionPool !== undefined || policy?.outlierDetection !== undefined) ? ['circuit-breaker'] : [];
}

/** Shares of the first route without conditions; a subset of several workloads divides its share evenly among them. */
function intendedShares(service: CatalogService, http: readonly HttpRouteSpec[], rule: DestinationRuleSpec | undefined): Map<string, number> | undefined {
  const catchAll = http.find((route) => (route.match ?? []).length === 0 && (route.route ?? []).length > 0);
  if (catchAll === undefined) return undefined;
  const own = (catchAll.route ?? []).filter((r) => resolveHost(r.destination.host, service.namespace) === service.host);
  if (own.every((r) => r.destination.subset === undefined)) return undefined;
  const weightOf = (weight: number | undefined): number => (catchAll.route?.length === 1 ? 1 : (weight ?? 0));
  const total = (catchAll.route ?? []).reduce((sum, r) => sum + weightOf(r.weight), 0);
  const shares = new Map<string, number>(service.workloads.map((workload) => [workload.name, 0]));
  for (const { destination, weight } of own) {
    const labels = rule?.subsets?.find((subset) => subset.name === destination.subset)?.labels;
    const members = destination.subset === undefined ? service.workloads : service.workloads.filter((w) => labels !== undefined && matches(w.labels, labels));
    for (const member of members) shares.set(member.name, (shares.get(member.name) ?? 0) + (total === 0 ? 0 : weightOf(weight) / total / members.length));
  }
  return shares;
}

const GATEWAY_NAME = 'gateway.networking.k8s.io/gateway-name';

interface Targets {
  selector?: { matchLabels?: Record<string, string> };
  targetRef?: { kind: string; name: string };
  targetRefs?: { kind: string; name: string }[];
}

/** Whether an AuthorizationPolicy or RequestAuthentication acts on a workload: by its namespace, the root namespace, labels, or the Gateway it names. */
export function policySelects(
  { metadata, spec }: MeshObject,
  workload: Pick<CatalogWorkload, 'namespace' | 'labels'>,
  rootNamespace = 'istio-system',
): boolean {
  const own = metadata.namespace === workload.namespace;
  if (!own && metadata.namespace !== rootNamespace) return false;
  const { selector, targetRef, targetRefs = targetRef === undefined ? [] : [targetRef] } = spec as Targets;
  if (targetRefs.length > 0) return own && targetRefs.some((t) => t.kind === 'Gateway' && t.name === workload.labels[GATEWAY_NAME]);
  return matches(workload.labels, selector?.matchLabels);
}

export interface MutualTls {
  mode: 'STRICT' | 'PERMISSIVE' | 'DISABLE';
  /** The PeerAuthentication that says so; absent = none does. */
  policy?: ObjectRef;
  /** Ports with a mode of their own. */
  ports: Readonly<Record<string, 'STRICT' | 'PERMISSIVE' | 'DISABLE'>>;
}

/** What connections a workload takes: a PeerAuthentication with a selector before that of its namespace before that of the mesh. */
export function mutualTlsOf(
  workload: Pick<CatalogWorkload, 'namespace' | 'labels'>,
  peerAuthentications: readonly MeshObject[],
  rootNamespace = 'istio-system',
): MutualTls {
  let rank = 0;
  let found: MutualTls = { mode: 'PERMISSIVE', ports: {} };
  let ports: MutualTls['ports'] = {};
  for (const object of peerAuthentications) {
    const spec = object.spec as PeerAuthenticationSpec;
    const selector = spec.selector?.matchLabels ?? {};
    const selects = Object.keys(selector).length > 0;
    const { namespace } = object.metadata;
    if (selects && !matches(workload.labels, selector)) continue;
    const own = namespace === workload.namespace ? (selects ? 3 : 2) : namespace === rootNamespace && !selects ? 1 : 0;
    if (own === 3)
      for (const [port, { mode }] of Object.entries(spec.portLevelMtls ?? {})) if (mode !== undefined && mode !== 'UNSET') ports = { [port]: mode, ...ports };
    const mode = spec.mtls?.mode ?? 'UNSET';
    if (mode === 'UNSET' || own <= rank) continue;
    rank = own;
    found = { mode, policy: refOf(object), ports: {} };
  }
  return { ...found, ports };
}

// Which rule decides the split of a service, and what an edit of its weights writes.

import {
  type DestinationRuleSpec,
  MESH,
  type MeshRouteSpec,
  type ServiceSpec,
  type VirtualServiceSpec,
  editYaml,
  labelIndex,
  resolveHost,
  toYaml,
} from '@weft/mesh-core/config';
import { type MeshObject, byAge, push } from '@weft/mesh-core/model';
import { virtualServicesOfRoutes } from '@weft/mesh-core/translate';

export interface SplitRule {
  host: string;
  virtualService: MeshObject<VirtualServiceSpec> | undefined;
  /** Index of the first http route that takes every request; -1 = none. */
  routeIndex: number;
  /** Weights are shares 0-100; `weighted` false = no rule tells, the workloads share evenly. */
  destinations: { subset: string; labels: Record<string, string>; weight: number; workloads: string[] }[];
  blocked: string | undefined;
}

/** What decides splits, by the full hosts it is for. */
interface SplitIndex {
  services: ReadonlyMap<string, MeshObject<ServiceSpec>>;
  rules: ReadonlyMap<string, readonly MeshObject<DestinationRuleSpec>[]>;
  /** For sidecars, oldest first, with those that routes of the Gateway API amount to. */
  virtualServices: ReadonlyMap<string, readonly MeshObject<VirtualServiceSpec>[]>;
  ofRoutes: ReadonlySet<MeshObject>;
  /** Of the Gateway API. */
  routes: ReadonlyMap<string, readonly MeshObject[]>;
  workloads: ReturnType<typeof workloadsIn>;
}

/** By the list of objects, which is the same until one of them changes. */
const indexes = new WeakMap<readonly MeshObject[], SplitIndex>();

function splitIndex(objects: readonly MeshObject[], domainSuffix: string): SplitIndex {
  const known = indexes.get(objects);
  if (known !== undefined) return known;
  const ofKind = <S>(kind: string): MeshObject<S>[] => objects.filter((o) => o.kind === kind) as MeshObject<S>[];
  const full = (name: string, { metadata }: MeshObject): string => resolveHost(name, metadata.namespace, domainSuffix);
  const ofRoutes = virtualServicesOfRoutes(ofKind, new Map(), domainSuffix);
  const virtualServices = [...ofKind<VirtualServiceSpec>('VirtualService'), ...ofRoutes]
    .filter(({ spec: { gateways } }) => gateways === undefined || gateways.includes(MESH))
    .toSorted(byAge);
  const index: SplitIndex = {
    services: new Map(ofKind<ServiceSpec>('Service').map((o) => [full(o.metadata.name, o), o])),
    rules: byHosts(ofKind<DestinationRuleSpec>('DestinationRule'), (rule) => [full(rule.spec.host, rule)]),
    virtualServices: byHosts(virtualServices, (vs) => (vs.spec.hosts ?? []).map((host) => full(host, vs))),
    ofRoutes: new Set(ofRoutes),
    routes: byHosts(objects, (o) => parentHosts(o, domainSuffix)),
    workloads: workloadsIn(objects),
  };
  indexes.set(objects, index);
  return index;
}

function byHosts<T>(items: readonly T[], hostsOf: (item: T) => Iterable<string>): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) for (const host of hostsOf(item)) push(groups, host, item);
  return groups;
}

/** Hosts of the Services that a route of the Gateway API is attached to, once each; of other objects none. */
export function parentHosts({ spec, metadata }: MeshObject, domainSuffix: string): ReadonlySet<string> {
  const parents = ((spec as Partial<MeshRouteSpec> | undefined)?.parentRefs ?? []).filter((ref) => ref.kind === 'Service');
  return new Set(parents.map((ref) => resolveHost(ref.name, ref.namespace ?? metadata.namespace, domainSuffix)));
}

/** WorkloadEntries of a namespace that a selector selects; an empty one selects nothing. */
export function workloadsIn(objects: readonly MeshObject[]): (namespace: string, selector: Readonly<Record<string, string>>) => readonly MeshObject[] {
  const select = labelIndex(
    objects.filter((o) => o.kind === 'WorkloadEntry'),
    (o) => o.metadata.namespace,
    labelsOf,
  );
  return (namespace, selector) => (Object.keys(selector).length === 0 ? [] : select(namespace, selector));
}

/** The split of one service as configured. */
export function splitRuleOf(objects: readonly MeshObject[], namespace: string, service: string, domainSuffix: string): SplitRule {
  const host = resolveHost(service, namespace, domainSuffix);
  const same = (name: string, inNamespace: string): boolean => resolveHost(name, inNamespace, domainSuffix) === host;
  const index = splitIndex(objects, domainSuffix);
  const selectorOf = (of: string): Record<string, string> => index.services.get(of)?.spec.selector ?? {};
  const workloadsOf = (labels: Record<string, string>): string[] => index.workloads(namespace, labels).map((e) => e.metadata.name);
  const virtualService = index.virtualServices.get(host)?.[0];
  if (virtualService !== undefined && index.ofRoutes.has(virtualService)) {
    const routes = (index.routes.get(host) ?? []).map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`);
    const blocked = `decided by ${routes.join(', ')}; edit its YAML`;
    return { host, virtualService: undefined, routeIndex: -1, blocked, destinations: backendsOf(virtualService, selectorOf, workloadsOf) };
  }
  const subsets = (index.rules.get(host) ?? []).flatMap((r) => r.spec.subsets ?? []);
  const selector = selectorOf(host);

  const http = virtualService?.spec.http ?? [];
  const routeIndex = http.findIndex((r) => (r.match ?? []).length === 0 || (r.match ?? []).some((m) => JSON.stringify(m) === '{"uri":{"prefix":"/"}}'));
  const routes = http[routeIndex]?.route ?? [];
  const blocked =
    subsets.length === 0
      ? `no DestinationRule gives ${host} subsets; write one with a subset per version`
      : virtualService !== undefined && http.length === 0 && ((virtualService.spec.tcp ?? []).length > 0 || (virtualService.spec.tls ?? []).length > 0)
        ? `VirtualService ${virtualService.metadata.namespace}/${virtualService.metadata.name} routes TCP or TLS only`
        : routes.some((r) => !same(r.destination.host, virtualService?.metadata.namespace ?? namespace))
          ? `route ${routeIndex} also sends to another host; edit its YAML`
          : undefined;

  const weights = new Map<string, number>();
  if (routeIndex >= 0)
    for (const r of routes)
      weights.set(r.destination.subset ?? '', (weights.get(r.destination.subset ?? '') ?? 0) + (r.weight ?? (routes.length === 1 ? 100 : 0)));
  const named = subsets.map((s) => ({ subset: s.name, labels: s.labels ?? {}, workloads: workloadsOf({ ...selector, ...s.labels }) }));
  const open = weights.size === 0 ? 100 : (weights.get('') ?? 0);
  const workloads = named.reduce((sum, s) => sum + s.workloads.length, 0);
  const raw = named.map((s) => (weights.get(s.subset) ?? 0) + (open === 0 ? 0 : open * (workloads === 0 ? 1 / named.length : s.workloads.length / workloads)));
  const sum = raw.reduce((a, b) => a + b, 0);
  return {
    host,
    virtualService,
    routeIndex,
    blocked,
    destinations: named.map((s, i) => ({ ...s, weight: sum === 0 ? 0 : Math.round(((raw[i] ?? 0) / sum) * 10_000) / 100 })),
  };
}

/** The backends of the rule that takes every request: Services of their own, each by its selector. */
function backendsOf(
  vs: MeshObject<VirtualServiceSpec>,
  selectorOf: (host: string) => Record<string, string>,
  workloadsOf: (labels: Record<string, string>) => string[],
): SplitRule['destinations'] {
  const takesAll = (match: object): boolean => Object.entries(match).every(([key, value]) => key === 'port' || (key === 'uri' && value.prefix === '/'));
  const routes = vs.spec.http?.find((r) => (r.match ?? []).length === 0 || (r.match ?? []).some(takesAll))?.route ?? [];
  const sum = routes.reduce((all, r) => all + (r.weight ?? 1), 0);
  return routes.map((r) => {
    const labels = selectorOf(r.destination.host);
    const weight = sum === 0 ? 0 : Math.round(((r.weight ?? 1) / sum) * 10_000) / 100;
    return { subset: r.destination.host.split('.')[0] ?? '', labels, weight, workloads: workloadsOf(labels) };
  });
}

/** The VirtualService text with these weights: comments and layout stay, a missing object or route is made. */
export function withWeights(
  rule: SplitRule,
  sourceYaml: string | undefined,
  namespace: string,
  service: string,
  weights: Readonly<Record<string, number>>,
): string {
  const { virtualService, routeIndex } = rule;
  const all = rule.destinations.map((d) => ({ destination: { host: service, subset: d.subset }, weight: weights[d.subset] ?? 0 }));
  if (virtualService === undefined)
    return toYaml({
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name: service, namespace },
      spec: { hosts: [service], http: [{ route: all }] },
    });
  const text = sourceYaml ?? toYaml(virtualService);
  const http = virtualService.spec.http ?? [];
  if (routeIndex < 0) return editYaml(text, [{ path: ['spec', 'http'], value: [...http, { route: all }] }]);
  const routes = http[routeIndex]?.route ?? [];
  const present = routes.map((r) => r.destination.subset);
  const exact = new Set(present).size === present.length && present.every((s) => s !== undefined && rule.destinations.some((d) => d.subset === s));
  const missing = all.filter((r) => !present.includes(r.destination.subset) && r.weight > 0);
  if (exact && missing.length === 0)
    return editYaml(
      text,
      routes.map((r, j) => ({ path: ['spec', 'http', routeIndex, 'route', j, 'weight'], value: weights[r.destination.subset ?? ''] ?? 0 })),
    );
  const kept = routes.filter(
    (r, i) =>
      r.destination.subset !== undefined && present.indexOf(r.destination.subset) === i && rule.destinations.some((d) => d.subset === r.destination.subset),
  );
  const value = [
    ...kept.map((r) => ({ ...r, weight: weights[r.destination.subset ?? ''] ?? 0 })),
    ...all.filter((r) => !kept.some((k) => k.destination.subset === r.destination.subset)),
  ];
  return editYaml(text, [{ path: ['spec', 'http', routeIndex, 'route'], value }]);
}

/** `v1=50 v2=50` of every weighted route, for lists of revisions; undefined when the object has none. */
export function weightsText(object: MeshObject | undefined): string | undefined {
  if (object?.kind !== 'VirtualService') return undefined;
  const routes = ((object.spec as VirtualServiceSpec).http ?? []).flatMap((r) => r.route ?? []).filter((r) => r.weight !== undefined);
  return routes.length === 0 ? undefined : routes.map((r) => `${r.destination.subset ?? r.destination.host}=${r.weight}`).join(' ');
}

/** True when every selector entry is among the labels; an empty selector selects nothing. */
export function selects(selector: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>>): boolean {
  const wanted = Object.entries(selector);
  return wanted.length > 0 && wanted.every(([k, v]) => labels[k] === v);
}

/** Labels of a WorkloadEntry: those of its spec over those of its metadata, as Istio reads them. */
export function labelsOf(entry: MeshObject): Record<string, string> {
  return { ...entry.metadata.labels, ...(entry.spec as { labels?: Record<string, string> }).labels };
}

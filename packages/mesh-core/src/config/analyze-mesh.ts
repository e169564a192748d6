// The objects of a mesh by kind, indexed for the analysis.

import { byAge, type MeshObject, type Problem, refOf, grouped, isSameList, push } from '../model/index.ts';
import type { AuthorizationPolicySpec } from './authorization-policy.ts';
import type { DestinationRuleSpec } from './destination-rule.ts';
import type { EnvoyFilterSpec } from './envoy-filter.ts';
import type { GatewaySpec } from './gateway.ts';
import { type Select, labelIndex, matches } from './label-index.ts';
import type { IngressClassSpec, IngressSpec } from './ingress.ts';
import type { TcpRouteSpec, TlsRouteSpec } from './l4-route.ts';
import type { PeerAuthenticationSpec, ServiceSpec, WorkloadEntrySpec } from './other-kinds.ts';
import type { RequestAuthenticationSpec } from './request-authentication.ts';
import type { ServiceEntrySpec } from './service-entry.ts';
import type { SidecarSpec } from './sidecar.ts';
import type { TelemetrySpec } from './telemetry.ts';
import type { VirtualServiceSpec } from './virtual-service.ts';

interface EntryHost {
  host: string;
  ports: readonly number[];
  namespace: string;
  exportTo: readonly string[] | undefined;
}

export interface Mesh {
  /** All objects by kind, in the order given. */
  kinds: ReadonlyMap<string, readonly MeshObject[]>;
  /** By full host name. */
  services: ReadonlyMap<string, MeshObject<ServiceSpec>>;
  /** Hosts of ServiceEntries, with their ports. */
  entries: readonly EntryHost[];
  /** Those of `entries` that cover a host, in their order. */
  entriesOf: (host: string) => readonly EntryHost[];
  virtualServices: readonly MeshObject<VirtualServiceSpec>[];
  rules: readonly MeshObject<DestinationRuleSpec>[];
  /** By the full host name they are for. */
  rulesByHost: ReadonlyMap<string, readonly MeshObject<DestinationRuleSpec>[]>;
  /** By `namespace/name`. */
  gateways: ReadonlyMap<string, MeshObject<GatewaySpec>>;
  l4Routes: readonly MeshObject<TcpRouteSpec | TlsRouteSpec>[];
  /** Of the Gateway API, by `namespace/name`. */
  listenerGateways: ReadonlySet<string>;
  /** Oldest first. */
  ingresses: readonly MeshObject<IngressSpec>[];
  ingressClasses: ReadonlyMap<string, MeshObject<IngressClassSpec>>;
  serviceEntries: readonly MeshObject<ServiceEntrySpec>[];
  sidecars: readonly MeshObject<SidecarSpec>[];
  telemetries: readonly MeshObject<TelemetrySpec>[];
  envoyFilters: readonly MeshObject<EnvoyFilterSpec>[];
  workloads: readonly MeshObject<WorkloadEntrySpec>[];
  /** Those of a namespace with all of some labels. */
  workloadsWith: Select<MeshObject<WorkloadEntrySpec>>;
  /** The same, where labels of their metadata count, too. */
  workloadsWithAll: Select<MeshObject<WorkloadEntrySpec>>;
  policies: readonly MeshObject<PeerAuthenticationSpec>[];
  requestAuthentications: readonly MeshObject<RequestAuthenticationSpec>[];
  authorizations: readonly MeshObject<AuthorizationPolicySpec>[];
  namespaces: readonly MeshObject[];
  /** Those of now, never of an earlier mesh. */
  proxies: readonly ConnectedProxy[];
}

/** A proxy as its status tells it. */
export interface ConnectedProxy {
  namespace: string;
  /** SPIFFE id. */
  identity: string;
  labels?: Readonly<Record<string, string>> | undefined;
}

/** Host of a Service as Istio forms it; short names resolve in `namespace`. */
export function resolveHost(host: string, namespace: string, domainSuffix = 'cluster.local'): string {
  return host.includes('.') || host.includes('*') || host.includes(':') ? host : `${host}.${namespace}.svc.${domainSuffix}`;
}

/** A host as it was written, and in full where that is another text. */
export function inFull(written: string, host: string): string {
  return written === host ? host : `${written} (${host})`;
}

/** Whether `pattern`, a name or a wildcard, covers `host`. */
export function hostMatches(pattern: string, host: string): boolean {
  return pattern.startsWith('*') ? host.endsWith(pattern.slice(1)) : pattern === host;
}

/** What VirtualServices without `gateways` are bound to: all sidecars. */
export const MESH = 'mesh';

/** `<namespace>/<name>` of a Gateway as a VirtualService names it: `gw`, `./gw`, `ns/gw`, or the old `gw.ns.svc.cluster.local`. */
export function gatewayKey(name: string, namespace: string): string {
  if (name === MESH) return MESH;
  if (name.includes('/')) return name.startsWith('./') ? `${namespace}/${name.slice(2)}` : name;
  const [short = name, owner = namespace] = name.split('.');
  return `${owner}/${short}`;
}

/** Whom a Service is for: it has no field for it. */
export function exportsOf({ annotations }: MeshObject['metadata']): readonly string[] | undefined {
  return annotations?.['networking.istio.io/exportTo']?.split(',').map((name) => name.trim());
}

/** Whether an object of `owner`'s namespace may be used in `client`'s. `~` hides it from everybody, `*` shows it to all. */
export function visible(exportTo: readonly string[] | undefined, owner: string, client: string): boolean {
  if (exportTo === undefined || exportTo.length === 0 || exportTo.includes('*')) return true;
  return !exportTo.includes('~') && exportTo.some((e) => e === client || (e === '.' && owner === client));
}

/** The order in which what several namespaces have is looked at from one: private to it, exported to it by name, public. */
export function publicity(exportTo: readonly string[] | undefined, owner: string, client: string): number {
  if (exportTo === undefined || exportTo.length === 0 || exportTo.includes('*')) return 2;
  return owner === client ? 0 : 1;
}

/** True when a workload, or a connected proxy, of a namespace (undefined: of any) has all these labels. */
export function selectsAny(mesh: Mesh, labels: Readonly<Record<string, string>>, namespace: string | undefined): boolean {
  return (
    (namespace === undefined ? mesh.workloads.some((w) => matches(allLabels(w), labels)) : mesh.workloadsWithAll(namespace, labels).length > 0) ||
    mesh.proxies.some((p) => (namespace === undefined || p.namespace === namespace) && matches(p.labels, labels))
  );
}

/** Those of its spec over those of its metadata, as Istio reads them. */
const allLabels = ({ metadata, spec }: MeshObject<WorkloadEntrySpec>): Record<string, string> => ({ ...metadata.labels, ...spec.labels });

/** `previous`: an earlier mesh; what is made of kinds that have not changed since is its own. */
export function meshOf(objects: readonly MeshObject[], proxies: readonly ConnectedProxy[], previous?: Mesh): Mesh {
  const kinds = new Map<string, readonly MeshObject[]>();
  for (const [kind, list] of grouped(objects, (object) => object.kind)) {
    const before = previous?.kinds.get(kind);
    kinds.set(kind, before !== undefined && isSameList(before, list) ? before : list);
  }
  const of = <S>(kind: string): readonly MeshObject<S>[] => (kinds.get(kind) ?? []) as readonly MeshObject<S>[];
  const part = <K extends keyof Mesh>(name: K, kind: string, make: () => Mesh[K]): Mesh[K] =>
    previous !== undefined && previous.kinds.get(kind) === kinds.get(kind) ? previous[name] : make();
  const rules = part('rules', 'DestinationRule', () => of<DestinationRuleSpec>('DestinationRule').toSorted(byAge));
  const entries = part('entries', 'ServiceEntry', () =>
    of<ServiceEntrySpec>('ServiceEntry').flatMap(({ spec, metadata: { namespace } }) =>
      spec.hosts.map((host) => ({ host, ports: (spec.ports ?? []).map((p) => p.number), namespace, exportTo: spec.exportTo })),
    ),
  );
  const workloads = of<WorkloadEntrySpec>('WorkloadEntry');
  const workloadsWithAll = part('workloadsWithAll', 'WorkloadEntry', () => labelIndex(workloads, (w) => w.metadata.namespace, allLabels));
  return {
    kinds,
    services: part('services', 'Service', () => new Map(of<ServiceSpec>('Service').map((s) => [resolveHost(s.metadata.name, s.metadata.namespace), s]))),
    entries,
    entriesOf: part('entriesOf', 'ServiceEntry', () => hostIndex(entries)),
    virtualServices: part('virtualServices', 'VirtualService', () => of<VirtualServiceSpec>('VirtualService').toSorted(byAge)),
    rules,
    rulesByHost: part('rulesByHost', 'DestinationRule', () => {
      const byHost = new Map<string, MeshObject<DestinationRuleSpec>[]>();
      for (const rule of rules) push(byHost, resolveHost(rule.spec.host, rule.metadata.namespace), rule);
      return byHost;
    }),
    gateways: part('gateways', 'Gateway', () => new Map(of<GatewaySpec>('Gateway').map((g) => [`${g.metadata.namespace}/${g.metadata.name}`, g]))),
    l4Routes: [...of<TcpRouteSpec>('TCPRoute'), ...of<TlsRouteSpec>('TLSRoute')],
    listenerGateways: new Set(of('KubernetesGateway').map((g) => `${g.metadata.namespace}/${g.metadata.name}`)),
    ingresses: of<IngressSpec>('Ingress').toSorted(byAge),
    ingressClasses: new Map(of<IngressClassSpec>('IngressClass').map((c) => [c.metadata.name, c])),
    serviceEntries: part('serviceEntries', 'ServiceEntry', () => of<ServiceEntrySpec>('ServiceEntry').toSorted(byAge)),
    sidecars: of<SidecarSpec>('Sidecar').toSorted(byAge),
    telemetries: of<TelemetrySpec>('Telemetry').toSorted(byAge),
    envoyFilters: of<EnvoyFilterSpec>('EnvoyFilter').toSorted(byAge),
    workloads,
    // Those with labels of their spec are among those with labels, since these win.
    workloadsWith: part('workloadsWith', 'WorkloadEntry', () => (at, wanted) => workloadsWithAll(at, wanted).filter((w) => matches(w.spec.labels, wanted))),
    workloadsWithAll,
    policies: of<PeerAuthenticationSpec>('PeerAuthentication').toSorted(byAge),
    requestAuthentications: of<RequestAuthenticationSpec>('RequestAuthentication'),
    authorizations: of('AuthorizationPolicy'),
    namespaces: of('Namespace'),
    proxies,
  };
}

/** Finds those whose host, a name or a wildcard, covers one, in the order given. Names are found by themselves; only wildcards are tried one by one. */
export function hostIndex<T extends { readonly host: string }>(items: readonly T[]): (host: string) => readonly T[] {
  const named = new Map<string, { item: T; at: number }[]>();
  const wild: { item: T; at: number }[] = [];
  for (const [at, item] of items.entries()) {
    if (item.host.startsWith('*')) wild.push({ item, at });
    else push(named, item.host, { item, at });
  }
  return (host) =>
    [...(named.get(host) ?? []), ...wild.filter(({ item }) => hostMatches(item.host, host))].toSorted((a, b) => a.at - b.at).map(({ item }) => item);
}

export function problem(object: MeshObject, severity: Problem['severity'], code: string, path: string, message: string, fix?: Problem['fix']): Problem {
  return { severity, code, message, ref: refOf(object), path, ...(fix === undefined ? {} : { fix }) };
}

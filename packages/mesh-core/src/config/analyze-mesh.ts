// The objects of a mesh by kind, indexed for the analysis.

import { byAge, type MeshObject, type Problem, refOf } from '../model/index.ts';
import type { AuthorizationPolicySpec } from './authorization-policy.ts';
import type { DestinationRuleSpec } from './destination-rule.ts';
import type { EnvoyFilterSpec } from './envoy-filter.ts';
import type { GatewaySpec } from './gateway.ts';
import type { IngressClassSpec, IngressSpec } from './ingress.ts';
import type { TcpRouteSpec, TlsRouteSpec } from './l4-route.ts';
import type { PeerAuthenticationSpec, ServiceSpec, WorkloadEntrySpec } from './other-kinds.ts';
import type { RequestAuthenticationSpec } from './request-authentication.ts';
import type { ServiceEntrySpec } from './service-entry.ts';
import type { SidecarSpec } from './sidecar.ts';
import type { TelemetrySpec } from './telemetry.ts';
import type { VirtualServiceSpec } from './virtual-service.ts';

export interface Mesh {
  /** By full host name. */
  services: ReadonlyMap<string, MeshObject<ServiceSpec>>;
  /** Hosts of ServiceEntries, with their ports. */
  entries: readonly { host: string; ports: readonly number[]; namespace: string; exportTo: readonly string[] | undefined }[];
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
  policies: readonly MeshObject<PeerAuthenticationSpec>[];
  requestAuthentications: readonly MeshObject<RequestAuthenticationSpec>[];
  authorizations: readonly MeshObject<AuthorizationPolicySpec>[];
  namespaces: readonly MeshObject[];
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

/** True when `labels` has all of `wanted`. */
export function matches(labels: Readonly<Record<string, string>> | undefined, wanted: Readonly<Record<string, string>> | undefined): boolean {
  return Object.entries(wanted ?? {}).every(([key, value]) => labels?.[key] === value);
}

/** True when a workload, or a connected proxy, of a namespace that is `near` has all these labels. */
export function selectsAny({ workloads, proxies }: Mesh, labels: Readonly<Record<string, string>>, near: (namespace: string) => boolean): boolean {
  return (
    workloads.some((w) => near(w.metadata.namespace) && matches({ ...w.metadata.labels, ...w.spec.labels }, labels)) ||
    proxies.some((p) => near(p.namespace) && matches(p.labels, labels))
  );
}

export function meshOf(objects: readonly MeshObject[], proxies: readonly ConnectedProxy[]): Mesh {
  const of = <S>(kind: string): MeshObject<S>[] => objects.filter((o) => o.kind === kind) as MeshObject<S>[];
  const rules = of<DestinationRuleSpec>('DestinationRule').toSorted(byAge);
  const rulesByHost = new Map<string, MeshObject<DestinationRuleSpec>[]>();
  for (const rule of rules) {
    const host = resolveHost(rule.spec.host, rule.metadata.namespace);
    rulesByHost.set(host, [...(rulesByHost.get(host) ?? []), rule]);
  }
  return {
    services: new Map(of<ServiceSpec>('Service').map((s) => [resolveHost(s.metadata.name, s.metadata.namespace), s])),
    entries: of<ServiceEntrySpec>('ServiceEntry').flatMap(({ spec, metadata: { namespace } }) =>
      spec.hosts.map((host) => ({ host, ports: (spec.ports ?? []).map((p) => p.number), namespace, exportTo: spec.exportTo })),
    ),
    virtualServices: of<VirtualServiceSpec>('VirtualService').toSorted(byAge),
    rules,
    rulesByHost,
    gateways: new Map(of<GatewaySpec>('Gateway').map((g) => [`${g.metadata.namespace}/${g.metadata.name}`, g])),
    l4Routes: [...of<TcpRouteSpec>('TCPRoute'), ...of<TlsRouteSpec>('TLSRoute')],
    listenerGateways: new Set(of('KubernetesGateway').map((g) => `${g.metadata.namespace}/${g.metadata.name}`)),
    ingresses: of<IngressSpec>('Ingress').toSorted(byAge),
    ingressClasses: new Map(of<IngressClassSpec>('IngressClass').map((c) => [c.metadata.name, c])),
    serviceEntries: of<ServiceEntrySpec>('ServiceEntry').toSorted(byAge),
    sidecars: of<SidecarSpec>('Sidecar').toSorted(byAge),
    telemetries: of<TelemetrySpec>('Telemetry').toSorted(byAge),
    envoyFilters: of<EnvoyFilterSpec>('EnvoyFilter').toSorted(byAge),
    workloads: of('WorkloadEntry'),
    policies: of<PeerAuthenticationSpec>('PeerAuthentication').toSorted(byAge),
    requestAuthentications: of<RequestAuthenticationSpec>('RequestAuthentication'),
    authorizations: of('AuthorizationPolicy'),
    namespaces: of('Namespace'),
    proxies,
  };
}

export function problem(object: MeshObject, severity: Problem['severity'], code: string, path: string, message: string, fix?: Problem['fix']): Problem {
  return { severity, code, message, ref: refOf(object), path, ...(fix === undefined ? {} : { fix }) };
}

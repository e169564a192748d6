// The mesh as the translator sees it: services, rules and gateways, and Istio's precedence rules as look-ups. What is behind a service: service-workloads.ts.

import {
  type DestinationRuleSpec,
  type GatewaySpec,
  type IngressClassSpec,
  type IngressSpec,
  type PeerAuthenticationSpec,
  type Protocol,
  type ServiceEntrySpec,
  type ServiceSpec,
  type VirtualServiceSpec,
  effectiveSettings,
  exportsOf,
  matches,
  protocolOf,
  publicity,
  resolveHost,
  servedIngresses,
  visible,
} from '../config/index.ts';
import { byAge, type MeshObject, type MeshSettings, type ProxyNode, grouped, isSameList } from '../model/index.ts';
import { withDelegates } from './delegates.ts';
import { backendTlsRules } from './gateway-api/backend-tls.ts';
import { gatewaysOfListeners, listenersByGateway, virtualServicesOfRoutes } from './gateway-api/index.ts';
import { ingressGateways, ingressVirtualServices } from './ingress.ts';
import { Memo, type Remembering, type Sources, derived, fact, sameElements, sameEntries, source } from './memo.ts';
import { type EntryFacts, entryServices } from './service-entries.ts';

export interface ServicePort {
  name: string;
  port: number;
  targetPort: number | string;
  protocol: Protocol;
}

export interface Workload {
  name: string;
  namespace: string;
  address: string;
  ports: Readonly<Record<string, number>>;
  labels: Readonly<Record<string, string>>;
  serviceAccount: string;
  principal: string;
  weight: number;
  locality: string;
  healthy: boolean;
  /** An address of a ServiceEntry: nobody knows what runs there. */
  anonymous?: boolean;
  /** Of a ServiceEntry with the host of a Service: behind no ports of that but those of `ports`. */
  joined?: boolean;
}

/** Without what is behind it, which moves more often: see `workloadsOf`. */
export interface MeshService {
  /** Of the object it comes from, and the host where that has several. */
  key: string;
  host: string;
  name: string;
  namespace: string;
  ports: readonly ServicePort[];
  exportTo: readonly string[] | undefined;
  /** Of a ServiceEntry. */
  entry?: EntryFacts;
}

export interface Mesh {
  /** By host: several where namespaces have their own of one name, see {@link seenFrom}. ServiceEntries by age, then Services. */
  services: ReadonlyMap<string, readonly MeshService[]>;
  virtualServices: readonly MeshObject<VirtualServiceSpec>[];
  destinationRules: readonly MeshObject<DestinationRuleSpec>[];
  gateways: readonly MeshObject<GatewaySpec>[];
  peerAuthentications: readonly MeshObject<PeerAuthenticationSpec>[];
  settings: MeshSettings;
  /** The objects by kind, as they came. */
  objects: ReadonlyMap<string, readonly MeshObject[]>;
  /** What was worked out from this mesh and those before it. */
  memo: Memo<Mesh>;
  facts: Remembering['facts'];
  sources: Sources;
}

/** Indexes the objects. `previous` hands over what was worked out from it and still holds. Fields are made when they are first read. */
export function buildMesh(objects: readonly MeshObject[], given: MeshSettings, previous?: Mesh): Mesh {
  const settings = effectiveSettings(given, objects);
  const groups = grouped(objects, (o) => o.kind);
  for (const [kind, group] of groups) {
    const before = previous?.objects.get(kind);
    if (before !== undefined && isSameList(before, group)) groups.set(kind, before as MeshObject[]);
  }
  // Settings are read everywhere and change seldom: with others everything is worked out anew.
  const memo = previous !== undefined && JSON.stringify(previous.settings) === JSON.stringify(settings) ? previous.memo : new Memo<Mesh>();
  const facts: Mesh['facts'] = new Map();
  const mesh = {
    objects: groups,
    settings,
    memo,
    facts,
    sources: memo.begin(facts, groups.keys(), previous?.sources ?? [], (kind) => previous?.memo === memo && previous.objects.get(kind) === groups.get(kind)),
  } as unknown as Mesh;
  for (const [name, read] of Object.entries(FIELDS)) Object.defineProperty(mesh, name, { get: () => read(mesh) });
  return mesh;
}

type Indexed = 'services' | 'virtualServices' | 'destinationRules' | 'gateways' | 'peerAuthentications';

/** How each field is made: from objects by kind, and remembered. What has the same content as before stays the same object. */
const FIELDS: { [F in Indexed]: (mesh: Mesh) => Mesh[F] } = {
  services: (mesh) => derived<Mesh, Mesh['services']>(mesh, 'services', (m) => grouped(allServices(m), (s) => s.host), sameEntries),
  virtualServices: (mesh) =>
    derived<Mesh, Mesh['virtualServices']>(
      mesh,
      'virtual services',
      (m) =>
        [
          ...withDelegates(ofKind<VirtualServiceSpec>(m, 'VirtualService'), m.settings.domainSuffix),
          ...virtualServicesOfRoutes((kind) => ofKind(m, kind), listeners(m), m.settings.domainSuffix),
          ...ingressVirtualServices(ingressesOf(m), (namespace, service, port) => portNamed(m, `${namespace}/${service}`, port), m.settings),
        ].toSorted(byAge),
      sameElements,
    ),
  destinationRules: (mesh) =>
    derived(mesh, 'destination rules', (m) => {
      const rules = ofKind<DestinationRuleSpec>(m, 'DestinationRule');
      const made = rulesOfPolicies(m);
      return made.length === 0 ? rules : [...made, ...rules].toSorted(byAge);
    }),
  gateways: (mesh) =>
    derived<Mesh, Mesh['gateways']>(
      mesh,
      'gateways',
      (m) =>
        [
          ...ofKind<GatewaySpec>(m, 'Gateway'),
          ...gatewaysOfListeners((kind) => ofKind(m, kind), listeners(m), m.settings.domainSuffix),
          ...ingressGateways(ingressesOf(m), m.settings),
        ].toSorted(byAge),
      sameElements,
    ),
  peerAuthentications: (mesh) => ofKind(mesh, 'PeerAuthentication'),
};

function rulesOfPolicies(mesh: Mesh): readonly MeshObject<DestinationRuleSpec>[] {
  return derived<Mesh, readonly MeshObject<DestinationRuleSpec>[]>(
    mesh,
    'rules of policies',
    (m) => backendTlsRules((kind) => ofKind(m, kind), m.settings.domainSuffix),
    sameElements,
  );
}

/** Listeners of the Gateway API's Gateways. */
function listeners(mesh: Mesh): ReturnType<typeof listenersByGateway> {
  return derived(mesh, 'listeners', (m) => listenersByGateway((kind) => ofKind(m, kind)), sameEntries);
}

/** Objects of one kind, oldest first. */
export function ofKind<S>(mesh: Mesh, kind: string): readonly MeshObject<S>[] {
  return derived(mesh, `kind|${kind}`, (m) => source(m, kind, ({ objects }) => objects.get(kind))?.toSorted(byAge) ?? []) as readonly MeshObject<S>[];
}

/** Ingresses of our class. */
function ingressesOf(mesh: Mesh): readonly MeshObject<IngressSpec>[] {
  return derived<Mesh, readonly MeshObject<IngressSpec>[]>(
    mesh,
    'ingresses',
    (m) => servedIngresses(ofKind<IngressSpec>(m, 'Ingress'), ofKind<IngressClassSpec>(m, 'IngressClass'), m.settings),
    sameElements,
  );
}

/** The number a Service (`<namespace>/<name>`) has for the name of a port; what reads it is not made again when other Services change. */
function portNamed(mesh: Mesh, service: string, name: string): number | undefined {
  return fact(mesh, `port|${service}|${name}`, (m) => {
    const services = derived(
      m,
      'services by name',
      (n) => new Map(ofKind<ServiceSpec>(n, 'Service').map((s) => [`${s.metadata.namespace}/${s.metadata.name}`, s])),
    );
    return services.get(service)?.spec.ports.find((p) => p.name === name)?.port;
  });
}

/** What a host is to a client; what reads only this one is not made again when another changes. */
export function serviceOf(mesh: Mesh, host: string, client: HostClient): MeshService | undefined {
  const all = fact(mesh, `service|${host}`, (m) => m.services.get(host)) ?? [];
  // The client is looked at only where it matters: proxies that differ in it then share what is made of the service.
  return all.length < 2 ? all[0] : seenFrom(client, all);
}

/** Who asks for a host. */
type HostClient = Pick<ProxyNode, 'namespace' | 'role'>;

/** Of those that share a host the one a client sees: a sidecar what its own namespace has, then anybody a Service, else an entry exported to it, else a public one. */
export function seenFrom({ namespace, role }: HostClient, all: readonly MeshService[]): MeshService | undefined {
  const order = (s: MeshService): number =>
    (s.entry === undefined ? 0 : 3) + (role === 'sidecar' && s.namespace === namespace ? -6 : publicity(s.exportTo, s.namespace, namespace));
  return all.filter((s) => visible(s.exportTo, s.namespace, namespace)).toSorted((a, b) => order(a) - order(b))[0];
}

function allServices(mesh: Mesh): MeshService[] {
  const services = ofKind<ServiceSpec>(mesh, 'Service').map(({ spec, metadata }): MeshService => ({
    key: serviceKey(metadata),
    host: resolveHost(metadata.name, metadata.namespace, mesh.settings.domainSuffix),
    name: metadata.name,
    namespace: metadata.namespace,
    exportTo: exportsOf(metadata),
    ports: spec.ports
      .filter((p) => p.protocol !== 'UDP')
      .map((p) => ({ name: p.name ?? '', port: p.port, targetPort: p.targetPort ?? p.port, protocol: protocolOf(p.name ?? '', p.appProtocol, p.port) })),
  }));
  return [...entryServices(ofKind<ServiceEntrySpec>(mesh, 'ServiceEntry')), ...services];
}

/** {@link MeshService.key} of a Service. */
export const serviceKey = ({ namespace, name }: MeshObject['metadata']): string => `Service|${namespace}/${name}`;

/** Port of a workload for a service port: named in the WorkloadEntry, else the target port, else the service's. */
export function endpointPort(workload: Workload, port: ServicePort): number {
  return workload.ports[port.name] ?? (typeof port.targetPort === 'number' ? port.targetPort : (workload.ports[port.targetPort] ?? port.port));
}

export type MtlsMode = 'DISABLE' | 'PERMISSIVE' | 'STRICT';

/**
 * Effective PeerAuthentication of a workload's port: port > workload > namespace > root namespace > PERMISSIVE; the oldest
 * wins per scope. `ports` are the numbers the port is known by: where its sidecar listens, and the two its Service names.
 */
export function mtlsModeOf(mesh: Mesh, namespace: string, labels: Readonly<Record<string, string>>, ...ports: (number | string | undefined)[]): MtlsMode {
  const { rootNamespace } = mesh.settings;
  const inScope = (ns: string, withSelector: boolean) =>
    mesh.peerAuthentications.find((p) => {
      const selector = p.spec.selector?.matchLabels ?? {};
      return p.metadata.namespace === ns && Object.keys(selector).length > 0 === withSelector && matches(labels, selector);
    });
  const own = namespace === rootNamespace ? undefined : inScope(namespace, true);
  const modes = [
    ...ports.map((port) => own?.spec.portLevelMtls?.[String(port)]?.mode),
    own?.spec.mtls?.mode,
    inScope(namespace, false)?.spec.mtls?.mode,
    inScope(rootNamespace, false)?.spec.mtls?.mode,
  ];
  for (const mode of modes) if (mode !== undefined && mode !== 'UNSET') return mode;
  return 'PERMISSIVE';
}

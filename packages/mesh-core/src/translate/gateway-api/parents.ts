// What routes attach to: listeners of Gateways, and Services of the mesh.

import { hostMatches, resolveHost } from '../../config/index.ts';
import type { MeshObject } from '../../model/index.ts';
import type { Listener } from './listeners.ts';

/** What all kinds of routes have in common. */
export interface RouteSpec {
  parentRefs?: readonly ParentRef[] | undefined;
  hostnames?: readonly string[] | undefined;
}
export interface ParentRef {
  group?: string | undefined;
  kind?: string | undefined;
  namespace?: string | undefined;
  name: string;
  sectionName?: string | undefined;
  port?: number | undefined;
}
export type Route<S extends RouteSpec = RouteSpec> = MeshObject<S>;

/** Why a listener does not take a route, in the words of the Gateway API. */
export interface Denial {
  reason: 'NoMatchingParent' | 'NotAllowedByListeners' | 'NoMatchingListenerHostname';
  message: string;
  /** A label of the route's namespace would mend it. */
  byLabels?: true;
}

export interface Attachment {
  /** In `spec.parentRefs`. */
  index: number;
  ref: ParentRef;
  listener: Listener;
  denied?: Denial;
  /** Host names of other listeners beside it on the same port, which requests for them go to. */
  others: readonly string[];
}

const GROUP = 'gateway.networking.k8s.io';
export type ParentKind = 'Gateway' | 'Service' | 'ServiceEntry';

/** What a reference is to; undefined where it is for somebody else. */
export function parentKind({ group = GROUP, kind = 'Gateway' }: ParentRef): ParentKind | undefined {
  if (group === GROUP && kind === 'Gateway') return kind;
  if (group === '' && kind === 'Service') return kind;
  return group === 'networking.istio.io' && kind === 'ServiceEntry' ? kind : undefined;
}

/** A route of `kind` with each open listener of the Gateways it names, by `<namespace>/<name>`; those that do not take it say why. */
export function attachmentsOf(route: Route, kind: string, listeners: ReadonlyMap<string, readonly Listener[]>): Attachment[] {
  return (route.spec.parentRefs ?? []).flatMap((ref, index) => {
    if (parentKind(ref) !== 'Gateway') return [];
    const all = (listeners.get(`${ref.namespace ?? route.metadata.namespace}/${ref.name}`) ?? []).filter((l) => l.open);
    return all.map((listener): Attachment => {
      const beside = all.filter((l) => l.spec.port === listener.spec.port && l.spec.protocol === listener.spec.protocol && l.hostname !== listener.hostname);
      const denied = denial(route, kind, ref, listener);
      return { index, ref, listener, others: beside.map((l) => l.hostname), ...(denied === undefined ? {} : { denied }) };
    });
  });
}

/** A Service or ServiceEntry of the mesh that a route is attached to. */
export interface MeshParent {
  kind: 'Service' | 'ServiceEntry';
  hosts: readonly string[];
  port: number | undefined;
  /** Only for clients of the route's namespace: the parent is in another. */
  consumer?: true;
}

/** `entryHosts`: of ServiceEntries, by `<namespace>/<name>`. */
export function meshParentsOf(
  { spec, metadata }: Route,
  { entryHosts, domainSuffix }: { entryHosts: ReadonlyMap<string, readonly string[]>; domainSuffix: string },
): MeshParent[] {
  return (spec.parentRefs ?? []).flatMap((ref): MeshParent[] => {
    const { name, namespace = metadata.namespace, port } = ref;
    const kind = parentKind(ref);
    if (kind !== 'Service' && kind !== 'ServiceEntry') return [];
    const hosts = kind === 'Service' ? [resolveHost(name, namespace, domainSuffix)] : (entryHosts.get(`${namespace}/${name}`) ?? []);
    return [{ kind, hosts, port, ...(namespace === metadata.namespace ? {} : { consumer: true as const }) }];
  });
}

function denial(route: Route, kind: string, ref: ParentRef, { spec, hostname, namespaces, kinds }: Listener): Denial | undefined {
  if (ref.port !== undefined && ref.port !== spec.port) return { reason: 'NoMatchingParent', message: `port ${ref.port} not found` };
  if (ref.sectionName !== undefined && ref.sectionName !== spec.name)
    return { reason: 'NoMatchingParent', message: `sectionName ${JSON.stringify(ref.sectionName)} not found` };
  const { namespace } = route.metadata;
  if (hostname !== '' && !hostnamesOf(route).some((host) => overlap(host, hostname)))
    return { reason: 'NoMatchingListenerHostname', message: `no hostnames matched parent hostname ${JSON.stringify(hostname)}` };
  if (!namespaces.includes('*') && !namespaces.includes(namespace)) return notAllowed(namespace, spec);
  return kinds.includes(kind) ? undefined : { reason: 'NotAllowedByListeners', message: `kind ${kind} is not allowed` };
}

function notAllowed(namespace: string, { allowedRoutes }: Listener['spec']): Denial {
  const message = `namespace ${JSON.stringify(namespace)} is not allowed by the parent`;
  if (allowedRoutes?.namespaces?.from !== 'Selector') return { reason: 'NotAllowedByListeners', message };
  return { reason: 'NotAllowedByListeners', message: `${message}, which selects namespaces by labels this one has not`, byLabels: true };
}

/** A route without host names is for all. */
export function hostnamesOf({ spec }: Route): readonly string[] {
  return (spec.hostnames ?? []).length === 0 ? ['*'] : (spec.hostnames ?? []);
}

/** Whether a listener answers for a host of a route: not, where another listener beside it fits the host better. */
export function isolated({ listener: { hostname }, others }: Attachment, host: string): boolean {
  if (hostname !== '' && !hostname.startsWith('*')) return true;
  if (hostname !== '' && !overlap(host, hostname)) return false;
  return !others.some((other) => other.length >= hostname.length && other !== '' && hostMatches(other, host));
}

export function overlap(a: string, b: string): boolean {
  return hostMatches(a, b) || hostMatches(b, a);
}

// The Gateway API as Istio's own objects: what the rest of the translator then makes of it is what it makes of those.

import type {
  GatewayClassSpec,
  GatewaySpec,
  GrpcRouteSpec,
  MeshRouteSpec,
  ReferenceGrantSpec,
  SecretSpec,
  ServiceEntrySpec,
  ServiceSpec,
  TcpRouteSpec,
  TlsRouteSpec,
  VirtualServiceSpec,
} from '../../config/index.ts';
import { type MeshObject, namespaceLabels } from '../../model/index.ts';
import { type ConfigMap, byKey } from './backend-tls.ts';
import { isOurs } from './classes.ts';
import { istioGateways, selectorsOf } from './gateways.ts';
import { l4VirtualServices } from './l4-routes.ts';
import { type KubernetesGateway, type Listener, type NamespaceLabels, listenersOf } from './listeners.ts';
import { httpVirtualServices } from './virtual-services.ts';

/** Objects of a kind, oldest first. */
export type Read = <S>(kind: string) => readonly MeshObject<S>[];

/** Kinds of routes: listeners select their namespaces. */
const ROUTE_KINDS = ['HTTPRoute', 'GRPCRoute', 'TCPRoute', 'TLSRoute'] as const;

/** Listeners of the Gateways that are ours, by `<namespace>/<name>`. */
export function listenersByGateway(read: Read): ReadonlyMap<string, readonly Listener[]> {
  const classes = read<GatewayClassSpec>('GatewayClass');
  const ours = (read('KubernetesGateway') as readonly KubernetesGateway[]).filter((g) => isOurs(g, classes));
  if (ours.length === 0) return new Map();
  const known = namespacesOfRoutes(read);
  return new Map(ours.map((g) => [`${g.metadata.namespace}/${g.metadata.name}`, listenersOf(g, known)]));
}

/** Namespaces that have an object, or only routes in them. */
function namespacesOfRoutes(read: Read): NamespaceLabels {
  const objects = new Map(read('Namespace').map((n) => [n.metadata.name, n]));
  const names = new Set([...objects.keys(), ...ROUTE_KINDS.flatMap((kind) => read(kind).map((r) => r.metadata.namespace))]);
  return new Map([...names].toSorted().map((name) => [name, namespaceLabels(name, objects.get(name))]));
}

export function gatewaysOfListeners(read: Read, byGateway: ReadonlyMap<string, readonly Listener[]>, domainSuffix: string): MeshObject<GatewaySpec>[] {
  if (byGateway.size === 0) return [];
  const world = {
    secrets: byKey(read<SecretSpec>('Secret')),
    configMaps: byKey(read<ConfigMap['spec']>('ConfigMap')),
    grants: read<ReferenceGrantSpec>('ReferenceGrant'),
  };
  return [...byGateway.values()].flatMap((listeners) => {
    const [first] = listeners;
    if (first === undefined) return [];
    return istioGateways(listeners, selectorsOf(first.gateway, read<ServiceSpec>('Service'), domainSuffix), world);
  });
}

export function virtualServicesOfRoutes(
  read: Read,
  listeners: ReadonlyMap<string, readonly Listener[]>,
  domainSuffix: string,
): MeshObject<VirtualServiceSpec>[] {
  const [http, grpc] = [read<MeshRouteSpec>('HTTPRoute'), read<GrpcRouteSpec>('GRPCRoute')];
  const [tcp, tls] = [read<TcpRouteSpec>('TCPRoute'), read<TlsRouteSpec>('TLSRoute')];
  if (http.length + grpc.length + tcp.length + tls.length === 0) return [];
  const entryHosts = new Map(read<ServiceEntrySpec>('ServiceEntry').map((e) => [`${e.metadata.namespace}/${e.metadata.name}`, e.spec.hosts]));
  const services = new Set(read('Service').map((s) => `${s.metadata.name}.${s.metadata.namespace}.svc.${domainSuffix}`));
  const shared = { listeners, grants: read<ReferenceGrantSpec>('ReferenceGrant'), entryHosts, domainSuffix };
  return [...httpVirtualServices({ http, grpc, services, ...shared }), ...l4VirtualServices({ tcp, tls, ...shared })];
}

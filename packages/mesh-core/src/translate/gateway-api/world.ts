// All of the Gateway API in a set of objects, for what is told about it: status, findings.

import type {
  GatewayClassSpec,
  GrpcRouteSpec,
  MeshRouteSpec,
  ReferenceGrantSpec,
  SecretSpec,
  ServiceEntrySpec,
  ServiceSpec,
  TcpRouteSpec,
  TlsRouteSpec,
} from '../../config/index.ts';
import type { MeshObject } from '../../model/index.ts';
import type { BackendTlsPolicy, ConfigMap } from './backend-tls.ts';
import { isOurs } from './classes.ts';
import { listenersByGateway, type Read } from './index.ts';
import type { KubernetesGateway, Listener } from './listeners.ts';

export type AnyRoute = MeshObject<MeshRouteSpec> | MeshObject<GrpcRouteSpec> | MeshObject<TcpRouteSpec> | MeshObject<TlsRouteSpec>;

export interface GatewayWorld {
  gateways: readonly KubernetesGateway[];
  /** Of classes somebody else looks after, or nobody. */
  foreign: ReadonlySet<string>;
  classes: readonly MeshObject<GatewayClassSpec>[];
  listeners: ReadonlyMap<string, readonly Listener[]>;
  routes: readonly AnyRoute[];
  grants: readonly MeshObject<ReferenceGrantSpec>[];
  services: readonly MeshObject<ServiceSpec>[];
  entries: readonly MeshObject<ServiceEntrySpec>[];
  secrets: ReadonlyMap<string, MeshObject<SecretSpec>>;
  configMaps: ReadonlyMap<string, ConfigMap>;
  tlsPolicies: readonly BackendTlsPolicy[];
  domainSuffix: string;
}

export function gatewayWorld(objects: readonly MeshObject[], domainSuffix: string): GatewayWorld {
  const read: Read = <S>(kind: string) => objects.filter((o) => o.kind === kind) as MeshObject<S>[];
  const classes = read<GatewayClassSpec>('GatewayClass');
  const all = read('KubernetesGateway') as KubernetesGateway[];
  return {
    gateways: all.filter((g) => isOurs(g, classes)),
    foreign: new Set(all.filter((g) => !isOurs(g, classes)).map(keyOf)),
    classes,
    listeners: listenersByGateway(read),
    routes: [
      ...[...read<MeshRouteSpec>('HTTPRoute'), ...read<GrpcRouteSpec>('GRPCRoute')],
      ...[...read<TcpRouteSpec>('TCPRoute'), ...read<TlsRouteSpec>('TLSRoute')],
    ],
    grants: read('ReferenceGrant'),
    services: read('Service'),
    entries: read('ServiceEntry'),
    secrets: new Map(read<SecretSpec>('Secret').map((s) => [keyOf(s), s])),
    configMaps: new Map((read('ConfigMap') as ConfigMap[]).map((c) => [keyOf(c), c])),
    tlsPolicies: read('BackendTLSPolicy'),
    domainSuffix,
  };
}

/** `<namespace>/<name>` */
export function keyOf({ metadata: { namespace, name } }: MeshObject): string {
  return `${namespace}/${name}`;
}

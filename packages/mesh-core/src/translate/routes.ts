// RDS of sidecars: services and VirtualServices as route configurations.

import type { JsonObject } from '@bufbuild/protobuf';
import { MESH, hostMatches } from '../config/index.ts';
import type { ProxyNode } from '../model/index.ts';
import { clusterName } from './common.ts';
import { BLACK_HOLE, PASSTHROUGH, serviceNamed } from './external-clusters.ts';
import type { Mesh, MeshService, ServicePort } from './mesh.ts';
import { withoutPeer } from './peer-header.ts';
import { type OutboundPolicy, outboundPolicy, visibleServices } from './sidecar-scope.ts';
import type { RouteContext } from './route-context.ts';
import { defaultRoute, virtualServiceRoutes } from './virtual-service-routes.ts';
import { claimants, hostsOf, virtualServicesFor } from './virtual-services.ts';

/** Envoy's own limit of 4 KB is less than a VirtualService may say. */
const MAX_DIRECT_RESPONSE_BYTES = 1_048_576;

/** What every route configuration of ours has. `ignorePort`: a port in the Host header does not count. */
export function routeConfig(name: string, virtualHosts: JsonObject[], ignorePort: boolean): JsonObject {
  return {
    name,
    virtualHosts,
    validateClusters: false,
    maxDirectResponseBodySizeBytes: MAX_DIRECT_RESPONSE_BYTES,
    // So that a virtual host may take back what the configuration adds for all ({@link withoutPeer}).
    mostSpecificHeaderMutationsWins: true,
    ...(ignorePort ? { ignorePortInHostMatching: true } : {}),
  };
}

/** Routes for one service behind its own loopback port: any Host is this service. */
export function serviceRouteConfig(mesh: Mesh, service: MeshService, port: number, node: ProxyNode): JsonObject {
  const name = `${service.host}:${port}`;
  const context: RouteContext = { mesh, node, gateway: MESH, port, tls: false, host: name };
  return routeConfig(name, [withoutPeer(mesh, node, withAttempts({ name, domains: ['*'], routes: serviceRoutes(context, service) }))], true);
}

/** Routes by Host of everything this proxy may see, for the Host-keyed listener. The port in the Host chooses the service's port. */
export function hostRouteConfig(mesh: Mesh, node: ProxyNode): JsonObject {
  return byHost(mesh, node, 'http_proxy', visibleServices(mesh, node), undefined);
}

/** The same of some services and of one port, which a Host then need not name. */
export function portRouteConfig(mesh: Mesh, node: ProxyNode, port: number, services: readonly MeshService[]): JsonObject {
  return byHost(mesh, node, String(port), services, port);
}

function byHost(mesh: Mesh, node: ProxyNode, name: string, services: readonly MeshService[], only: number | undefined): JsonObject {
  const taken = new Set<string>();
  const claim = (domains: string[]): string[] => domains.filter((d) => !taken.has(d) && taken.add(d));
  const context = (port: number): RouteContext => ({ mesh, node, gateway: MESH, port, tls: false });
  const hosts = services.flatMap((service) =>
    byDefaultPort(service)
      .filter((port) => port.protocol !== 'tcp' && port.protocol !== 'https' && (only === undefined || port.port === only))
      .map(({ port }, i) => ({
        name: `${service.host}:${port}`,
        domains: claim(hostDomains(service, port, node.namespace, i === 0)),
        routes: serviceRoutes(context(port), service),
      })),
  );
  const foreign = only === undefined || only === 80 ? foreignHosts(context(80)) : [];
  const others = foreign.map(({ host, routes }) => ({ name: `${host}:80`, domains: claim([host, `${host}:80`]), routes }));
  const virtualHosts = [...hosts, ...others].filter((v) => v.domains.length > 0).map((v) => withoutPeer(mesh, node, withAttempts(v)));
  return routeConfig(name, [...virtualHosts, withoutPeer(mesh, node, unknownHosts(outboundPolicy(mesh, node)))], false);
}

/** Hosts nobody knows, under Istio's names: passed on as they are or to the egress proxy, or refused. */
function unknownHosts({ mode, egressProxy }: OutboundPolicy): JsonObject & { routes: JsonObject[] } {
  const match = { prefix: '/' };
  const cluster = egressProxy === undefined ? PASSTHROUGH : clusterName(egressProxy.host, egressProxy.port, egressProxy.subset);
  return mode === 'REGISTRY_ONLY'
    ? { name: 'block_all', domains: ['*'], routes: [{ name: 'block_all', match, directResponse: { status: 502 }, metadata: serviceNamed(BLACK_HOLE) }] }
    : withAttempts({
        name: 'allow_any',
        domains: ['*'],
        routes: [{ name: 'allow_any', match, route: { cluster, timeout: '0s', maxGrpcTimeout: '0s' } }],
      });
}

/** The port a URL without one means comes first. */
function byDefaultPort({ ports, entry }: MeshService): readonly ServicePort[] {
  return entry === undefined ? ports : ports.toSorted((a, b) => Number(b.port === 80) - Number(a.port === 80));
}

/** Hosts of VirtualServices that no service has; as in Istio they are routed on port 80. */
function foreignHosts(context: RouteContext): { host: string; routes: JsonObject[] }[] {
  const { mesh, node } = context;
  const known = [...mesh.services.keys()];
  const found = new Map<string, JsonObject[]>();
  for (const vs of virtualServicesFor(mesh, MESH, node.namespace)) {
    const foreign = hostsOf(mesh, vs).filter(
      (host) => !found.has(host) && !(host.startsWith('*') ? known.some((k) => hostMatches(host, k)) : mesh.services.has(host)),
    );
    if (foreign.length === 0) continue;
    const routes = virtualServiceRoutes(context, vs);
    if (routes.length > 0) for (const host of foreign) found.set(host, routes);
  }
  return [...found].map(([host, routes]) => ({ host, routes }));
}

/** `reviews`, `reviews.bookinfo`, ..., with and without port; a bare port-less name belongs to the service's first port. */
function hostDomains(service: MeshService, port: number, clientNamespace: string, first: boolean): string[] {
  const short = [
    ...(service.namespace === clientNamespace ? [service.name] : []),
    `${service.name}.${service.namespace}.svc`,
    `${service.name}.${service.namespace}`,
  ];
  const names = [service.host, ...(service.host.includes('*') ? [] : [`${service.host}.`]), ...(service.entry === undefined ? short : [])];
  return names.flatMap((name) => [...(first ? [name] : []), `${name}:${port}`]);
}

/** What every virtual host of ours has. Nothing here is a proxy's own: its peer header stands at the route configuration ({@link peerHeader}). */
export function withAttempts<T extends JsonObject>(virtualHost: T): T & JsonObject {
  return { ...virtualHost, includeRequestAttemptCount: true };
}

/** The first VirtualService that has a route for this client; without one every request goes to the service. */
function serviceRoutes(context: RouteContext, service: MeshService): JsonObject[] {
  for (const vs of claimants(context.mesh, service.host, context.node.namespace)) {
    const routes = virtualServiceRoutes(context, vs);
    if (routes.length > 0) return routes;
  }
  return [defaultRoute(context, service, clusterName(service.host, context.port))];
}

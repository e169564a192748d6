// RDS of gateway proxies: virtual hosts of the VirtualServices bound to the servers of a port.

import type { JsonObject } from '@bufbuild/protobuf';
import { type GatewaySpec, hostMatches } from '../config/index.ts';
import { grouped, type MeshObject, type ProxyNode } from '../model/index.ts';
import type { Mesh } from './mesh.ts';
import { withoutPeer } from './peer-header.ts';
import { isCatchAll } from './route-match.ts';
import { routeConfig, withAttempts } from './routes.ts';
import { virtualServiceRoutes } from './virtual-service-routes.ts';
import { hostsOf, virtualServicesFor } from './virtual-services.ts';

export interface GatewayServer {
  gateway: MeshObject<GatewaySpec>;
  /** `<namespace>/<name>` of the Gateway, as VirtualServices bind to it. */
  key: string;
  server: GatewaySpec['servers'][number];
}

interface VirtualHost {
  routes: JsonObject[];
  requireTls: boolean;
}

/** Rules of several VirtualServices for one host are joined in their order, catch-alls last. A host without rules answers 404. */
export function gatewayRouteConfig(mesh: Mesh, node: ProxyNode, name: string, servers: readonly GatewayServer[]): JsonObject {
  const hosts = new Map<string, VirtualHost>();
  const port = servers[0]?.server.port.number ?? 0;
  // Made once per VirtualService and Gateway: the first server's port and TLS count, as in Istio.
  const routesOf = new Map<string, JsonObject[]>();
  for (const { gateway, key, server } of servers) {
    for (const vs of virtualServicesFor(mesh, key, node.namespace)) {
      const shared = commonHosts(serverHosts(server, gateway.metadata.namespace, vs.metadata.namespace), hostsOf(mesh, vs));
      if (shared.length === 0) continue;
      const id = `${key} ${vs.metadata.namespace}/${vs.metadata.name}`;
      const routes = routesOf.get(id) ?? virtualServiceRoutes({ mesh, node, gateway: key, port: server.port.number, tls: server.tls !== undefined }, vs);
      routesOf.set(id, routes);
      if (routes.length === 0) continue;
      for (const host of shared) {
        const known = hosts.get(host) ?? { routes: [], requireTls: false };
        hosts.set(host, { routes: [...known.routes, ...routes], requireTls: known.requireTls || server.tls?.httpsRedirect === true });
      }
    }
    if (server.tls?.httpsRedirect === true)
      for (const host of server.hosts.map((h) => bareHost(h).toLowerCase())) hosts.set(host, { routes: hosts.get(host)?.routes ?? [], requireTls: true });
  }
  const virtualHosts = sameRoutes(hosts).map(([domains, { routes, requireTls }]) =>
    withoutPeer(
      mesh,
      node,
      withAttempts({ name: `${domains[0]}:${port}`, domains, routes: catchAllLast(routes), ...(requireTls ? { requireTls: 'ALL' } : {}) }),
    ),
  );
  const blackHole = { name: `blackhole:${port}`, domains: ['*'], routes: [] };
  return routeConfig(name, virtualHosts.length === 0 ? [blackHole] : virtualHosts, true);
}

/** Hosts with the very same routes as one, so that routes of a VirtualService for many hosts go out once. The first names it. */
function sameRoutes(hosts: ReadonlyMap<string, VirtualHost>): [domains: string[], VirtualHost][] {
  const ids = new Map<JsonObject, number>();
  const idOf = (route: JsonObject): number => {
    if (!ids.has(route)) ids.set(route, ids.size);
    return ids.get(route) ?? 0;
  };
  const sorted = [...hosts].toSorted(([a], [b]) => bySpecificity(a, b));
  const groups = grouped(sorted, ([, { routes, requireTls }]) => `${requireTls}|${routes.map(idOf).join(',')}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first === undefined ? [] : [[group.map(([host]) => host), first[1]]];
  });
}

/** Names before wildcards, longer before shorter, then by letter. */
function bySpecificity(a: string, b: string): number {
  const wild = Number(a.startsWith('*')) - Number(b.startsWith('*'));
  return wild !== 0 ? wild : b.length - a.length || (a < b ? -1 : 1);
}

/** `*.example.com` of `ns/*.example.com`. */
export function bareHost(serverHost: string): string {
  return serverHost.slice(serverHost.indexOf('/') + 1);
}

/** Hosts of a server that VirtualServices of a namespace may use. */
export function serverHosts(server: GatewayServer['server'], gatewayNamespace: string, vsNamespace: string): string[] {
  return server.hosts
    .filter((host) => {
      const scope = host.includes('/') ? host.slice(0, host.indexOf('/')) : '*';
      return scope === '*' || vsNamespace === (scope === '.' ? gatewayNamespace : scope);
    })
    .map((host) => bareHost(host).toLowerCase());
}

/** What two lists of hosts have in common: of each overlapping pair the narrower. */
export function commonHosts(a: readonly string[], b: readonly string[]): string[] {
  return [...new Set(a.flatMap((x) => b.flatMap((y) => (hostMatches(x, y) ? [y] : hostMatches(y, x) ? [x] : []))))];
}

function catchAllLast(routes: readonly JsonObject[]): JsonObject[] {
  const last = (r: JsonObject): boolean => isCatchAll(r['match'] as JsonObject);
  return [...routes.filter((r) => !last(r)), ...routes.filter(last)];
}

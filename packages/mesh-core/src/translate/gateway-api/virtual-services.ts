// HTTPRoutes and GRPCRoutes as the VirtualServices they amount to: of Gateways, and of Services of the mesh (GAMMA).

import { type GrpcRouteSpec, type HttpRouteSpec, type MeshRouteSpec, type ReferenceGrantSpec, type VirtualServiceSpec } from '../../config/index.ts';
import { byAgeAndPath, type MeshObject, grouped } from '../../model/index.ts';
import type { Listener } from './listeners.ts';
import { attachmentsOf, hostnamesOf, isolated, meshParentsOf } from './parents.ts';
import { type HttpRoute, asHttp, bySpecificity, httpRules, withPaths } from './rules.ts';
import { ROUTE_SEMANTICS } from './semantics.ts';

export interface HttpRoutes {
  http: readonly MeshObject<MeshRouteSpec>[];
  grpc: readonly MeshObject<GrpcRouteSpec>[];
  /** By `<namespace>/<name>` of their Gateways. */
  listeners: ReadonlyMap<string, readonly Listener[]>;
  grants: readonly MeshObject<ReferenceGrantSpec>[];
  /** Of ServiceEntries, by `<namespace>/<name>`. */
  entryHosts: ReadonlyMap<string, readonly string[]>;
  /** Hosts of Services. */
  services: ReadonlySet<string>;
  domainSuffix: string;
}

interface Part {
  route: HttpRoute;
  /** Names what it is joined with: a VirtualService has one host, of one gateway or for the clients of one namespace. */
  key: string;
  host: string;
  rules: readonly HttpRouteSpec[];
  /** None: for sidecars. */
  gateway?: string;
  /** Only for clients of the route's namespace. */
  consumer?: true;
}

/** One VirtualService per gateway and host, its rules those of all routes, sorted as the Gateway API wants. */
export function httpVirtualServices(input: HttpRoutes): MeshObject<VirtualServiceSpec>[] {
  const routes = [...input.http.map(withPaths), ...input.grpc.map(asHttp)];
  const parts = routes.toSorted(byAgeAndPath).flatMap((route) => [...gatewayParts(route, input), ...meshParts(route, input)]);
  return [...grouped(parts, (p) => p.key)].flatMap(([key, list]) => {
    const [first] = list;
    if (first === undefined) return [];
    const { route, host, gateway, consumer } = first;
    const { namespace, creationTimestamp } = route.metadata;
    return [
      {
        apiVersion: route.apiVersion,
        kind: 'VirtualService',
        metadata: {
          name: key.replaceAll('/', '~'),
          namespace,
          ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
          annotations: { ...ROUTE_SEMANTICS },
        },
        spec: {
          hosts: [host],
          ...(gateway === undefined ? {} : { gateways: [gateway] }),
          http: list.flatMap((p) => p.rules).toSorted(bySpecificity),
          ...(consumer === true ? { exportTo: ['.'] } : {}),
        },
      },
    ];
  });
}

function gatewayParts(route: HttpRoute, { listeners, grants, domainSuffix }: HttpRoutes): Part[] {
  const attached = attachmentsOf(route, route.kind, listeners).filter((a) => a.denied === undefined);
  if (attached.length === 0) return [];
  const rules = httpRules(route, { domainSuffix, grants });
  const taken = new Set<string>();
  return attached.flatMap((attachment) =>
    hostnamesOf(route)
      .filter((host) => isolated(attachment, host))
      .map((host): Part => {
        const gateway = attachment.listener.key;
        return { route, key: `${gateway}/${host}`, host, rules, gateway };
      })
      .filter(({ key }) => !taken.has(key) && taken.add(key)),
  );
}

/** A route in the Service's namespace is for all clients, one in another namespace for the clients there, who then do not get the first. */
function meshParts(route: HttpRoute, input: HttpRoutes): Part[] {
  const { services, domainSuffix } = input;
  return meshParentsOf(route, input).flatMap(({ kind, hosts, port, consumer }) => {
    const rules = httpRules(route, { domainSuffix, port });
    return hosts
      .filter((host) => kind === 'ServiceEntry' || services.has(host))
      .map((host): Part => ({
        ...{ route, host, rules },
        key: [route.metadata.namespace, ...(port === undefined ? [] : [port]), host].join('/'),
        ...(consumer === undefined ? {} : { consumer }),
      }));
  });
}

// ROUTE_CONFIGURATION, VIRTUAL_HOST and HTTP_ROUTE patches.

import { type Route, RouteSchema, type VirtualHost, VirtualHostSchema } from '../../gen/envoy/config/route/v3/route_components_pb.ts';
import { type RouteConfiguration, RouteConfigurationSchema } from '../../gen/envoy/config/route/v3/route_pb.ts';
import type { ProxyNode } from '../../model/index.ts';
import { isMerge, mergePatch, patchList } from './lists.ts';
import { type Direction, type Patch, fitsContext } from './select.ts';

interface Where {
  node: ProxyNode;
  direction: Direction;
  /** Servers of the Gateways this configuration serves; absent on sidecars. */
  gateways?: readonly { key: string; port: number; portName: string }[];
}

const ACTION_OF = { ROUTE: 'route', REDIRECT: 'redirect', DIRECT_RESPONSE: 'directResponse' } as const;

/** Patches in place. */
export function patchRouteConfiguration(config: RouteConfiguration, all: readonly Patch[], where: Where): void {
  const patches = all.filter((p) => fitsContext(p.patch, where.node, where.direction) && fitsConfiguration(p, config, where));
  const of = (target: string): Patch[] => patches.filter((p) => p.patch.applyTo === target);
  for (const patch of of('ROUTE_CONFIGURATION')) if (isMerge(patch)) mergePatch(RouteConfigurationSchema, config, patch);
  patchList(config.virtualHosts, { schema: VirtualHostSchema, patches: of('VIRTUAL_HOST'), fits: fitsHost, names: (p) => vhostOf(p) !== undefined });
  const routePatches = of('HTTP_ROUTE');
  for (const host of config.virtualHosts)
    patchList(host.routes, {
      schema: RouteSchema,
      patches: routePatches.filter((p) => fitsHost(p, host)),
      fits: fitsRoute,
      names: (p) => vhostOf(p)?.route !== undefined,
    });
}

function vhostOf({ patch }: Patch) {
  return patch.match?.routeConfiguration?.vhost;
}

function fitsHost(patch: Patch, host: VirtualHost): boolean {
  const { name = '', domainName = '' } = vhostOf(patch) ?? {};
  return (name === '' || name === host.name) && (domainName === '' || host.domains.includes(domainName));
}

function fitsRoute(patch: Patch, route: Route): boolean {
  const { name = '', action = 'ANY' } = vhostOf(patch)?.route ?? {};
  return (name === '' || name === route.name) && (action === 'ANY' || route.action.case === ACTION_OF[action]);
}

function fitsConfiguration({ patch }: Patch, config: RouteConfiguration, { gateways }: Where): boolean {
  const match = patch.match?.routeConfiguration;
  if (match === undefined) return true;
  const { name = '', gateway = '', portName = '', portNumber } = match;
  // Istio's inbound names end in bars, and its outbound ones are the port alone: Weft's are `<host>:<port>`.
  const port = Number(/(?:^|[.:|])(\d+)(?:$|[.|])/.exec(config.name)?.[1] ?? 0);
  if (name !== '' && name !== config.name && name.replace(/\|+$/, '') !== config.name && name !== String(port)) return false;
  if (gateways === undefined) return gateway === '' && portName === '' && (portNumber === undefined || portNumber === port);
  return gateways.some(
    (g) => (gateway === '' || g.key === gateway) && (portName === '' || g.portName === portName) && (portNumber === undefined || g.port === portNumber),
  );
}

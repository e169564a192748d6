// The rules of one VirtualService as Envoy routes, for one client behind one port.

import type { JsonObject } from '@bufbuild/protobuf';
import { type HttpMatchSpec, type HttpRouteSpec, type VirtualServiceSpec, gatewayKey, matches } from '../config/index.ts';
import { type MeshObject, configPath } from '../model/index.ts';
import { any, without } from './common.ts';
import { isGatewayApi } from './gateway-api/semantics.ts';
import { hashOfService, hashPolicies } from './hash-policy.ts';
import { isIngress } from './ingress.ts';
import type { MeshService } from './mesh.ts';
import { retryPolicy } from './retry-policy.ts';
import { routeAction, timeouts } from './route-action.ts';
import type { RouteContext } from './route-context.ts';
import { isCatchAll, routeMatch } from './route-match.ts';
import { cors, faultFilter, headerOperations, joinOperations } from './route-parts.ts';

type VirtualService = MeshObject<VirtualServiceSpec>;

/** The routes that can apply to this client behind this port, in order; empty when none can. */
export function virtualServiceRoutes(context: RouteContext, vs: VirtualService): JsonObject[] {
  const routes: JsonObject[] = [];
  for (const [i, rule] of (vs.spec.http ?? []).entries()) {
    const list: (HttpMatchSpec | undefined)[] = (rule.match ?? []).length === 0 ? [undefined] : (rule.match ?? []);
    for (const match of list) {
      if (match !== undefined && !appliesHere(context, vs, match)) continue;
      const route = httpRoute(context, vs, i, rule, match);
      routes.push(route);
      // Nothing after a catch-all is ever reached.
      if (isCatchAll(route['match'] as JsonObject)) return routes;
    }
  }
  return routes;
}

/** The one route of a service that no VirtualService routes. */
export function defaultRoute(context: RouteContext, service: MeshService, cluster: string): JsonObject {
  return {
    name: 'default',
    match: { prefix: '/' },
    route: without({
      cluster,
      ...timeouts(context, undefined),
      retryPolicy: retryPolicy(undefined, false),
      hostRewriteLiteral: context.host,
      ...hashPolicies([hashOfService(context, service.host)]),
    }),
    decorator: { operation: `${service.host}:${context.port}/*` },
    metadata: { filterMetadata: { istio: { config: configPath('Service', service.namespace, service.name), route: 'default' } } },
  };
}

/** The parts of a match that are decided by who asks; gateways named in it replace the checks of the source. */
function appliesHere({ node, gateway, port }: RouteContext, vs: VirtualService, match: HttpMatchSpec): boolean {
  if (match.port !== undefined && match.port !== port) return false;
  if (match.gateways !== undefined && match.gateways.length > 0) return match.gateways.some((name) => gatewayKey(name, vs.metadata.namespace) === gateway);
  // Labels are read only where they decide: proxies that differ in what is not read share a table.
  return (match.sourceLabels === undefined || matches(node.labels, match.sourceLabels)) && (!match.sourceNamespace || match.sourceNamespace === node.namespace);
}

function httpRoute(context: RouteContext, vs: VirtualService, index: number, rule: HttpRouteSpec, match: HttpMatchSpec | undefined): JsonObject {
  const { name: vsName, namespace } = vs.metadata;
  const name = (rule.name ?? '') + (match?.name ? `.${match.name}` : '');
  const gatewayApi = isGatewayApi(vs);
  const envoyMatch = routeMatch(match, { segments: gatewayApi || isIngress(vs) });
  const { action, headers } = routeAction(context, namespace, rule);
  const forward = action['route'];
  const missing = gatewayApi && forward !== undefined ? { route: { ...(forward as JsonObject), clusterNotFoundResponseCode: 'INTERNAL_SERVER_ERROR' } } : {};
  return without({
    name,
    match: envoyMatch,
    ...action,
    ...missing,
    ...joinOperations(headerOperations(rule.headers), headers),
    typedPerFilterConfig: filterConfig(context, rule),
    statPrefix: match?.statPrefix || undefined,
    decorator: { operation: operation(action, envoyMatch, vsName, context.port) },
    metadata: {
      filterMetadata: {
        istio: { config: configPath('VirtualService', namespace, vsName), route: name === '' ? `http[${index}]` : name },
      },
    },
  });
}

function filterConfig({ node }: RouteContext, { fault, corsPolicy }: HttpRouteSpec): JsonObject | undefined {
  const filters = {
    ...(fault === undefined ? {} : { 'envoy.filters.http.fault': any('envoy.extensions.filters.http.fault.v3.HTTPFault', faultFilter(fault)) }),
    // gRPC's own clients have no CORS filter and refuse what they do not know.
    ...(corsPolicy === undefined || node.dataPlane === 'grpc'
      ? {}
      : { 'envoy.filters.http.cors': any('envoy.extensions.filters.http.cors.v3.CorsPolicy', cors(corsPolicy)) }),
  };
  return Object.keys(filters).length === 0 ? undefined : filters;
}

/** Span name: host, port and path pattern; with several destinations the VirtualService stands for the host. */
function operation(action: JsonObject, match: JsonObject, vsName: string, port: number): string {
  const { path, prefix, safeRegex } = match as { path?: string; prefix?: string; safeRegex?: { regex: string } };
  const pattern = path ?? safeRegex?.regex ?? (prefix === undefined ? '/*' : `${prefix}*`);
  const { cluster } = (action['route'] ?? {}) as { cluster?: string };
  const [, clusterPort, , host] = cluster?.split('|') ?? [];
  return host === undefined ? `${vsName}:${port}${pattern}` : `${host}:${clusterPort}${pattern}`;
}

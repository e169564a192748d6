// A route configuration compiled: virtual hosts to look up, routes to test in order, and everything a request needs once chosen.

import {
  compileRegexRewrite,
  compileRetryOn,
  compileRouteMatch,
  compileVirtualHosts,
  compileWeightedChoice,
  pathWithoutQuery,
  rewritePrefix,
  type RequestView,
  type RetryDecider,
  type RoutePredicate,
  type VirtualHostTable,
  type WeightedChoice,
} from '@weft/mesh-core/traffic';
import type { ForwardAction, HeaderOps, Route, RouteConfig, VirtualHost } from '../config/model.ts';
import { filterFactories } from './filters/all.ts';
import { compileFilters, type RouteFilterFactory, type RouteFilters } from './filters/chain.ts';
import { compileHeaderOps, type CompiledHeaderOps } from './header-ops.ts';

export interface Target {
  cluster: string;
  weight: number;
  hostRewrite: string | undefined;
  requestHeaders: CompiledHeaderOps;
  responseHeaders: CompiledHeaderOps;
}

export interface CompiledRoute {
  config: Route;
  matches: RoutePredicate;
  forward: CompiledForward | undefined;
  responseHeaders: CompiledHeaderOps;
  /** Undefined = none. */
  filters: RouteFilters | undefined;
}

export interface CompiledForward {
  action: ForwardAction;
  targets: WeightedChoice<Target>;
  rewritePath(path: string): string;
  retry: RetryDecider | undefined;
}

export interface CompiledVirtualHost {
  name: string;
  domains: readonly string[];
  requireTls: boolean;
  routes: readonly CompiledRoute[];
}

export interface RouteTable {
  name: string;
  hosts: VirtualHostTable<CompiledVirtualHost>;
}

/** Where a listener finds its routes; RDS fills it. A request reads `table` once. */
export interface RouteSlot {
  table: RouteTable | undefined;
}

/** @throws RegexError */
export function compileRouteTable(config: RouteConfig, factories: readonly RouteFilterFactory[] = filterFactories): RouteTable {
  const hosts = config.virtualHosts.map((host) => ({
    name: host.name,
    domains: host.domains,
    requireTls: host.requireTls,
    routes: host.routes.map((route) => compileRoute(route, host, compileFilters(route, host, factories))),
  }));
  return { name: config.name, hosts: compileVirtualHosts(hosts, config.ignorePort) };
}

const noHeaders: HeaderOps = { add: [], remove: [] };
const toHttps: CompiledRoute = {
  config: {
    name: '',
    match: { path: { kind: 'prefix', value: '/' }, caseSensitive: true, headers: [], query: [] },
    action: { kind: 'redirect', status: 301, scheme: 'https', stripQuery: false },
    requestHeaders: noHeaders,
    responseHeaders: noHeaders,
    metadata: {},
    operation: '',
  },
  matches: () => true,
  forward: undefined,
  responseHeaders: compileHeaderOps([]),
  filters: undefined,
};

/** First route of the host that matches. */
export function findRoute(host: CompiledVirtualHost, request: RequestView): CompiledRoute | undefined {
  if (host.requireTls && request.scheme !== 'https') return toHttps;
  for (const route of host.routes) if (route.matches(request)) return route;
  return undefined;
}

function compileRoute(route: Route, host: VirtualHost, filters: RouteFilters | undefined): CompiledRoute {
  const matches = compileRouteMatch(route.match);
  const responseHeaders = compileHeaderOps([route.responseHeaders, host.responseHeaders]);
  const { action } = route;
  if (action.kind !== 'forward') return { config: route, matches, forward: undefined, responseHeaders, filters };
  const levels = (own: HeaderOps, ofRoute: HeaderOps, ofHost: HeaderOps): CompiledHeaderOps => compileHeaderOps([own, ofRoute, ofHost]);
  const targets = action.clusters.map((cluster) => ({
    cluster: cluster.name,
    weight: action.clusters.length === 1 ? Math.max(cluster.weight, 1) : cluster.weight,
    // Istio: a rewrite on the route beats the destination's.
    hostRewrite: action.hostRewrite ?? cluster.hostRewrite,
    requestHeaders: levels(cluster.requestHeaders, route.requestHeaders, host.requestHeaders),
    responseHeaders: levels(cluster.responseHeaders, route.responseHeaders, host.responseHeaders),
  }));
  return {
    config: route,
    matches,
    responseHeaders,
    filters,
    forward: {
      action,
      targets: compileWeightedChoice(targets),
      rewritePath: pathRewriter(route, action),
      retry: action.retry === undefined || action.retry.retries === 0 ? undefined : compileRetryOn(action.retry.on, action.retry.statusCodes),
    },
  };
}

function pathRewriter(route: Route, action: ForwardAction): (path: string) => string {
  const { regexRewrite, prefixRewrite } = action;
  if (regexRewrite !== undefined) return compileRegexRewrite(regexRewrite.pattern, regexRewrite.substitution);
  if (prefixRewrite === undefined || prefixRewrite === '') return (path) => path;
  // What a regex matches is the whole path.
  if (route.match.path.kind === 'regex') return (path) => rewritePrefix(path, pathWithoutQuery(path).length, prefixRewrite);
  const matched = route.match.path.value.length;
  return (path) => rewritePrefix(path, matched, prefixRewrite);
}

// A route configuration compiled: virtual hosts to look up, routes to test in order, and everything a request needs once chosen.

import { oncePer } from '@weft/mesh-core/model';
import {
  compileHeaderMatch,
  compileHashPolicies,
  compileRegexRewrite,
  compileRegexRewriteText,
  compileRetry,
  compileRouteMatch,
  compileVirtualHosts,
  compileWeightedChoice,
  pathWithoutQuery,
  requestTimeouts,
  rewritePrefix,
  type RequestHash,
  type RequestView,
  type RetryRules,
  type RoutePredicate,
  type Timeouts,
  type TimeoutSpec,
  type VirtualHostTable,
  type WeightedChoice,
} from '@weft/mesh-core/traffic';
import type { ForwardAction, HeaderOps, HostRewrite, RedirectAction, Route, RouteConfig, VirtualHost, WeightedCluster } from '../config/model.ts';
import { filterFactories } from './filters/all.ts';
import { compileFilters, type RouteFilterFactory, type RouteFilters } from './filters/chain.ts';
import { compileHeaderOps, type CompiledHeaderOps } from './header-ops.ts';
import { compileRedirect, type RedirectLocation } from './redirect.ts';

export interface Target {
  /** '' = what the route's `clusterHeader` names. */
  cluster: string;
  weight: number;
  host: HostOf | undefined;
  /** The upstream is told the Host there was: where the route rewrites it, not where a destination does (as Envoy). */
  tellsHost: boolean;
  requestHeaders: CompiledHeaderOps;
  responseHeaders: CompiledHeaderOps;
}

/** Host for the upstream; undefined = the request's own, 'endpoint' = the name of the endpoint chosen. */
export type HostOf = (request: RequestView) => string | undefined | typeof endpointHost;
export const endpointHost: unique symbol = Symbol('endpoint host');

export interface CompiledRoute {
  config: Route;
  host: VirtualHostOptions;
  matches: RoutePredicate;
  forward: CompiledForward | undefined;
  redirect: RedirectLocation | undefined;
  /** Body of a direct response as latin1. */
  body: string;
  responseHeaders: CompiledHeaderOps;
  /** Undefined = none. */
  filters: RouteFilters | undefined;
}

/** What routes inherit from their host. */
export type VirtualHostOptions = Pick<VirtualHost, 'attemptCount' | 'attemptCountInResponse' | 'timeoutRetryHeader'>;

export interface CompiledForward {
  action: ForwardAction;
  targets: WeightedChoice<Target>;
  /** Undefined = the path goes as it came. */
  rewritePath: ((path: string) => string | undefined) | undefined;
  retry: RetryRules | undefined;
  /** Whether this request may be tried again at all; undefined = any. */
  retriable: ((request: RequestView) => boolean) | undefined;
  hash: RequestHash | undefined;
  /** For requests that say nothing themselves, and for those that do. */
  timeouts: Timeouts;
  timeoutSpec: TimeoutSpec;
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
  /** Undefined = none. */
  internalOnlyHeaders: ReadonlySet<string> | undefined;
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
    routes: host.routes.map((route) => compileRoute(route, host, config, compileFilters(route, host, factories))),
  }));
  return {
    name: config.name,
    hosts: compileVirtualHosts(hosts, config.ignorePort),
    internalOnlyHeaders: config.internalOnlyHeaders.length === 0 ? undefined : new Set(config.internalOnlyHeaders),
  };
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
    filters: {},
  },
  host: { attemptCount: false, attemptCountInResponse: false, timeoutRetryHeader: false },
  matches: () => true,
  forward: undefined,
  redirect: (request) => `https://${request.authority.replace(/:80$/, '')}${request.path}`,
  body: '',
  responseHeaders: compileHeaderOps([]),
  filters: undefined,
};

/** First route of the host that matches. `random` in [0, 1) for routes that only take a share; `came`: by what protocol. */
export function findRoute(host: CompiledVirtualHost, request: RequestView, random: () => number, came: string): CompiledRoute | undefined {
  if (host.requireTls && came !== 'https') return toHttps;
  for (const route of host.routes) if (route.matches(request, random)) return route;
  return undefined;
}

function compileRoute(route: Route, host: VirtualHost, config: RouteConfig, filters: RouteFilters | undefined): CompiledRoute {
  const { action } = route;
  const levels = (side: 'request' | 'response', own?: WeightedCluster): CompiledHeaderOps => {
    const key = side === 'request' ? 'requestHeaders' : 'responseHeaders';
    const up = [route[key], host[key], config[key]];
    // A destination's come first in either order (as in Envoy).
    return compileHeaderOps([...(own === undefined ? [] : [own[key]]), ...(config.mostSpecificHeadersWin ? up.toReversed() : up)], side);
  };
  return {
    config: route,
    host,
    matches: compileRouteMatch(route.match),
    forward: action.kind === 'forward' ? compileForward(action, route, levels) : undefined,
    redirect: action.kind === 'redirect' ? compileRedirect(action, route.match) : leadsHere(action) ? compileRedirect(toItself, route.match) : undefined,
    body: action.kind === 'direct-response' ? Buffer.from(action.body).toString('latin1') : '',
    responseHeaders: levels('response'),
    filters,
  };
}

const toItself: RedirectAction = { kind: 'redirect', status: 0, stripQuery: false };

/** Of what it answers itself Envoy tells the place where the status has one: it is the one that was asked for. */
function leadsHere(action: Route['action']): boolean {
  return action.kind === 'direct-response' && (action.status === 201 || (action.status >= 300 && action.status < 400));
}

const retryRules = oncePer(compileRetry);

function compileForward(
  action: ForwardAction,
  route: Route,
  levels: (side: 'request' | 'response', own: WeightedCluster) => CompiledHeaderOps,
): CompiledForward {
  const { retry } = action;
  const ofRoute = compileHost(action.hostRewrite);
  const targets = action.clusters.map((cluster) => ({
    cluster: cluster.name,
    weight: action.clusters.length === 1 ? Math.max(cluster.weight, 1) : cluster.weight,
    // Istio: a rewrite on the route beats the destination's.
    host: ofRoute ?? (cluster.hostRewrite === undefined ? undefined : compileHost({ kind: 'literal', host: cluster.hostRewrite })),
    tellsHost: ofRoute !== undefined,
    requestHeaders: levels('request', cluster),
    responseHeaders: levels('response', cluster),
  }));
  const { timeoutMs, maxGrpcTimeoutMs, grpcTimeoutOffsetMs, hedgeOnPerTryTimeout } = action;
  const timeoutSpec: TimeoutSpec = { timeoutMs, maxGrpcTimeoutMs, grpcTimeoutOffsetMs, hedgeOnPerTryTimeout, perTryTimeoutMs: retry?.perTryTimeoutMs ?? 0 };
  const requestHeaders = retry?.requestHeaders.map(compileHeaderMatch) ?? [];
  return {
    action,
    targets: compileWeightedChoice(targets),
    rewritePath: pathRewriter(route, action),
    retry: retry === undefined ? undefined : retryRules(retry),
    retriable: requestHeaders.length === 0 ? undefined : (request) => requestHeaders.some((matches) => matches(request)),
    hash: compileHashPolicies(action.hashPolicies),
    timeouts: requestTimeouts(timeoutSpec, { get: () => undefined }, false, undefined),
    timeoutSpec,
  };
}

function compileHost(rewrite: HostRewrite | undefined): HostOf | undefined {
  switch (rewrite?.kind) {
    case undefined:
      return undefined;
    case 'literal':
      return () => rewrite.host;
    case 'header':
      return (request) => request.get(rewrite.name);
    case 'path-regex': {
      const replace = compileRegexRewriteText(rewrite.rewrite.pattern, rewrite.rewrite.substitution);
      return (request) => replace(pathWithoutQuery(request.path));
    }
    case 'auto':
      return () => endpointHost;
  }
}

function pathRewriter(route: Route, action: ForwardAction): CompiledForward['rewritePath'] {
  const { regexRewrite, prefixRewrite } = action;
  if (regexRewrite !== undefined) return compileRegexRewrite(regexRewrite.pattern, regexRewrite.substitution);
  if (prefixRewrite === undefined || prefixRewrite === '') return undefined;
  // What a regex matches is the whole path.
  if (route.match.path.kind === 'regex') return (path) => rewritePrefix(path, pathWithoutQuery(path).length, prefixRewrite);
  const matched = route.match.path.value.length;
  return (path) => rewritePrefix(path, matched, prefixRewrite);
}

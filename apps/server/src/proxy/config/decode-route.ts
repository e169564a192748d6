// RouteConfiguration.

import { decodeHeaderOps, decodeMetadata } from './decode-common.ts';
import { decodeRetry } from './decode-retry.ts';
import { decodeAction, decodeHedge, decodeMirrors, type RouteDefaults } from './decode-route-action.ts';
import { decodeRouteFilters } from './decode-route-filters.ts';
import { decodeMatch } from './decode-route-match.ts';
import type { Fields } from './fields.ts';
import type { Route, RouteConfig, RouteFilterConfig, VirtualHost } from './model.ts';

export function decodeRouteConfigFields(fields: Fields): RouteConfig {
  const filters = decodeRouteFilters(fields, {});
  const mirrors = decodeMirrors(fields);
  const config = {
    name: fields.text('name'),
    virtualHosts: fields.list('virtualHosts').map((host) => decodeVirtualHost(host, filters, mirrors)),
    ignorePort: fields.flag('ignorePortInHostMatching'),
    requestHeaders: decodeHeaderOps(fields, 'request'),
    responseHeaders: decodeHeaderOps(fields, 'response'),
    mostSpecificHeadersWin: fields.flag('mostSpecificHeaderMutationsWins'),
    internalOnlyHeaders: fields.texts('internalOnlyHeaders').map((name) => name.toLowerCase()),
  };
  fields.ignore('validateClusters', 'maxDirectResponseBodySizeBytes', 'metadata');
  fields.end();
  return config;
}

function decodeVirtualHost(fields: Fields, inheritedFilters: RouteFilterConfig, inheritedMirrors: RouteDefaults['mirrors']): VirtualHost {
  const filters = decodeRouteFilters(fields, inheritedFilters);
  const retry = fields.object('retryPolicy');
  const mirrors = decodeMirrors(fields);
  const defaults: RouteDefaults = {
    ...(retry === undefined ? {} : { retry: decodeRetry(retry) }),
    hedgeOnPerTryTimeout: decodeHedge(fields) ?? false,
    mirrors: mirrors.length > 0 ? mirrors : inheritedMirrors,
  };
  const requireTls = fields.text('requireTls', 'NONE');
  if (requireTls === 'EXTERNAL_ONLY') fields.problem('requireTls', 'EXTERNAL_ONLY is not supported');
  const host = {
    name: fields.text('name'),
    domains: fields.texts('domains'),
    routes: fields.list('routes').map((route) => decodeRoute(route, filters, defaults)),
    requestHeaders: decodeHeaderOps(fields, 'request'),
    responseHeaders: decodeHeaderOps(fields, 'response'),
    requireTls: requireTls === 'ALL',
    attemptCount: fields.flag('includeRequestAttemptCount'),
    attemptCountInResponse: fields.flag('includeAttemptCountInResponse'),
    timeoutRetryHeader: fields.flag('includeIsTimeoutRetryHeader'),
  };
  // Virtual clusters only name statistics.
  fields.ignore('virtualClusters', 'metadata');
  fields.end();
  return host;
}

function decodeRoute(fields: Fields, inherited: RouteFilterConfig, defaults: RouteDefaults): Route {
  const decorator = fields.object('decorator');
  const route = {
    name: fields.text('name'),
    match: decodeMatch(fields.object('match')),
    action: decodeAction(fields, defaults),
    requestHeaders: decodeHeaderOps(fields, 'request'),
    responseHeaders: decodeHeaderOps(fields, 'response'),
    metadata: decodeMetadata(fields),
    operation: decorator?.text('operation') ?? '',
    filters: decodeRouteFilters(fields, inherited),
  };
  fields.ignore('statPrefix');
  fields.end();
  return route;
}

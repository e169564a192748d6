// RouteConfiguration.

import { decodeHeaderOps, decodeMetadata, decodeStringMatch } from './decode-common.ts';
import type { Fields } from './fields.ts';
import type {
  DirectResponseAction,
  ForwardAction,
  HashPolicy,
  HeaderMatch,
  HeaderOps,
  RedirectAction,
  RetryPolicy,
  Route,
  RouteConfig,
  RouteMatch,
  VirtualHost,
  WeightedCluster,
} from './model.ts';

const STATUS_OF_REDIRECT: Readonly<Record<string, number>> = {
  MOVED_PERMANENTLY: 301,
  FOUND: 302,
  SEE_OTHER: 303,
  TEMPORARY_REDIRECT: 307,
  PERMANENT_REDIRECT: 308,
};
/** Envoy's route timeout where none is set. */
const DEFAULT_TIMEOUT_MS = 15_000;

export function decodeRouteConfigFields(fields: Fields): RouteConfig {
  const request = decodeHeaderOps(fields, 'request');
  const response = decodeHeaderOps(fields, 'response');
  const virtualHosts = fields.list('virtualHosts').map(decodeVirtualHost);
  // The configuration's own operations are Envoy's last, so they stand behind each virtual host's.
  for (const host of virtualHosts) {
    host.requestHeaders = then(host.requestHeaders, request);
    host.responseHeaders = then(host.responseHeaders, response);
  }
  const config = {
    name: fields.text('name'),
    virtualHosts,
    ignorePort: fields.flag('ignorePortInHostMatching'),
  };
  fields.ignore('validateClusters', 'maxDirectResponseBodySizeBytes');
  fields.end();
  return config;
}

/** Both operations in one: what the second removes, the first need not add. */
function then(first: HeaderOps, second: HeaderOps): HeaderOps {
  return {
    add: [...first.add.filter((header) => !second.remove.includes(header.name)), ...second.add],
    remove: [...first.remove, ...second.remove],
  };
}

function decodeVirtualHost(fields: Fields): VirtualHost {
  const host = {
    name: fields.text('name'),
    domains: fields.texts('domains'),
    routes: fields.list('routes').map(decodeRoute),
    requestHeaders: decodeHeaderOps(fields, 'request'),
    responseHeaders: decodeHeaderOps(fields, 'response'),
    requireTls: fields.text('requireTls') === 'ALL',
  };
  // The attempt count header is always sent.
  fields.ignore('includeRequestAttemptCount');
  fields.end();
  return host;
}

function decodeRoute(fields: Fields): Route {
  const decorator = fields.object('decorator');
  const route = {
    name: fields.text('name'),
    match: decodeMatch(fields.object('match')),
    action: decodeAction(fields),
    requestHeaders: decodeHeaderOps(fields, 'request'),
    responseHeaders: decodeHeaderOps(fields, 'response'),
    metadata: decodeMetadata(fields),
    operation: decorator?.text('operation') ?? '',
  };
  fields.ignore('statPrefix');
  fields.end();
  return route;
}

function decodeMatch(fields: Fields | undefined): RouteMatch {
  if (fields === undefined) return { path: { kind: 'prefix', value: '/' }, caseSensitive: true, headers: [], query: [] };
  const path: RouteMatch['path'] = fields.has('path')
    ? { kind: 'exact', value: fields.text('path') }
    : fields.has('safeRegex')
      ? { kind: 'regex', value: fields.object('safeRegex')?.text('regex') ?? '' }
      : fields.has('pathSeparatedPrefix')
        ? { kind: 'path-separated-prefix', value: fields.text('pathSeparatedPrefix') }
        : { kind: 'prefix', value: fields.text('prefix', '/') };
  const match = {
    path,
    caseSensitive: fields.flag('caseSensitive', true),
    headers: fields.list('headers').map(decodeHeaderMatch),
    query: fields.list('queryParameters').map((q) => {
      const string = q.object('stringMatch');
      q.ignore('presentMatch');
      return { name: q.text('name'), match: string === undefined ? ('present' as const) : decodeStringMatch(string) };
    }),
  };
  fields.end();
  return match;
}

function decodeHeaderMatch(fields: Fields): HeaderMatch {
  const string = fields.object('stringMatch');
  const match: HeaderMatch = {
    name: fields.text('name').toLowerCase(),
    match: string === undefined ? (fields.flag('presentMatch', true) ? 'present' : 'absent') : decodeStringMatch(string),
    invert: fields.flag('invertMatch'),
    treatMissingAsEmpty: fields.flag('treatMissingHeaderAsEmpty'),
  };
  fields.end();
  return match;
}

function decodeAction(fields: Fields): ForwardAction | RedirectAction | DirectResponseAction {
  const redirect = fields.object('redirect');
  if (redirect !== undefined) return decodeRedirect(redirect);
  const direct = fields.object('directResponse');
  if (direct !== undefined) {
    const body = direct.object('body');
    const inline = body?.text('inlineString') ?? '';
    const bytes = body?.text('inlineBytes') ?? '';
    const action: DirectResponseAction = {
      kind: 'direct-response',
      status: direct.number('status'),
      body: bytes === '' ? new TextEncoder().encode(inline) : Uint8Array.from(Buffer.from(bytes, 'base64')),
    };
    body?.end();
    direct.end();
    return action;
  }
  const route = fields.object('route');
  if (route === undefined) {
    fields.problem('action', 'a route needs one of route, redirect, directResponse');
    return { kind: 'direct-response', status: 404, body: new Uint8Array() };
  }
  return decodeForward(route);
}

function decodeRedirect(fields: Fields): RedirectAction {
  const path = fields.text('pathRedirect');
  const host = fields.text('hostRedirect');
  const scheme = fields.flag('httpsRedirect') ? 'https' : fields.text('schemeRedirect');
  const port = fields.number('portRedirect');
  const prefixRewrite = fields.text('prefixRewrite');
  const action: RedirectAction = {
    kind: 'redirect',
    status: STATUS_OF_REDIRECT[fields.text('responseCode', 'MOVED_PERMANENTLY')] ?? 301,
    ...(scheme === '' ? {} : { scheme }),
    ...(host === '' ? {} : { host }),
    ...(port === 0 ? {} : { port }),
    ...(path === '' ? {} : { path }),
    ...(prefixRewrite === '' ? {} : { prefixRewrite }),
    stripQuery: fields.flag('stripQuery'),
  };
  fields.end();
  return action;
}

function decodeForward(fields: Fields): ForwardAction {
  const weighted = fields.object('weightedClusters');
  const clusters = weighted?.list('clusters').map(decodeWeighted) ?? [
    { name: fields.text('cluster'), weight: 1, requestHeaders: { add: [], remove: [] }, responseHeaders: { add: [], remove: [] } },
  ];
  weighted?.ignore('totalWeight');
  weighted?.end();
  const retry = fields.object('retryPolicy');
  const hostRewrite = fields.text('hostRewriteLiteral');
  const prefixRewrite = fields.text('prefixRewrite');
  const regex = fields.object('regexRewrite');
  const duration = fields.object('maxStreamDuration');
  const grpcMax = duration?.has('grpcTimeoutHeaderMax') === true ? duration.ms('grpcTimeoutHeaderMax') : fields.ms('maxGrpcTimeout', -1);
  if ((duration?.ms('maxStreamDuration') ?? 0) > 0) duration?.problem('maxStreamDuration', 'this proxy cannot do it');
  duration?.end();
  const action: ForwardAction = {
    kind: 'forward',
    clusters,
    timeoutMs: fields.ms('timeout', DEFAULT_TIMEOUT_MS),
    ...(grpcMax < 0 ? {} : { maxGrpcTimeoutMs: grpcMax }),
    idleTimeoutMs: fields.ms('idleTimeout'),
    ...(retry === undefined ? {} : { retry: decodeRetry(retry) }),
    ...(hostRewrite === '' ? {} : { hostRewrite }),
    ...(prefixRewrite === '' ? {} : { prefixRewrite }),
    ...(regex === undefined ? {} : { regexRewrite: { pattern: regex.object('pattern')?.text('regex') ?? '', substitution: regex.text('substitution') } }),
    hashPolicies: fields.list('hashPolicy').map(decodeHash),
    mirrors: fields.list('requestMirrorPolicies').map((m) => {
      const fraction = m.object('runtimeFraction')?.object('defaultValue');
      const per = { HUNDRED: 1, TEN_THOUSAND: 100, MILLION: 10_000 }[fraction?.text('denominator', 'HUNDRED') ?? 'HUNDRED'] ?? 1;
      const mirror = { cluster: m.text('cluster'), percent: fraction === undefined ? 100 : fraction.number('numerator') / per };
      // No `-shadow` is ever appended to the Host.
      m.ignore('traceSampled', 'disableShadowHostSuffixAppend');
      m.end();
      return mirror;
    }),
  };
  fields.ignore('maxGrpcTimeout', 'clusterNotFoundResponseCode', 'autoHostRewrite');
  fields.end();
  return action;
}

function decodeWeighted(fields: Fields): WeightedCluster {
  const hostRewrite = fields.text('hostRewriteLiteral');
  const cluster = {
    name: fields.text('name'),
    weight: fields.number('weight'),
    requestHeaders: decodeHeaderOps(fields, 'request'),
    responseHeaders: decodeHeaderOps(fields, 'response'),
    ...(hostRewrite === '' ? {} : { hostRewrite }),
  };
  fields.end();
  return cluster;
}

function decodeRetry(fields: Fields): RetryPolicy {
  const backOff = fields.object('retryBackOff');
  const baseIntervalMs = backOff?.ms('baseInterval') ?? 25;
  const avoid = fields.list('retryHostPredicate').some((p) => p.text('name') === 'envoy.retry_host_predicates.previous_hosts');
  const policy: RetryPolicy = {
    on: fields
      .text('retryOn')
      .split(',')
      .filter((w) => w !== ''),
    statusCodes: fields.texts('retriableStatusCodes').map(Number),
    retries: fields.number('numRetries', 1),
    perTryTimeoutMs: fields.ms('perTryTimeout'),
    perTryIdleTimeoutMs: fields.ms('perTryIdleTimeout'),
    baseIntervalMs,
    maxIntervalMs: backOff?.ms('maxInterval', baseIntervalMs * 10) ?? baseIntervalMs * 10,
    avoidPreviousHosts: avoid,
    hostSelectionAttempts: fields.number('hostSelectionRetryMaxAttempts', 1),
  };
  fields.end();
  return policy;
}

function decodeHash(fields: Fields): HashPolicy {
  const terminal = fields.flag('terminal');
  const header = fields.object('header');
  if (header !== undefined) return { kind: 'header', name: header.text('headerName').toLowerCase(), terminal };
  const cookie = fields.object('cookie');
  if (cookie !== undefined)
    return { kind: 'cookie', name: cookie.text('name'), path: cookie.text('path'), ...(cookie.has('ttl') ? { ttlMs: cookie.ms('ttl') } : {}), terminal };
  const query = fields.object('queryParameter');
  if (query !== undefined) return { kind: 'query', name: query.text('name'), terminal };
  return { kind: 'source-ip', terminal };
}

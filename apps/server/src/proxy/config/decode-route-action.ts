// What routes do with a request: forward, redirect, answer.

import type { HashPolicySpec } from '@weft/mesh-core/traffic';
import { decodeHeaderOps, decodeUpgrades } from './decode-common.ts';
import { decodeRuntimeFraction } from './decode-fraction.ts';
import { decodeRetry } from './decode-retry.ts';
import { decodeRegexRewrite } from './decode-route-match.ts';
import type { Fields } from './fields.ts';
import type { DirectResponseAction, ForwardAction, HostRewrite, Mirror, RedirectAction, RetryPolicy, Route, WeightedCluster } from './model.ts';

/** What a virtual host gives the routes that say nothing themselves. */
export interface RouteDefaults {
  retry?: RetryPolicy;
  hedgeOnPerTryTimeout: boolean;
  mirrors: readonly Mirror[];
}

const STATUS_OF_REDIRECT: Readonly<Record<string, number>> = {
  MOVED_PERMANENTLY: 301,
  FOUND: 302,
  SEE_OTHER: 303,
  TEMPORARY_REDIRECT: 307,
  PERMANENT_REDIRECT: 308,
};
const STATUS_OF_NO_CLUSTER: Readonly<Record<string, number>> = { SERVICE_UNAVAILABLE: 503, NOT_FOUND: 404, INTERNAL_SERVER_ERROR: 500 };
/** Envoy's route timeout where none is set. */
const DEFAULT_TIMEOUT_MS = 15_000;
const noOps = { add: [], remove: [] };

export function decodeAction(fields: Fields, defaults: RouteDefaults): Route['action'] {
  const redirect = fields.object('redirect');
  if (redirect !== undefined) return decodeRedirect(redirect);
  const direct = fields.object('directResponse');
  if (direct !== undefined) return decodeDirectResponse(direct);
  const route = fields.object('route');
  if (route !== undefined) return decodeForward(route, defaults);
  fields.problem('action', 'a route needs one of route, redirect, directResponse');
  return { kind: 'direct-response', status: 404, body: new Uint8Array() };
}

function decodeDirectResponse(fields: Fields): DirectResponseAction {
  const body = fields.object('body');
  const inline = body?.text('inlineString') ?? '';
  const bytes = body?.text('inlineBytes') ?? '';
  const action: DirectResponseAction = {
    kind: 'direct-response',
    status: fields.number('status'),
    body: bytes === '' ? new TextEncoder().encode(inline) : Uint8Array.from(Buffer.from(bytes, 'base64')),
  };
  body?.end();
  fields.end();
  return action;
}

function decodeRedirect(fields: Fields): RedirectAction {
  const path = fields.octets('pathRedirect');
  const host = fields.text('hostRedirect');
  const scheme = fields.flag('httpsRedirect') ? 'https' : fields.text('schemeRedirect');
  const port = fields.number('portRedirect');
  const prefixRewrite = fields.octets('prefixRewrite');
  const regex = fields.object('regexRewrite');
  const action: RedirectAction = {
    kind: 'redirect',
    status: STATUS_OF_REDIRECT[fields.text('responseCode', 'MOVED_PERMANENTLY')] ?? 301,
    ...(scheme === '' ? {} : { scheme: scheme.toLowerCase() }),
    ...(host === '' ? {} : { host }),
    ...(port === 0 ? {} : { port }),
    ...(path === '' ? {} : { path }),
    ...(prefixRewrite === '' ? {} : { prefixRewrite }),
    ...(regex === undefined ? {} : { regexRewrite: decodeRegexRewrite(regex) }),
    stripQuery: fields.flag('stripQuery'),
  };
  fields.end();
  return action;
}

function decodeForward(fields: Fields, defaults: RouteDefaults): ForwardAction {
  const weighted = fields.object('weightedClusters');
  const clusters = weighted?.list('clusters').map(decodeWeighted) ?? [
    { name: fields.text('cluster'), weight: 1, requestHeaders: noOps, responseHeaders: noOps },
  ];
  const weightHeader = weighted?.text('headerName') ?? '';
  weighted?.ignore('totalWeight', 'runtimeKeyPrefix');
  weighted?.end();
  const clusterHeader = fields.text('clusterHeader').toLowerCase();
  const retry = fields.object('retryPolicy');
  const hedge = decodeHedge(fields);
  const hostRewrite = decodeHostRewrite(fields);
  const prefixRewrite = fields.octets('prefixRewrite');
  const regex = fields.object('regexRewrite');
  const ownRetry = retry === undefined ? defaults.retry : decodeRetry(retry);
  const mirrors = decodeMirrors(fields);
  const action: ForwardAction = {
    kind: 'forward',
    clusters,
    ...(clusterHeader === '' ? {} : { clusterHeader }),
    ...(weightHeader === '' ? {} : { weightHeader: weightHeader.toLowerCase() }),
    clusterNotFoundStatus: STATUS_OF_NO_CLUSTER[fields.text('clusterNotFoundResponseCode')] ?? 503,
    ...decodeTimeouts(fields),
    ...(fields.has('idleTimeout') ? { idleTimeoutMs: fields.ms('idleTimeout') } : {}),
    ...(ownRetry === undefined ? {} : { retry: ownRetry }),
    hedgeOnPerTryTimeout: hedge ?? defaults.hedgeOnPerTryTimeout,
    ...(hostRewrite === undefined ? {} : { hostRewrite }),
    appendForwardedHost: fields.flag('appendXForwardedHost'),
    ...(prefixRewrite === '' ? {} : { prefixRewrite }),
    ...(regex === undefined ? {} : { regexRewrite: decodeRegexRewrite(regex) }),
    hashPolicies: fields.list('hashPolicy').flatMap(decodeHash),
    mirrors: mirrors.length > 0 ? mirrors : defaults.mirrors,
    ...(fields.has('upgradeConfigs') ? { upgrades: decodeUpgrades(fields) } : {}),
    ...decodeInternalRedirect(fields.object('internalRedirectPolicy')),
  };
  if (fields.text('priority', 'DEFAULT') !== 'DEFAULT') fields.problem('priority', 'only DEFAULT is supported');
  fields.end();
  return action;
}

/** Predicates and headers to copy are refused. */
function decodeInternalRedirect(policy: Fields | undefined): Pick<ForwardAction, 'internalRedirect'> {
  if (policy === undefined) return {};
  const codes = policy.texts('redirectResponseCodes').map(Number);
  const internalRedirect = {
    max: policy.number('maxInternalRedirects', 1),
    // Envoy leaves others out.
    statuses: new Set(codes.length === 0 ? [302] : codes.filter((code) => [301, 302, 303, 307, 308].includes(code))),
    crossScheme: policy.flag('allowCrossSchemeRedirect'),
  };
  policy.end();
  return { internalRedirect };
}

function decodeTimeouts(
  fields: Fields,
): Pick<ForwardAction, 'timeoutMs' | 'maxGrpcTimeoutMs' | 'grpcTimeoutOffsetMs' | 'maxStreamDurationMs' | 'grpcStreamDuration'> {
  const duration = fields.object('maxStreamDuration');
  if (duration === undefined)
    return {
      timeoutMs: fields.ms('timeout', DEFAULT_TIMEOUT_MS),
      ...(fields.has('maxGrpcTimeout') ? { maxGrpcTimeoutMs: fields.ms('maxGrpcTimeout') } : {}),
      ...(fields.has('grpcTimeoutOffset') ? { grpcTimeoutOffsetMs: fields.ms('grpcTimeoutOffset') } : {}),
    };
  // With it, the route timeout is off (as Envoy).
  fields.ignore('timeout', 'maxGrpcTimeout', 'grpcTimeoutOffset');
  const times = {
    timeoutMs: 0,
    ...(duration.has('maxStreamDuration') ? { maxStreamDurationMs: duration.ms('maxStreamDuration') } : {}),
    ...(duration.has('grpcTimeoutHeaderMax')
      ? { grpcStreamDuration: { maxMs: duration.ms('grpcTimeoutHeaderMax'), offsetMs: duration.ms('grpcTimeoutHeaderOffset') } }
      : {}),
  };
  duration.ignore('grpcTimeoutHeaderOffset');
  duration.end();
  return times;
}

function decodeHostRewrite(fields: Fields): HostRewrite | undefined {
  const literal = fields.text('hostRewriteLiteral');
  if (literal !== '') return { kind: 'literal', host: literal };
  const name = fields.text('hostRewriteHeader');
  if (name !== '') return { kind: 'header', name: name.toLowerCase() };
  const regex = fields.object('hostRewritePathRegex');
  if (regex !== undefined) return { kind: 'path-regex', rewrite: decodeRegexRewrite(regex) };
  return fields.flag('autoHostRewrite') ? { kind: 'auto' } : undefined;
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

/** Undefined = the level says nothing. Only hedging on a per-try timeout exists, in Envoy too. */
export function decodeHedge(fields: Fields): boolean | undefined {
  const policy = fields.object('hedgePolicy');
  if (policy === undefined) return undefined;
  const hedge = policy.flag('hedgeOnPerTryTimeout');
  // Read by Envoy and never used.
  policy.ignore('initialRequests', 'additionalRequestChance');
  policy.end();
  return hedge;
}

export function decodeMirrors(fields: Fields): Mirror[] {
  return fields.list('requestMirrorPolicies').map((policy) => {
    const clusterHeader = policy.text('clusterHeader').toLowerCase();
    const mirror = {
      cluster: policy.text('cluster'),
      ...(clusterHeader === '' ? {} : { clusterHeader }),
      fraction: decodeRuntimeFraction(policy.object('runtimeFraction'), { numerator: 100, of: 100 }),
      shadowSuffix: !policy.flag('disableShadowHostSuffixAppend'),
      traceSampled: policy.flag('traceSampled', true),
    };
    policy.end();
    return mirror;
  });
}

function decodeHash(fields: Fields): HashPolicySpec[] {
  const terminal = fields.flag('terminal');
  const header = fields.object('header');
  const cookie = fields.object('cookie');
  const query = fields.object('queryParameter');
  const connection = fields.object('connectionProperties');
  fields.end();
  if (header !== undefined) {
    const rewrite = header.object('regexRewrite');
    const policy = { kind: 'header' as const, name: header.text('headerName').toLowerCase(), terminal };
    header.end();
    return [{ ...policy, ...(rewrite === undefined ? {} : { rewrite: decodeRegexRewrite(rewrite) }) }];
  }
  if (cookie !== undefined) {
    const policy = {
      kind: 'cookie' as const,
      name: cookie.text('name'),
      path: cookie.text('path'),
      ...(cookie.has('ttl') ? { ttlMs: cookie.ms('ttl') } : {}),
      attributes: cookie.list('attributes').map((attribute) => ({ name: attribute.text('name'), value: attribute.text('value') })),
      terminal,
    };
    cookie.ignore('ttl');
    cookie.end();
    return [policy];
  }
  if (query !== undefined) return [{ kind: 'query', name: query.text('name'), terminal }];
  // Without `source_ip` the connection has no other property to hash.
  return connection?.flag('sourceIp') === true ? [{ kind: 'source-ip', terminal }] : [];
}

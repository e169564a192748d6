// What `typed_per_filter_config` says of the HTTP filters this proxy has, merged from route configuration, host and route.

import type { Fraction } from '@weft/mesh-core/traffic';
import { decodeHeaderList, decodeHttpStatus, decodeStringMatch } from './decode-common.ts';
import { decodeFraction, decodeRuntimeFraction } from './decode-fraction.ts';
import { decodeRouteExtAuthz, EXT_AUTHZ_PER_ROUTE } from './decode-ext-authz.ts';
import { decodeRbac } from './decode-rbac.ts';
import { decodeHeaderMatch } from './decode-route-match.ts';
import type { Fields } from './fields.ts';
import type { RouteExtAuthz } from './ext-authz-model.ts';
import type { RouteFilterConfig } from './model.ts';
import type { RbacFilterConfig } from './rbac-model.ts';

type Decoder = (fields: Fields) => RouteFilterConfig;
const always: Fraction = { numerator: 100, of: 100 };
const never: Fraction = { numerator: 0, of: 100 };

const DECODERS: Readonly<Record<string, Decoder>> = {
  'envoy.extensions.filters.http.fault.v3.HTTPFault': decodeFault,
  'envoy.extensions.filters.http.cors.v3.CorsPolicy': decodeCors,
  'envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit': decodeLocalRateLimit,
};

const KINDS: Readonly<Record<string, keyof RouteFilterConfig>> = {
  'envoy.filters.http.fault': 'fault',
  'envoy.filters.http.cors': 'cors',
  'envoy.filters.http.local_ratelimit': 'localRateLimit',
};

const EXT_AUTHZ = 'envoy.filters.http.ext_authz';
const RBAC = 'envoy.filters.http.rbac';
const RBAC_PER_ROUTE = 'envoy.extensions.filters.http.rbac.v3.RBACPerRoute';

/** Without a configuration the filter is off here. */
function decodeRouteRbac(outer: Fields | undefined, config: Fields | undefined): RbacFilterConfig | 'off' {
  if (outer?.type() === 'envoy.config.route.v3.FilterConfig' && outer.flag('disabled')) return 'off';
  const rbac = config?.object('rbac');
  if (config !== undefined && config.type() !== RBAC_PER_ROUTE) outer?.problem('config', `${config.type()} is no configuration of this filter`);
  config?.end();
  return rbac === undefined ? 'off' : decodeRbac(rbac, 'http');
}

/** The same of external authorization, which also says so itself. */
function decodeRouteCheck(outer: Fields | undefined, config: Fields | undefined, before: RouteExtAuthz | 'off' | undefined): RouteExtAuthz | 'off' {
  if (outer?.type() === 'envoy.config.route.v3.FilterConfig' && outer.flag('disabled')) return 'off';
  if (config === undefined || config.type() !== EXT_AUTHZ_PER_ROUTE) {
    outer?.problem('config', `${config?.type() ?? 'nothing'} is no configuration of this filter`);
    return 'off';
  }
  return decodeRouteExtAuthz(config, before === 'off' ? undefined : before) ?? 'off';
}

/** `inherited` is what the level above says; the most specific level replaces a filter's configuration as a whole. */
export function decodeRouteFilters(fields: Fields, inherited: RouteFilterConfig): RouteFilterConfig {
  const map = fields.object('typedPerFilterConfig');
  if (map === undefined) return inherited;
  const merged: RouteFilterConfig = { ...inherited };
  for (const name of map.keys()) {
    const outer = map.object(name);
    const wrapped = outer?.type() === 'envoy.config.route.v3.FilterConfig';
    const kind = KINDS[name];
    if (wrapped && kind !== undefined && outer.flag('disabled')) {
      delete merged[kind];
      continue;
    }
    const config = wrapped ? outer.object('config') : outer;
    const decode = DECODERS[config?.type() ?? ''];
    if (config?.type() === RBAC_PER_ROUTE || (wrapped && name === RBAC)) merged.rbac = { ...merged.rbac, [name]: decodeRouteRbac(outer, config) };
    else if (config?.type() === EXT_AUTHZ_PER_ROUTE || (wrapped && name === EXT_AUTHZ))
      merged.extAuthz = { ...merged.extAuthz, [name]: decodeRouteCheck(outer, config, merged.extAuthz?.[name]) };
    else if (config === undefined || decode === undefined) map.problem(`"${name}"`, `${config?.type() || 'an empty config'} is not supported on routes`);
    else Object.assign(merged, decode(config));
  }
  return merged;
}

function decodeFault(fields: Fields): RouteFilterConfig {
  const delay = fields.object('delay');
  const abort = fields.object('abort');
  const chance = (of: Fields): Fraction => decodeFraction(of.object('percentage'), never);
  const fault = {
    headers: fields.list('headers').map(decodeHeaderMatch),
    ...(delay === undefined
      ? {}
      : {
          delay: delay.has('headerDelay')
            ? { kind: 'header' as const, chance: chance(delay) }
            : { kind: 'fixed' as const, ms: delay.ms('fixedDelay'), chance: chance(delay) },
        }),
    ...(abort === undefined
      ? {}
      : {
          abort: abort.has('headerAbort')
            ? { kind: 'header' as const, chance: chance(abort) }
            : abort.has('grpcStatus')
              ? { kind: 'grpc' as const, status: abort.number('grpcStatus'), chance: chance(abort) }
              : { kind: 'http' as const, status: abort.number('httpStatus'), chance: chance(abort) },
        }),
    ...(fields.has('maxActiveFaults') ? { maxActive: fields.number('maxActiveFaults') } : {}),
  };
  delay?.ignore('headerDelay');
  delay?.end();
  abort?.ignore('headerAbort');
  abort?.end();
  fields.ignore(
    'delayPercentRuntime',
    'abortPercentRuntime',
    'delayDurationRuntime',
    'abortHttpStatusRuntime',
    'abortGrpcStatusRuntime',
    'maxActiveFaultsRuntime',
    'responseRateLimitPercentRuntime',
    'disableDownstreamClusterStats',
  );
  fields.end();
  return { fault };
}

function decodeCors(fields: Fields): RouteFilterConfig {
  const cors = {
    allowOrigins: fields.list('allowOriginStringMatch').map((origin) => decodeStringMatch(origin, 'octets')),
    allowMethods: fields.text('allowMethods'),
    allowHeaders: fields.text('allowHeaders'),
    exposeHeaders: fields.text('exposeHeaders'),
    maxAge: fields.text('maxAge'),
    allowCredentials: fields.flag('allowCredentials'),
    allowPrivateNetwork: fields.flag('allowPrivateNetworkAccess'),
    forwardNotMatchingPreflights: fields.flag('forwardNotMatchingPreflights', true),
    enabled: decodeRuntimeFraction(fields.object('filterEnabled'), always),
  };
  // Shadow mode only counts, and nobody reads that count here.
  fields.ignore('shadowEnabled');
  fields.end();
  return { cors };
}

function decodeLocalRateLimit(fields: Fields): RouteFilterConfig {
  const bucket = fields.object('tokenBucket');
  const code = decodeHttpStatus(fields.object('status'), 429);
  const localRateLimit = {
    bucket: {
      maxTokens: bucket?.number('maxTokens') ?? 0,
      tokensPerFill: bucket?.number('tokensPerFill', 1) ?? 1,
      fillIntervalMs: bucket?.ms('fillInterval') ?? 0,
    },
    perConnection: fields.flag('localRateLimitPerDownstreamConnection'),
    // Off unless said otherwise, both of them (as Envoy).
    enabled: decodeRuntimeFraction(fields.object('filterEnabled'), never),
    enforced: decodeRuntimeFraction(fields.object('filterEnforced'), never),
    status: code < 400 ? 429 : code,
    grpcResourceExhausted: fields.flag('rateLimitedAsResourceExhausted'),
    rateLimitHeaders: fields.text('enableXRatelimitHeaders') === 'DRAFT_VERSION_03',
    responseHeaders: { add: decodeHeaderList(fields, 'responseHeadersToAdd'), remove: [] },
    requestHeadersWhenNotEnforced: { add: decodeHeaderList(fields, 'requestHeadersToAddWhenNotEnforced'), remove: [] },
  };
  if (bucket !== undefined && localRateLimit.bucket.fillIntervalMs < 50) fields.problem('tokenBucket.fillInterval', 'must be at least 50 ms');
  bucket?.end();
  // Descriptors come from rate limit actions of routes, which are refused; the rest only concerns them.
  fields.ignore('statPrefix', 'stage', 'vhRateLimits', 'alwaysConsumeDefaultTokenBucket');
  fields.end();
  return bucket === undefined ? {} : { localRateLimit };
}

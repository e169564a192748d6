import { fromJson, toBinary, type JsonObject } from '@bufbuild/protobuf';
import { ListenerSchema } from '@weft/mesh-core/gen/envoy/config/listener/v3/listener_pb';
import { RouteConfigurationSchema } from '@weft/mesh-core/gen/envoy/config/route/v3/route_pb';
import { registry } from '@weft/mesh-core/translate';
import { expect, test } from 'vitest';
import { DecodeError, decodeListener, decodeRouteConfig } from './decode.ts';
import type { Route } from './model.ts';

const encode = (json: JsonObject): Uint8Array => toBinary(RouteConfigurationSchema, fromJson(RouteConfigurationSchema, json, { registry }));
const problems = (decode: () => unknown): readonly string[] => {
  try {
    decode();
    return [];
  } catch (error) {
    return (error as DecodeError).problems;
  }
};
const config = (route: JsonObject, host: JsonObject = {}, rest: JsonObject = {}): JsonObject => ({
  ...{ name: 'r', virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, ...route }], ...host }] },
  ...rest,
});
const decodeRoute = (...parts: Parameters<typeof config>): Route => {
  const [route] = decodeRouteConfig(encode(config(...parts)), 'r').virtualHosts[0]?.routes ?? [];
  if (route === undefined) throw new Error('no route');
  return route;
};
const FAULT = 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault';
const abort = (httpStatus: number): JsonObject => ({
  'envoy.filters.http.fault': { '@type': FAULT, abort: { httpStatus, percentage: { numerator: 5, denominator: 'TEN_THOUSAND' } } },
});
const faultOf = (route: Route) => route.filters.fault?.abort;

test('filters: the most specific level counts, and may switch a filter off', () => {
  const route = { cluster: 'c' };
  expect(faultOf(decodeRoute({ route, typedPerFilterConfig: abort(501) }, { typedPerFilterConfig: abort(502) }))).toEqual({
    kind: 'http',
    status: 501,
    chance: { numerator: 5, of: 10_000 },
  });
  expect(faultOf(decodeRoute({ route }, { typedPerFilterConfig: abort(502) }, { typedPerFilterConfig: abort(503) }))).toMatchObject({ status: 502 });
  expect(faultOf(decodeRoute({ route }, {}, { typedPerFilterConfig: abort(503) }))).toMatchObject({ status: 503 });
  const off = { 'envoy.filters.http.fault': { '@type': 'type.googleapis.com/envoy.config.route.v3.FilterConfig', disabled: true, config: {} } };
  expect(faultOf(decodeRoute({ route, typedPerFilterConfig: off }, { typedPerFilterConfig: abort(502) }))).toBeUndefined();
});

test('a host gives retries, hedging and mirrors to routes that have none', () => {
  const host = {
    retryPolicy: { retryOn: '5xx', numRetries: 4 },
    hedgePolicy: { hedgeOnPerTryTimeout: true },
    requestMirrorPolicies: [{ cluster: 'm', runtimeFraction: { defaultValue: { numerator: 7 } } }],
  };
  expect(decodeRoute({ route: { cluster: 'c' } }, host).action).toMatchObject({
    retry: { on: ['5xx'], retries: 4, baseIntervalMs: 25, maxIntervalMs: 250 },
    hedgeOnPerTryTimeout: true,
    mirrors: [{ cluster: 'm', fraction: { numerator: 7, of: 100 }, shadowSuffix: true }],
  });
  expect(decodeRoute({ route: { cluster: 'c', retryPolicy: { retryOn: 'reset' } } }, host).action).toMatchObject({ retry: { on: ['reset'], retries: 1 } });
});

test('times: the default, none, and what a stream duration does to the route timeout', () => {
  expect(decodeRoute({ route: { cluster: 'c' } }).action).toMatchObject({ timeoutMs: 15_000 });
  expect(decodeRoute({ route: { cluster: 'c', timeout: '0s', maxGrpcTimeout: '3s', idleTimeout: '0s' } }).action).toMatchObject({
    timeoutMs: 0,
    maxGrpcTimeoutMs: 3000,
    idleTimeoutMs: 0,
  });
  const duration = { maxStreamDuration: '4s', grpcTimeoutHeaderMax: '0s', grpcTimeoutHeaderOffset: '0.5s' };
  expect(decodeRoute({ route: { cluster: 'c', timeout: '9s', maxStreamDuration: duration } }).action).toMatchObject({
    timeoutMs: 0,
    maxStreamDurationMs: 4000,
    grpcStreamDuration: { maxMs: 0, offsetMs: 500 },
  });
});

test('matches: ranges, old spellings, gRPC, certificates, shares', () => {
  const match = {
    prefix: '/',
    headers: [
      { name: 'X-N', rangeMatch: { start: '1', end: '5' }, invertMatch: true },
      { name: 'x-p', presentMatch: false },
    ],
    queryParameters: [{ name: 'q', presentMatch: false }],
    grpc: {},
    tlsContext: { presented: true },
    runtimeFraction: { defaultValue: { numerator: 3, denominator: 'MILLION' } },
  };
  expect(decodeRoute({ match, route: { cluster: 'c' } }).match).toEqual({
    path: { kind: 'prefix', value: '/' },
    caseSensitive: true,
    headers: [
      { name: 'x-n', match: { kind: 'range', start: 1, end: 5 }, invert: true, treatMissingAsEmpty: false },
      { name: 'x-p', match: 'absent', invert: false, treatMissingAsEmpty: false },
    ],
    query: [{ name: 'q', match: 'absent' }],
    grpc: true,
    tls: { presented: true },
    fraction: { numerator: 3, of: 1_000_000 },
  });
});

test('what it cannot do is refused with the path of the field', () => {
  const refused = (...parts: Parameters<typeof config>): readonly string[] => problems(() => decodeRouteConfig(encode(config(...parts)), 'r'));
  const at = 'r.virtualHosts[0].routes[0]';
  const predicates = [{ name: 'p' }];
  expect(refused({ route: { cluster: 'c', internalRedirectPolicy: { predicates } } })).toEqual([
    `${at}.route.internalRedirectPolicy.predicates: this proxy cannot do it`,
  ]);
  expect(refused({ route: { cluster: 'c' }, requestHeadersToAdd: [{ header: { key: 'a', value: '%NOPE(x)%' } }] })).toEqual([
    `${at}.requestHeadersToAdd[0].header.value: the command operator %NOPE(x)% is not supported`,
  ]);
  expect(refused({ match: { connectMatcher: {} }, route: { cluster: 'c' } })).toEqual([`${at}.match.connectMatcher: this proxy cannot do it`]);
  expect(refused({ route: { cluster: 'c', retryPolicy: { retryPriority: { name: 'other' } } } })).toEqual([
    `${at}.route.retryPolicy.retryPriority.name: other is not supported`,
  ]);
  expect(refused({ route: { cluster: 'c' }, typedPerFilterConfig: { x: { '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster' } } })).toEqual([
    `${at}.typedPerFilterConfig."x": envoy.config.cluster.v3.Cluster is not supported on routes`,
  ]);
  expect(refused({ route: { cluster: 'c' }, typedPerFilterConfig: { f: { '@type': FAULT, responseRateLimit: { fixedLimit: { limitKbps: '1' } } } } })).toEqual([
    `${at}.typedPerFilterConfig.f.responseRateLimit: this proxy cannot do it`,
  ]);
});

test('managers: path rules, limits, internal addresses; filters in the one order', () => {
  const listener = (manager: JsonObject): Uint8Array => {
    const typedConfig = { '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', ...manager };
    return toBinary(ListenerSchema, fromJson(ListenerSchema, { name: 'l', filterChains: [{ filters: [{ name: 'h', typedConfig }] }] }, { registry }));
  };
  const filter = (name: string, type: string): JsonObject => ({ name, typedConfig: { '@type': `type.googleapis.com/envoy.extensions.filters.http.${type}` } });
  const fault = filter('f', 'fault.v3.HTTPFault');
  const cors = filter('c', 'cors.v3.Cors');
  const web = filter('w', 'grpc_web.v3.GrpcWeb');
  const base = {
    rds: { routeConfigName: 'r', configSource: { ads: {} } },
    normalizePath: true,
    mergeSlashes: true,
    pathWithEscapedSlashesAction: 'REJECT_REQUEST',
    requestTimeout: '5s',
    requestHeadersTimeout: '3s',
    commonHttpProtocolOptions: { maxStreamDuration: '7s', maxConnectionDuration: '60s' },
    internalAddressConfig: { cidrRanges: [{ addressPrefix: '10.0.0.0', prefixLen: 8 }] },
  };
  expect(decodeListener(listener({ ...base, httpFilters: [web, fault, cors] }), 'l').chains[0]?.http).toMatchObject({
    path: { normalize: true, mergeSlashes: true, escapedSlashes: 'reject' },
    ...{ requestTimeoutMs: 5000, requestHeadersTimeoutMs: 3000, maxStreamDurationMs: 7000, maxConnectionDurationMs: 60_000 },
    internalAddresses: [{ address: '10.0.0.0', prefixLength: 8 }],
    filters: [{ kind: 'grpc-web' }, { kind: 'fault' }, { kind: 'cors' }],
  });
  for (const httpFilters of [
    [cors, fault],
    [fault, web],
  ])
    expect(problems(() => decodeListener(listener({ ...base, httpFilters }), 'l'))).toEqual([
      expect.stringMatching(/typedConfig\.httpFilters: .* in this order only$/),
    ]);
});

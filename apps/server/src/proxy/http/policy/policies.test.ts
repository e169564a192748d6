// Policies of routes and connection managers over real sockets. What is expected was taken from Envoy 1.40.

import { request, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { ForwardAction, HeaderAddition, HttpConnectionManager, RedirectAction, RetryPolicy, Route, RouteConfig, VirtualHost } from '../../config/model.ts';
import {
  chain,
  cluster,
  endpoint,
  exchangeRaw,
  listener,
  manager,
  outlierRules,
  route,
  routes,
  startRaw,
  startRig,
  virtualHost,
  type Rig,
} from '../../listener/testing/rig.ts';
import type { ClusterStats } from '../hooks.ts';
import { startApp } from '../../listener/testing/app.ts';

interface Setup {
  routes?: readonly Route[];
  host?: Partial<VirtualHost>;
  config?: Partial<RouteConfig>;
  manager?: Partial<HttpConnectionManager>;
  clusters?: ReturnType<typeof cluster>[];
}

async function serve(setup: Setup): Promise<Rig> {
  const rig = await startRig({
    listener: listener({ chains: [chain({ http: manager(setup.manager) })] }),
    routes: { ...routes([]), virtualHosts: [virtualHost({ routes: setup.routes ?? [route({})], ...setup.host })], ...setup.config },
    clusters: setup.clusters ?? [],
  });
  onTestFinished(() => rig.close());
  return rig;
}

/** Answers with the head it got, as JSON. */
const echo: RequestListener = (incoming, response) =>
  void response.end(JSON.stringify({ method: incoming.method, url: incoming.url, headers: incoming.headersDistinct }));

interface Echo {
  url: string;
  headers: Record<string, string[]>;
}

interface Answer {
  status: number;
  body: string;
  headers: IncomingMessage['headers'];
}

function ask(port: number, path = '/', options: { method?: string; headers?: Record<string, string>; body?: string } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', path, method: options.method ?? 'GET', headers: options.headers ?? {} }, (response) => {
      let body = '';
      response.setEncoding('latin1').on('data', (part: string) => (body += part));
      response.on('error', reject).on('end', () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }));
    });
    sent.on('error', reject).end(options.body);
  });
}

const all = { numerator: 100, of: 100 };
const add = (name: string, value: string, action: HeaderAddition['action'] = 'append'): HeaderAddition => ({ name, value, action, keepEmpty: false });
const ops = (list: HeaderAddition[], remove: string[] = []) => ({ add: list, remove });
const retry = (overrides: Partial<RetryPolicy>): RetryPolicy => ({
  on: ['5xx'],
  statusCodes: [],
  retries: 1,
  retriableHeaders: [],
  requestHeaders: [],
  perTryTimeoutMs: 0,
  perTryIdleTimeoutMs: 0,
  baseIntervalMs: 1,
  maxIntervalMs: 10,
  avoidPreviousHosts: false,
  hostSelectionAttempts: 1,
  ...overrides,
});

test('headers: four levels, most specific first, each action, values that name headers changed before', async () => {
  const up = await startApp(echo);
  const own = ops(
    [
      add('x-route', 'rt'),
      add('x-lvl', 'route'),
      add('x-ow', 'o', 'overwrite-if-exists'),
      add('x-abs', 'o', 'add-if-absent'),
      add('x-empty', '%REQ(nope)%'),
      add('x-ren', '%REQ(x-old)%'),
    ],
    ['x-old'],
  );
  const weighted = {
    name: 'app',
    weight: 1,
    requestHeaders: ops([add('x-lvl', 'cluster')]),
    responseHeaders: ops([add('x-flags', '%RESPONSE_CODE% %RESP(x-up)%|%PROTOCOL%')]),
  };
  const setup = (config: Partial<RouteConfig>): Setup => ({
    clusters: [cluster([up])],
    routes: [route({ clusters: [weighted] }, { requestHeaders: own, name: 'r' })],
    host: { requestHeaders: ops([add('x-lvl', 'vhost')]) },
    config: { requestHeaders: ops([add('x-lvl', 'global'), add('x-seen', '%REQ(x-route)%')]), ...config },
  });
  const rig = await serve(setup({}));
  const first = await ask(rig.port, '/', { headers: { 'x-old': 'old', 'x-ow': '1', 'x-abs': '1' } });
  expect(first.headers['x-flags']).toBe('200 |HTTP/1.1');
  expect((JSON.parse(first.body) as Echo).headers).toMatchObject({
    'x-lvl': ['cluster', 'route', 'vhost', 'global'],
    'x-ow': ['o'],
    'x-abs': ['1'],
    'x-seen': ['rt'],
  });
  const { headers } = JSON.parse((await ask(rig.port)).body) as Echo;
  expect(headers).toMatchObject({ 'x-abs': ['o'], 'x-route': ['rt'] });
  expect(['x-ow', 'x-empty', 'x-ren', 'x-old'].filter((name) => headers[name] !== undefined)).toEqual([]);
  const turned = await serve(setup({ mostSpecificHeadersWin: true }));
  expect((JSON.parse((await ask(turned.port)).body) as Echo).headers['x-lvl']).toEqual(['cluster', 'global', 'vhost', 'route']);
});

test.each<[string, Partial<ForwardAction>, string, Record<string, string>, string, Record<string, string>]>([
  [
    'regex',
    { regexRewrite: { pattern: '^/rx/(.)', substitution: '/y/\\1' } },
    '/rx/abc?d=/rx/e',
    {},
    '/y/abc?d=/rx/e',
    { 'x-envoy-original-path': '/rx/abc?d=/rx/e' },
  ],
  [
    'literal host, told to the upstream',
    { hostRewrite: { kind: 'literal', host: 'lit' }, appendForwardedHost: true },
    '/',
    {},
    '/',
    { host: 'lit', 'x-envoy-original-host': 'h', 'x-forwarded-host': 'h' },
  ],
  ['host from a header', { hostRewrite: { kind: 'header', name: 'x-h' } }, '/', { 'x-h': 'hh' }, '/', { host: 'hh', 'x-envoy-original-host': 'h' }],
  ['a regex that does not match', { regexRewrite: { pattern: '^/rx/', substitution: '/' } }, '/ry', {}, '/ry', { 'x-envoy-original-path': '/ry' }],
  ['no such header', { hostRewrite: { kind: 'header', name: 'x-h' } }, '/', {}, '/', { host: 'h' }],
  [
    'host from the path',
    { hostRewrite: { kind: 'path-regex', rewrite: { pattern: '^/([^/]+)/.*', substitution: '\\1' } } },
    '/my/x',
    {},
    '/my/x',
    { host: 'my' },
  ],
])('rewrite: %s', async (_, action, path, headers, url, expected) => {
  const up = await startApp(echo);
  const rig = await serve({ clusters: [cluster([up])], routes: [route(action)] });
  const seen = JSON.parse((await ask(rig.port, path, { headers: { host: 'h', ...headers } })).body) as Echo;
  expect(seen.url).toBe(url);
  expect(Object.fromEntries(Object.entries(seen.headers).map(([name, values]) => [name, values[0]]))).toMatchObject(expected);
});

test('an automatic host is the name of the endpoint', async () => {
  const up = await startApp(echo);
  const named = cluster([up]);
  for (const locality of named.endpoints?.localities ?? []) for (const endpoint of locality.endpoints) Object.assign(endpoint, { hostname: 'ep.host' });
  const rig = await serve({ clusters: [named], routes: [route({ hostRewrite: { kind: 'auto' } })] });
  expect((JSON.parse((await ask(rig.port)).body) as Echo).headers['host']).toEqual(['ep.host']);
});

const redirect = (action: Partial<RedirectAction>): RedirectAction => ({ kind: 'redirect', status: 301, stripQuery: false, ...action });
test.each<[RedirectAction, string, string, string]>([
  [redirect({ prefixRewrite: '/new', status: 302 }), 'h', '/redir/x?y=1', 'http://h/new/x?y=1'],
  [redirect({ scheme: 'https' }), 'h:80', '/redir/a', 'https://h/redir/a'],
  [redirect({ scheme: 'https' }), 'h:8080', '/redir/a', 'https://h:8080/redir/a'],
  [redirect({ port: 8443 }), 'h:8080', '/redir', 'http://h:8443/redir'],
  [redirect({ scheme: 'https', port: 443 }), 'h', '/redir', 'https://h:443/redir'],
  [redirect({ host: 'other:81', scheme: 'https' }), 'h', '/redir', 'https://other:81/redir'],
  [redirect({ regexRewrite: { pattern: '/redir/(.*)', substitution: '/n/\\1' } }), 'h', '/redir/a/b?z=1', 'http://h/n/a/b?z=1'],
  [redirect({ path: '/p?x=1', stripQuery: true }), 'h', '/redir?z=1', 'http://h/p?x=1'],
])('redirect %o of %s%s', async (action, host, path, location) => {
  const rig = await serve({ routes: [route(action, { match: { path: { kind: 'prefix', value: '/redir' }, caseSensitive: true, headers: [], query: [] } })] });
  const answer = await ask(rig.port, path, { headers: { host } });
  expect([answer.status, answer.headers.location]).toEqual([action.status, location]);
});

test('paths are judged and forwarded in one form, refused or redirected', async () => {
  const up = await startApp(echo);
  const rig = await serve({ clusters: [cluster([up])], manager: { path: { normalize: true, mergeSlashes: true, escapedSlashes: 'redirect' } } });
  expect((JSON.parse((await ask(rig.port, '//a/../b/./c')).body) as Echo).url).toBe('/b/c');
  const moved = await ask(rig.port, '/a%2fb');
  expect([moved.status, moved.headers.location]).toEqual([307, '/a/b']);
  expect((await ask(rig.port, '/a%00b')).status).toBe(400);
  expect(rig.records.map((record) => record.details)).toEqual(['via_upstream', 'path_normalization_failed', 'path_normalization_failed']);
});

test('clusters by header, by a number in a header, and none', async () => {
  const [a, b] = await Promise.all([startApp((_, response) => response.end('a')), startApp((_, response) => response.end('b'))]);
  const none = ops([]);
  const target = (name: string) => ({ name, weight: 50, requestHeaders: none, responseHeaders: none });
  const rig = await serve({
    clusters: [cluster([a], { name: 'a' }), cluster([b], { name: 'b' })],
    routes: [
      route(
        { clusters: [target('')], clusterHeader: 'x-cluster', clusterNotFoundStatus: 404 },
        { match: { path: { kind: 'prefix', value: '/h' }, caseSensitive: true, headers: [], query: [] } },
      ),
      route({ clusters: [target('a'), target('b')], weightHeader: 'x-w' }),
    ],
  });
  const get = async (path: string, headers: Record<string, string>): Promise<string> => (await ask(rig.port, path, { headers })).body;
  expect([await get('/h', { 'x-cluster': 'b' }), await get('/w', { 'x-w': '10' }), await get('/w', { 'x-w': '160' })]).toEqual(['b', 'a', 'b']);
  expect((await ask(rig.port, '/h', { headers: { 'x-cluster': 'c' } })).status).toBe(404);
  expect(rig.records.at(-1)).toMatchObject({ responseFlags: 'NC', details: 'cluster_not_found' });
});

test('only internal requests steer: outside, the headers are taken away', async () => {
  let tries = 0;
  const up = await startApp((incoming, response) => {
    tries++;
    response.statusCode = 500;
    response.end(JSON.stringify(incoming.headersDistinct));
  });
  const headers = { 'x-envoy-max-retries': '2', 'x-envoy-retry-on': '5xx', 'x-envoy-upstream-rq-timeout-ms': '3000', 'x-envoy-foo': '1' };
  const outside = await serve({ clusters: [cluster([up])] });
  const seen = JSON.parse((await ask(outside.port, '/', { headers })).body) as Record<string, string[]>;
  expect([tries, Object.keys(seen).filter((name) => name.startsWith('x-envoy'))]).toEqual([1, ['x-envoy-foo', 'x-envoy-attempt-count']]);
  tries = 0;
  const inside = await serve({
    clusters: [cluster([up])],
    manager: { useRemoteAddress: true, internalAddresses: [{ address: '127.0.0.0', prefixLength: 8 }] },
  });
  const known = JSON.parse((await ask(inside.port, '/', { headers })).body) as Record<string, string[]>;
  expect(tries).toBe(3);
  expect(known).toMatchObject({ 'x-envoy-internal': ['true'], 'x-envoy-foo': ['1'], 'x-envoy-attempt-count': ['3'] });
  expect(Number(known['x-envoy-expected-rq-timeout-ms']?.[0])).toBeLessThanOrEqual(3000);
  expect(known['x-envoy-max-retries']).toBeUndefined();
});

test('a client without the hash cookie gets one, and keeps its host with it', async () => {
  const ports = await Promise.all(['a', 'b', 'c', 'd'].map((name) => startApp((_, response) => response.end(name))));
  const rig = await serve({
    clusters: [cluster(ports, { lb: { kind: 'ring-hash', minimumRingSize: 1024, maximumRingSize: 4096 } })],
    routes: [route({ hashPolicies: [{ kind: 'cookie', name: 'sess', path: '/', ttlMs: 60_000, attributes: [], terminal: false }] })],
  });
  const first = await ask(rig.port);
  const [made] = first.headers['set-cookie'] ?? [];
  expect(made).toMatch(/^sess="[0-9a-f]{16}"; Max-Age=60; Path=\/; HttpOnly$/);
  const cookie = made?.split(';')[0] ?? '';
  for (let i = 0; i < 5; i++) {
    const next = await ask(rig.port, '/', { headers: { cookie } });
    expect([next.body, next.headers['set-cookie']]).toEqual([first.body, undefined]);
  }
});

test('mirrors get the request with its body, and nobody waits for them', async () => {
  const mirrored: string[] = [];
  const up = await startApp((incoming, response) => incoming.pipe(response));
  const shadow = await startApp((incoming) => {
    let body = '';
    incoming.setEncoding('utf8').on('data', (part: string) => (body += part));
    // Never answers.
    incoming.on('end', () =>
      mirrored.push(
        `${incoming.method} ${incoming.url} ${incoming.headers.host} ${incoming.headers['x-envoy-internal'] as string} ${(incoming.headers['traceparent'] as string).slice(-2)} ${body}`,
      ),
    );
  });
  const mirror = (name: string, shadowSuffix: boolean) => ({ cluster: name, fraction: all, shadowSuffix, traceSampled: shadowSuffix });
  const rig = await serve({
    clusters: [cluster([up]), cluster([shadow], { name: 'shadow' }), cluster([1], { name: 'dead' })],
    routes: [route({ mirrors: [mirror('shadow', true), mirror('shadow', false), mirror('dead', true), mirror('nowhere', true)], prefixRewrite: '/new/' })],
  });
  expect(
    (await ask(rig.port, '/x', { method: 'POST', headers: { host: 'h:1', traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01` }, body: 'twice' })).body,
  ).toBe('twice');
  await expect.poll(() => mirrored.toSorted()).toEqual(['POST /new/x h-shadow:1 true 01 twice', 'POST /new/x h:1 true 00 twice']);
  expect(rig.records).toHaveLength(1);
  await expect.poll(() => rig.runtime.stats().clusters.find(({ name }) => name === 'dead')?.activeRequests).toBe(0);
});

test('mirrors count for endpoints and limits of their clusters', async () => {
  const up = await startApp(echo);
  const silent = await startApp(() => undefined);
  const outlier = outlierRules({ consecutive5xx: 1, maxEjectionPercent: 100 });
  const circuitBreaker = { maxConnections: 1, maxPendingRequests: 0, maxRequests: 1, maxRetries: 0 };
  const mirrors = ['silent', 'full'].map((name) => ({ cluster: name, fraction: all, shadowSuffix: true, traceSampled: false }));
  const rig = await serve({
    clusters: [cluster([up]), cluster([silent], { name: 'silent', outlier }), cluster([up], { name: 'full', circuitBreaker })],
    routes: [route({ mirrors, timeoutMs: 40 })],
  });
  await ask(rig.port);
  const of = (name: string): ClusterStats | undefined => rig.runtime.stats().clusters.find((one) => one.name === name);
  expect(of('full')?.overflow).toBe(1);
  await expect.poll(() => of('silent')?.endpoints[0]?.ejected).toBe(true);
});

const grpc = { 'content-type': 'application/grpc' };
test('faults: delay, then abort; gRPC statuses; a limit on faults at a time', async () => {
  const up = await startApp(echo);
  const fault = (spec: Route['filters']['fault']): Route => route({}, spec === undefined ? {} : { filters: { fault: spec } });
  const filters: HttpConnectionManager['filters'] = [{ kind: 'fault' }, { kind: 'router' }];
  const both = await serve({
    clusters: [cluster([up])],
    manager: { filters },
    routes: [fault({ headers: [], delay: { kind: 'fixed', ms: 30, chance: all }, abort: { kind: 'http', status: 418, chance: all } })],
  });
  expect(await ask(both.port)).toMatchObject({ status: 418, body: 'fault filter abort' });
  expect(both.records[0]).toMatchObject({ responseFlags: 'DI,FI', details: 'fault_filter_abort', attempts: 0, cluster: { name: 'app' } });
  expect(both.records[0]?.durationMs).toBeGreaterThanOrEqual(30);
  const status = await serve({ manager: { filters }, routes: [fault({ headers: [], abort: { kind: 'grpc', status: 14, chance: all } })] });
  expect((await ask(status.port, '/', { method: 'POST', headers: grpc })).headers).toMatchObject({ 'grpc-status': '14', 'grpc-message': 'fault filter abort' });
  const limited = await serve({
    clusters: [cluster([up])],
    manager: { filters },
    routes: [fault({ headers: [], abort: { kind: 'http', status: 418, chance: all }, maxActive: 0 })],
  });
  expect((await ask(limited.port)).status).toBe(200);
  const absent = await serve({ clusters: [cluster([up])], routes: [fault({ headers: [], abort: { kind: 'http', status: 418, chance: all } })] });
  expect((await ask(absent.port)).status).toBe(200);
});

test('cors: preflights are answered here', async () => {
  const up = await startApp(echo);
  const rig = await serve({
    clusters: [cluster([up])],
    manager: { filters: [{ kind: 'cors' }, { kind: 'router' }] },
    routes: [
      route(
        {},
        {
          filters: {
            cors: {
              allowOrigins: [{ kind: 'exact', value: 'http://a', ignoreCase: false }],
              ...{ allowMethods: 'GET', allowHeaders: '', exposeHeaders: '', maxAge: '', allowCredentials: false, allowPrivateNetwork: false },
              forwardNotMatchingPreflights: true,
              enabled: all,
            },
          },
        },
      ),
    ],
  });
  const preflight = await ask(rig.port, '/', { method: 'OPTIONS', headers: { origin: 'http://a', 'access-control-request-method': 'GET' } });
  expect([preflight.status, preflight.headers['access-control-allow-methods'], preflight.headers['content-length']]).toEqual([200, 'GET', '0']);
  expect((await ask(rig.port, '/', { headers: { origin: 'http://a' } })).headers['access-control-allow-origin']).toBe('http://a');
  expect((await ask(rig.port, '/', { headers: { origin: 'http://b' } })).headers['access-control-allow-origin']).toBeUndefined();
  expect(rig.records.map((record) => record.details)).toEqual(['cors_response', 'via_upstream', 'via_upstream']);
});

test('a local rate limit: 429 with what the client needs to know, gRPC told its way', async () => {
  const up = await startApp(echo);
  const localRateLimit = {
    ...{ bucket: { maxTokens: 1, tokensPerFill: 1, fillIntervalMs: 10_000 }, perConnection: false, enabled: all, enforced: all, status: 429 },
    ...{ grpcResourceExhausted: true, rateLimitHeaders: true, responseHeaders: ops([add('x-rl', 'yes')]), requestHeadersWhenNotEnforced: ops([]) },
  };
  const filters: HttpConnectionManager['filters'] = [{ kind: 'local-ratelimit' }, { kind: 'router' }];
  const rig = await serve({ clusters: [cluster([up])], manager: { filters }, routes: [route({}, { filters: { localRateLimit } })] });
  expect((await ask(rig.port)).headers).toMatchObject({ 'x-ratelimit-limit': '1', 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '10' });
  const refused = await ask(rig.port);
  expect(refused).toMatchObject({ status: 429, body: 'local_rate_limited', headers: { 'x-rl': 'yes', 'x-ratelimit-remaining': '0' } });
  expect(rig.records[1]).toMatchObject({ responseFlags: 'RL', details: 'local_rate_limited' });
  expect((await ask(rig.port, '/', { method: 'POST', headers: grpc })).headers['grpc-status']).toBe('8');
});

/** An upstream that never answers. */
const silent: RequestListener = () => undefined;
test.each<[string, Partial<ForwardAction>, Partial<HttpConnectionManager>, { status: number; flags: string; details: string; body: string; attempts: number }]>(
  [
    ['route', { timeoutMs: 40 }, {}, { status: 504, flags: 'UT', details: 'response_timeout', body: 'upstream request timeout', attempts: 1 }],
    [
      'per try, retried',
      { retry: retry({ perTryTimeoutMs: 30 }) },
      {},
      { status: 504, flags: 'URX,UT', details: 'upstream_per_try_timeout', body: 'upstream request timeout', attempts: 2 },
    ],
    [
      'per try idle',
      { retry: retry({ perTryIdleTimeoutMs: 30, on: ['connect-failure'] }) },
      {},
      { status: 504, flags: 'UT', details: 'upstream_per_try_idle_timeout', body: 'upstream request timeout', attempts: 1 },
    ],
    [
      'stream idle of the manager',
      {},
      { streamIdleTimeoutMs: 40 },
      { status: 504, flags: 'SI', details: 'stream_idle_timeout', body: 'stream timeout', attempts: 1 },
    ],
    [
      'stream idle of the route',
      { idleTimeoutMs: 40 },
      { streamIdleTimeoutMs: 60_000 },
      { status: 504, flags: 'SI', details: 'stream_idle_timeout', body: 'stream timeout', attempts: 1 },
    ],
    [
      'stream duration of the route',
      { maxStreamDurationMs: 40 },
      {},
      { status: 504, flags: '-', details: 'max_duration_timeout', body: 'downstream duration timeout', attempts: 1 },
    ],
    [
      'stream duration of the manager',
      {},
      { maxStreamDurationMs: 40 },
      { status: 504, flags: '-', details: 'max_duration_timeout', body: 'downstream duration timeout', attempts: 1 },
    ],
    [
      'hedged tries run out of time together',
      { timeoutMs: 150, hedgeOnPerTryTimeout: true, retry: retry({ perTryTimeoutMs: 20, retries: 2 }) },
      {},
      { status: 504, flags: 'URX,UT', details: 'response_timeout', body: 'upstream request timeout', attempts: 3 },
    ],
  ],
)('timeout: %s', async (_, action, overrides, expected) => {
  const up = await startApp(silent);
  const rig = await serve({ clusters: [cluster([up])], routes: [route(action)], manager: overrides });
  const answer = await ask(rig.port);
  const { responseFlags: flags, details, attempts } = rig.records[0] ?? {};
  expect({ status: answer.status, body: answer.body, flags, details, attempts }).toEqual(expected);
  await expect.poll(() => rig.runtime.stats().clusters[0]?.endpoints[0]?.activeRequests).toBe(0);
});

test('the longest life of a stream is a cluster’s to say', async () => {
  const up = await startApp(silent);
  const limited = cluster([up]);
  const rig = await serve({ clusters: [{ ...limited, http: { ...limited.http, maxStreamDurationMs: 40 } }] });
  expect(await ask(rig.port)).toMatchObject({ status: 504, body: 'upstream max stream duration reached' });
  expect(rig.records[0]).toMatchObject({ responseFlags: 'UMSDR', details: 'upstream_max_stream_duration_reached' });
});

test('a request that does not arrive in time is told so', async () => {
  const up = await startRaw(() => undefined);
  onTestFinished(() => up.close());
  const rig = await serve({ clusters: [cluster([up.port])], manager: { requestTimeoutMs: 40 } });
  const answer = await new Promise<number>((resolve, reject) => {
    const sent = request({ port: rig.port, host: '127.0.0.1', method: 'POST', headers: { 'content-length': 5 } }, (response) =>
      resolve(response.resume().statusCode ?? 0),
    );
    sent.on('error', reject).write('ab');
  });
  expect(answer).toBe(408);
  expect(rig.records[0]).toMatchObject({ details: 'request_overall_timeout', responseFlags: '-' });
});

test('a hedged request takes the first good answer, whichever try it comes from', async () => {
  const pending: (() => void)[] = [];
  const up = await startApp((_, response) => void pending.push(() => response.end(`try ${pending.length}`)));
  const rig = await serve({
    clusters: [cluster([up])],
    routes: [route({ hedgeOnPerTryTimeout: true, retry: retry({ perTryTimeoutMs: 20 }) })],
    host: { attemptCountInResponse: true },
  });
  const answer = ask(rig.port);
  await expect.poll(() => pending.length).toBe(2);
  pending[0]?.();
  expect(await answer).toMatchObject({ status: 200, headers: { 'x-envoy-attempt-count': '2' } });
  await expect.poll(() => rig.runtime.stats().clusters[0]?.endpoints[0]?.activeRequests).toBe(0);
});

// As seen beside Envoy 1.40.
test.each<[string, Partial<RetryPolicy>, (answers: ServerResponse[]) => void, number, string]>([
  ['nothing to retry on: the one try goes on', { on: [], perTryTimeoutMs: 20 }, (answers) => answers[0]?.end(), 1, '-'],
  ['a time between bytes counts as well', { perTryTimeoutMs: 0, perTryIdleTimeoutMs: 20 }, (answers) => answers[0]?.end(), 2, '-'],
  [
    'a bad answer of the last try: the first is waited for',
    { perTryTimeoutMs: 20 },
    (answers) => answers[1]?.writeHead(503).end(() => answers[0]?.end()),
    2,
    'URX',
  ],
])('hedged, and %s', async (_, policy, act, tries, flags) => {
  const answers: ServerResponse[] = [];
  const up = await startApp((_, response) => void answers.push(response));
  const rig = await serve({ clusters: [cluster([up])], routes: [route({ hedgeOnPerTryTimeout: true, retry: retry(policy) })] });
  const answer = ask(rig.port);
  const stats = (): ClusterStats | undefined => rig.runtime.stats().clusters[0];
  // Its time is over, and told of the endpoint.
  await expect.poll(() => [answers.length, (stats()?.endpoints[0]?.errors ?? 0) > 0]).toEqual([tries, true]);
  act(answers);
  expect((await answer).status).toBe(200);
  // A second try may be late too.
  expect(rig.records[0]?.responseFlags.replace('URX', flags)).toBe(flags);
  expect(stats()).toMatchObject({ timeouts: 0, tryTimeouts: 0, tryIdleTimeouts: 0 });
});

test('what has begun to answer is waited for though its time as a hedged try is over; times of tries and of the route are counted apart', async () => {
  const up = await startApp((asked, response) => {
    if (asked.url === '/early') response.writeEarlyHints({ link: '</a>; rel=preload' });
  });
  const policy = { perTryTimeoutMs: 20, retries: 0 };
  const plain = { match: { path: { kind: 'prefix' as const, value: '/plain' }, caseSensitive: true, headers: [], query: [] } };
  const rig = await serve({
    clusters: [cluster([up])],
    routes: [route({ retry: retry(policy) }, plain), route({ timeoutMs: 150, hedgeOnPerTryTimeout: true, retry: retry({ ...policy, retries: 2 }) })],
  });
  await ask(rig.port, '/early');
  expect(rig.records[0]).toMatchObject({ details: 'response_timeout', attempts: 1 });
  expect(rig.runtime.stats().clusters[0]).toMatchObject({ timeouts: 1, tryTimeouts: 0 });
  await ask(rig.port, '/plain');
  expect(rig.records[1]).toMatchObject({ details: 'upstream_per_try_timeout' });
  expect(rig.runtime.stats().clusters[0]).toMatchObject({ timeouts: 1, tryTimeouts: 1 });
});

test('without room for a retry the failure is given, with UO', async () => {
  const up = await startApp((_, response) => {
    response.statusCode = 500;
    response.end();
  });
  const limits = { maxConnections: 10, maxPendingRequests: 10, maxRequests: 10, maxRetries: 0 };
  const rig = await serve({ clusters: [cluster([up], { circuitBreaker: limits })], routes: [route({ retry: retry({}) })] });
  expect((await ask(rig.port)).status).toBe(500);
  expect(rig.records[0]).toMatchObject({ responseFlags: 'UO', details: 'via_upstream', attempts: 1 });
});

test('one place among the retries is enough for several of one request', async () => {
  let tries = 0;
  const up = await startApp((_, response) => {
    response.statusCode = ++tries < 4 ? 500 : 200;
    response.end();
  });
  const limits = { maxConnections: 10, maxPendingRequests: 10, maxRequests: 10, maxRetries: 1 };
  const rig = await serve({ clusters: [cluster([up], { circuitBreaker: limits })], routes: [route({ retry: retry({ retries: 5 }) })] });
  expect((await ask(rig.port)).status).toBe(200);
  expect(rig.records[0]?.attempts).toBe(4);
});

test('what retries say: to the upstream, to the client, in the body', async () => {
  const seen: IncomingMessage['headers'][] = [];
  const up = await startApp((incoming) => void seen.push(incoming.headers));
  const rig = await serve({
    clusters: [cluster([up]), cluster([1], { name: 'dead' })],
    routes: [
      route(
        { clusters: [{ name: 'dead', weight: 1, requestHeaders: ops([]), responseHeaders: ops([]) }], retry: retry({ on: ['connect-failure'], retries: 2 }) },
        { match: { path: { kind: 'prefix', value: '/dead' }, caseSensitive: true, headers: [], query: [] } },
      ),
      route({ timeoutMs: 1000, retry: retry({ perTryTimeoutMs: 30 }) }),
    ],
    host: { attemptCountInResponse: true, timeoutRetryHeader: true },
  });
  const dead = await ask(rig.port, '/dead');
  expect(dead).toMatchObject({ status: 503, headers: { 'x-envoy-attempt-count': '3' } });
  expect(dead.body).toBe('upstream connect error or disconnect/reset before headers. retried and the latest reset reason: remote connection failure');
  expect(rig.records[0]).toMatchObject({
    responseFlags: 'URX,UF',
    details: 'upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}',
  });
  await ask(rig.port);
  expect(seen.map((headers) => [headers['x-envoy-expected-rq-timeout-ms'], headers['x-envoy-attempt-count'], headers['x-envoy-is-timeout-retry']])).toEqual([
    ['30', '1', undefined],
    ['30', '2', 'true'],
  ]);
});

test('host, request id and server header as the manager wants them', async () => {
  const up = await startApp((incoming, response) => {
    response.setHeader('server', 'own');
    response.end(JSON.stringify({ headers: incoming.headersDistinct }));
  });
  const ids = { generate: true, keepExternal: true, inResponse: true };
  const rig = await serve({
    clusters: [cluster([up])],
    host: { domains: ['h'] },
    config: { ignorePort: false },
    manager: { useRemoteAddress: true, keepServerHeader: true, requestId: ids, host: { stripPort: 'any', stripDot: true } },
  });
  const kept = await ask(rig.port, '/', { headers: { host: 'h.:81', 'x-request-id': 'mine' } });
  expect([kept.status, kept.headers.server, kept.headers['x-request-id']]).toEqual([200, 'own', 'mine']);
  expect((JSON.parse(kept.body) as Echo).headers).toMatchObject({ host: ['h'], 'x-request-id': ['mine'] });
  const bare = await serve({ clusters: [cluster([up])], manager: { requestId: { generate: false, keepExternal: false, inResponse: true } } });
  const answer = await ask(bare.port);
  expect([answer.headers.server, answer.headers['x-request-id'], (JSON.parse(answer.body) as Echo).headers['x-request-id']]).toEqual([
    'envoy',
    undefined,
    undefined,
  ]);
});

test('a path with a fragment is refused without a word; an empty id is none', async () => {
  const up = await startApp(echo);
  const rig = await serve({ clusters: [cluster([up])] });
  const refused = await ask(rig.port, '/a#b');
  expect([refused.status, refused.body, refused.headers['content-type'], refused.headers.connection]).toEqual([400, '', undefined, 'close']);
  const told = JSON.parse((await ask(rig.port, '/', { headers: { 'x-request-id': '' } })).body) as Echo;
  expect(told.headers['x-request-id']?.[0]).toMatch(/^[0-9a-f-]{36}$/);
});

test('what filters answer in the place of a route that forwards gets its response headers', async () => {
  const filters: HttpConnectionManager['filters'] = [{ kind: 'fault' }, { kind: 'router' }];
  const fault = { fault: { headers: [], abort: { kind: 'http' as const, status: 418, chance: all } } };
  const responseHeaders = ops([add('x-r', '%RESPONSE_FLAGS%')]);
  const rig = await serve({ manager: { filters }, routes: [route({}, { responseHeaders, filters: fault })] });
  expect((await ask(rig.port)).headers['x-r']).toBe('FI');
  const dead = await serve({ clusters: [cluster([1])], routes: [route({}, { responseHeaders })] });
  expect((await ask(dead.port)).headers['x-r']).toBe('UF');
});

test.each([
  [300_000, 200],
  [1_500_000, 503],
])('a body of %i bytes is sent again when it fits the buffer', async (size, status) => {
  let tries = 0;
  const up = await startApp((incoming, response) => {
    let bytes = 0;
    incoming.on('data', (chunk: Buffer) => (bytes += chunk.length));
    incoming.on('end', () => {
      response.statusCode = ++tries > 1 ? 200 : 503;
      response.end(tries > 1 ? String(bytes) : '');
    });
  });
  const rig = await serve({ clusters: [cluster([up])], routes: [route({ retry: retry({}) })] });
  const answer = await ask(rig.port, '/', { method: 'POST', body: 'x'.repeat(size) });
  expect(answer).toMatchObject({ status, body: status === 200 ? String(size) : '' });
});

test('a body that waits for a connection is not lost when it cannot be made', async () => {
  const up = await startApp((incoming, response) => void incoming.pipe(response));
  let turn = 0;
  const rig = await startRig({
    clusters: [cluster([1, up], { lb: { kind: 'random' } })],
    routes: routes([route({ retry: retry({ on: ['connect-failure'], avoidPreviousHosts: true, hostSelectionAttempts: 5 }) })]),
    // The dead host first.
    deps: { random: () => (turn++ === 0 ? 0 : 0.9) },
  });
  onTestFinished(() => rig.close());
  const body = 'y'.repeat(200_000);
  expect((await ask(rig.port, '/', { method: 'POST', body })).body).toBe(body);
});

test('a connection may only get so old: its last answer says so, an idle one closes', async () => {
  const held: (() => void)[] = [];
  const up = await startApp((incoming, response) => {
    if (incoming.url === '/held') held.push(() => response.end('late'));
    else response.end('now');
  });
  const rig = await serve({ clusters: [cluster([up])], manager: { maxConnectionDurationMs: 60 } });
  const socket = connect(rig.port, '127.0.0.1');
  let text = '';
  const closed = new Promise<void>((resolve) =>
    socket
      .setEncoding('latin1')
      .on('data', (part: string) => (text += part))
      .on('close', resolve),
  );
  socket.write('GET /held HTTP/1.1\r\nhost: a\r\n\r\n');
  await expect.poll(() => held.length).toBe(1);
  const begun = performance.now();
  await expect.poll(() => performance.now() - begun > 100).toBe(true);
  held[0]?.();
  await closed;
  expect(text).toMatch(/connection: close\r\n[\s\S]*late$/);
  const idle = connect(rig.port, '127.0.0.1');
  idle.write('GET /now HTTP/1.1\r\nhost: a\r\n\r\n');
  await new Promise<void>((resolve) => idle.once('close', resolve).resume());
});

test('a request head that never ends is given up in the time set', async () => {
  const rig = await serve({ manager: { requestHeadersTimeoutMs: 40 } });
  const socket = connect(rig.port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nhost: a\r\nx-slow');
  const answer = await new Promise<string>((resolve) => socket.setEncoding('latin1').once('data', resolve));
  expect(answer).toMatch(/^HTTP\/1.1 408 /);
  socket.destroy();
});

test('a gRPC deadline goes on as what is left of it', async () => {
  const seen: unknown[] = [];
  const up = await startApp((incoming) => void seen.push(incoming.headersDistinct['grpc-timeout']));
  const rig = await serve({ clusters: [cluster([up])], routes: [route({ maxGrpcTimeoutMs: 5_000, retry: retry({ perTryTimeoutMs: 20, retries: 1 }) })] });
  const answer = await ask(rig.port, '/', { method: 'POST', headers: { ...grpc, 'grpc-timeout': '9S' } });
  expect(answer.headers['grpc-status']).toBe('14');
  expect(seen).toEqual([['20m'], ['20m']]);
  const open = await serve({ clusters: [cluster([up])], routes: [route({ maxGrpcTimeoutMs: 0 })] });
  await ask(open.port, '/', { method: 'POST', headers: { ...grpc, 'grpc-timeout': '30m' } });
  expect(seen[2]).toEqual(['30m']);
});

test('a body that is no HTTP ends the request with 400 and DPE', async () => {
  const up = await startRaw(() => undefined);
  onTestFinished(() => up.close());
  const rig = await serve({ clusters: [cluster([up.port])] });
  const text = await exchangeRaw(rig.port, 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n');
  expect(text).toMatch(/^HTTP\/1.1 400 [\s\S]*connection: close\r\n[\s\S]*Bad Request$/);
  expect(rig.records[0]).toMatchObject({ responseFlags: 'DPE', details: 'http1.codec_error' });
});

test('retries leave a priority that was tried twice, as previous_priorities asks', async () => {
  const seen: string[] = [];
  const answer = (name: string, status: number): RequestListener => {
    return (_, response) => {
      seen.push(name);
      response.statusCode = status;
      response.end(name);
    };
  };
  const [near, far] = await Promise.all([startApp(answer('near', 503)), startApp(answer('far', 200))]);
  const near1 = cluster([near]);
  const assignment = near1.endpoints;
  const [locality] = assignment?.localities ?? [];
  if (assignment === undefined || locality === undefined) throw new Error('no locality');
  const localities = [locality, { ...locality, priority: 1, endpoints: [endpoint(far)] }];
  const rig = await serve({
    clusters: [{ ...near1, endpoints: { ...assignment, localities } }],
    routes: [route({ retry: retry({ retries: 3, avoidPriorities: 2 }) })],
  });
  expect((await ask(rig.port)).body).toBe('far');
  expect(seen).toEqual(['near', 'near', 'far']);
});

test('the life of a gRPC request ends with DEADLINE_EXCEEDED', async () => {
  const up = await startApp(silent);
  const rig = await serve({ clusters: [cluster([up])], routes: [route({ grpcStreamDuration: { maxMs: 0, offsetMs: 0 } })] });
  const answer = await ask(rig.port, '/', { method: 'POST', headers: { ...grpc, 'grpc-timeout': '40m' } });
  expect(answer.headers).toMatchObject({ 'grpc-status': '4', 'grpc-message': 'downstream duration timeout' });
});

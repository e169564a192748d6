import { expect, test } from 'vitest';
import {
  compileCors,
  compileFault,
  compileHashPolicies,
  compileHeaderMatch,
  compilePathRules,
  compileRegexRewrite,
  compileRetry,
  compileRouteMatch,
  compileSubstitution,
  happens,
  overrideRetry,
  rateLimitedBackoffMs,
  requestTimeouts,
  shouldRetry,
  TokenBucket,
  xxHash64,
  type FaultSpec,
  type HashPolicySpec,
  type HeaderMatchSpec,
  type RequestView,
  type RetrySpec,
  type TryOutcome,
} from './index.ts';

const view = (headers: Record<string, string | string[]> = {}, overrides: Partial<RequestView> = {}): RequestView => ({
  method: 'GET',
  path: '/',
  authority: 'a',
  scheme: 'http',
  get: (name) => [headers[name] ?? []].flat()[0],
  some: (name, passes) => (headers[name] === undefined ? undefined : [headers[name]].flat().some(passes)),
  ...overrides,
});
const exact = (value: string) => ({ kind: 'exact', value, ignoreCase: false }) as const;

// Expectations of the tables below were taken from Envoy 1.40.
test.each<[string, Partial<HeaderMatchSpec>, string]>([
  // columns: missing, "v", "3", "5", ["a","b"], ""
  ['exact, inverted', { match: exact('v'), invert: true }, '0 0 1 1 1 1'],
  ['exact, inverted, missing is empty', { match: exact('v'), invert: true, treatMissingAsEmpty: true }, '1 0 1 1 1 1'],
  ['range', { match: { kind: 'range', start: -10, end: 5 } }, '0 0 1 0 0 0'],
  ['range, inverted', { match: { kind: 'range', start: -10, end: 5 }, invert: true }, '0 1 0 1 1 1'],
  ['present', { match: 'present' }, '0 1 1 1 1 1'],
  ['absent', { match: 'absent' }, '1 0 0 0 0 0'],
  ['present, inverted', { match: 'present', invert: true }, '1 0 0 0 0 0'],
  ['present, missing is empty', { match: 'present', treatMissingAsEmpty: true }, '1 1 1 1 1 1'],
  ['each value by itself', { match: exact('b') }, '0 0 0 0 1 0'],
  ['never the values joined', { match: exact('a,b') }, '0 0 0 0 0 0'],
])('header match: %s', (_, spec, expected) => {
  const matches = compileHeaderMatch({ name: 'x-a', match: 'present', invert: false, treatMissingAsEmpty: false, ...spec });
  const cases = [{}, { 'x-a': 'v' }, { 'x-a': '3' }, { 'x-a': '5' }, { 'x-a': ['a', 'b'] }, { 'x-a': '' }];
  expect(cases.map((headers) => Number(matches(view(headers)))).join(' ')).toBe(expected);
});

test('routes by gRPC, certificate, fraction and raw query parameters', () => {
  const spec = { path: { kind: 'prefix', value: '/' }, caseSensitive: true, headers: [], query: [] } as const;
  const never = (): number => 0.99;
  const grpc = compileRouteMatch({ ...spec, grpc: true });
  expect(['application/grpc', 'application/grpc+proto', 'application/grpc-web'].map((type) => grpc(view({ 'content-type': type }), never))).toEqual([
    true,
    true,
    false,
  ]);
  const tls = compileRouteMatch({ ...spec, tls: { presented: true } });
  expect([tls(view(), never), tls(view({}, { clientCertificate: true }), never)]).toEqual([false, true]);
  const half = compileRouteMatch({ ...spec, fraction: { numerator: 50, of: 100 } });
  expect([half(view(), () => 0.49), half(view(), () => 0.5)]).toEqual([true, false]);
  const raw = compileRouteMatch({ ...spec, query: [{ name: 'a', match: exact('b%20c') }] });
  expect([raw(view({}, { path: '/?a=b%20c' }), never), raw(view({}, { path: '/?a=b+c' }), never)]).toEqual([true, false]);
  const absent = compileRouteMatch({ ...spec, query: [{ name: 'a', match: 'absent' }] });
  expect([absent(view({}, { path: '/?a' }), never), absent(view({}, { path: '/?b' }), never)]).toEqual([false, true]);
  const query = compileRouteMatch({ ...spec, path: { kind: 'prefix', value: '/pre?x' } });
  expect(query(view({}, { path: '/pre?x=1' }), never)).toBe(false);
});

test('a fraction draws only when the outcome is open', () => {
  const no = (): number => {
    throw new Error('drawn');
  };
  expect([happens({ numerator: 0, of: 100 }, no), happens({ numerator: 100, of: 100 }, no)]).toEqual([false, true]);
  expect([happens({ numerator: 5, of: 10_000 }, () => 0.0004), happens({ numerator: 5, of: 10_000 }, () => 0.0005)]).toEqual([true, false]);
});

const allRules = { normalize: true, mergeSlashes: true, escapedSlashes: 'redirect' } as const;
test.each<[string, string | undefined, boolean?]>([
  ['/plain/path.html?x=//&y=%2f', '/plain/path.html?x=//&y=%2f'],
  ['//a/../b/./c', '/b/c'],
  ['/a%2fb', '/a/b', true],
  ['/a%5cb%2Fc?d=%2f', '/a/b/c?d=%2f', true],
  ['/%7euser/../../../x', '/x'],
  ['/a\\b', '/a/b'],
  ['/a%00b', undefined],
  ['/a/%2e%2e/b', '/b'],
  ['/a#frag', undefined],
  ['/a%zzb', '/a%zzb'],
  ['/a/../..', '/'],
  ['/a/./', '/a/'],
  ['/a/..', '/'],
  ['/%41%2D%5f~%20!$', '/A-_~%20!$'],
  ['/a;x=1/../b', '/b'],
  ['/a"<b>{c}|^`?"{|}"', '/a%22%3Cb%3E%7Bc%7D%7C%5E%60?"{|}"'],
  ["/[a]!$&'()*+,;=:@", "/[a]!$&'()*+,;=:@"],
  ['*', '*'],
])('path %s is judged and forwarded as %s', (path, expected, redirect = false) => {
  expect(compilePathRules(allRules)?.(path)).toEqual({ path: expected, redirect });
});

test('path rules by themselves', () => {
  expect(compilePathRules({ normalize: false, mergeSlashes: false, escapedSlashes: 'keep' })).toBeUndefined();
  expect(compilePathRules({ normalize: true, mergeSlashes: false, escapedSlashes: 'keep' })?.('/\xe9?\xe9').path).toBe('/%E9?\xe9');
  expect(compilePathRules({ normalize: false, mergeSlashes: true, escapedSlashes: 'keep' })?.('//a/../b').path).toBe('/a/../b');
  expect(compilePathRules({ normalize: true, mergeSlashes: false, escapedSlashes: 'keep' })?.('/a//b%2fc').path).toBe('/a//b%2fc');
  expect(compilePathRules({ normalize: false, mergeSlashes: false, escapedSlashes: 'reject' })?.('/a%2Fb').path).toBeUndefined();
  expect(compilePathRules({ normalize: true, mergeSlashes: false, escapedSlashes: 'unescape' })?.('/a%2f..%5cb')).toEqual({ path: '/b', redirect: false });
});

test('formats: literals, commands, lengths, what is wrong', () => {
  const compile = (format: string) =>
    compileSubstitution<Record<string, string>>(format, (name, argument) => (name === 'REQ' ? (source) => source[argument ?? ''] : undefined), '-');
  const show = (format: string, source: Record<string, string> = {}): string => {
    const compiled = compile(format);
    return typeof compiled === 'string' ? compiled : compiled(source);
  };
  expect([show('a'), show('50%%'), show('%REQ(x)%', { x: 'v' }), show('<%REQ(x)%|%REQ(y)%>', { x: 'v' }), show('%REQ(x):2%', { x: 'abc' })]).toEqual([
    'a',
    '50%',
    'v',
    '<v|->',
    'ab',
  ]);
  expect(() => show('50%')).toThrow('no command at position 2');
  expect(() => show('%NOPE%')).toThrow('%NOPE% is not supported');
});

test('a bucket starts full, fills with time and says when', () => {
  const bucket = new TokenBucket({ maxTokens: 2, tokensPerFill: 1, fillIntervalMs: 1000 }, 0);
  expect([bucket.take(0), bucket.remaining(), bucket.resetSeconds()]).toEqual([true, 1, 0]);
  expect([bucket.take(0), bucket.take(0), bucket.remaining(), bucket.resetSeconds()]).toEqual([true, false, 0, 1]);
  expect([bucket.take(999), bucket.take(1000), bucket.take(60_000), bucket.take(60_000), bucket.take(60_000)]).toEqual([false, true, true, true, false]);
});

const corsSpec = {
  allowOrigins: [exact('http://a')],
  allowMethods: 'GET,POST',
  allowHeaders: 'x-a',
  exposeHeaders: 'x-b',
  maxAge: '600',
  allowCredentials: true,
  allowPrivateNetwork: false,
  forwardNotMatchingPreflights: true,
};
test('cors: preflights are answered, other requests get their headers, foreign origins nothing', () => {
  const decide = compileCors(corsSpec);
  const ask = (origin: string, method = 'GET') => decide({ method, get: (name) => ({ origin, 'access-control-request-method': 'GET' })[name] });
  expect(ask('http://a', 'OPTIONS')).toEqual({
    kind: 'preflight',
    headers: [
      ['access-control-allow-origin', 'http://a'],
      ['access-control-allow-credentials', 'true'],
      ['access-control-allow-methods', 'GET,POST'],
      ['access-control-allow-headers', 'x-a'],
      ['access-control-max-age', '600'],
      ['access-control-expose-headers', 'x-b'],
    ],
  });
  expect(ask('http://a').headers.map(([name]) => name)).toEqual([
    'access-control-allow-origin',
    'access-control-allow-credentials',
    'access-control-expose-headers',
  ]);
  expect([ask('http://b', 'OPTIONS'), ask('http://b'), ask('')].map((decision) => [decision.kind, decision.headers.length])).toEqual([
    ['pass', 0],
    ['pass', 0],
    ['pass', 0],
  ]);
  const strict = compileCors({ ...corsSpec, forwardNotMatchingPreflights: false });
  const foreign = strict({ method: 'OPTIONS', get: (name) => (name === 'origin' ? 'http://b' : 'GET') });
  expect([foreign.kind, foreign.headers.map(([name]) => name.slice('access-control-'.length))]).toEqual([
    'preflight',
    ['allow-credentials', 'allow-methods', 'allow-headers', 'max-age'],
  ]);
});

const all = { numerator: 100, of: 100 };
test.each<[string, FaultSpec, Record<string, string>, unknown]>([
  [
    'delay and abort',
    { headers: [], delay: { kind: 'fixed', ms: 5, chance: all }, abort: { kind: 'http', status: 418, chance: all } },
    {},
    { delayMs: 5, abort: { status: 418 } },
  ],
  ['gRPC abort', { headers: [], abort: { kind: 'grpc', status: 14, chance: all } }, {}, { delayMs: 0, abort: { status: 200, grpc: 14 } }],
  ['no luck', { headers: [], abort: { kind: 'http', status: 418, chance: { numerator: 49, of: 100 } } }, {}, undefined],
  [
    'headers do not match',
    { headers: [{ name: 'x', match: 'present', invert: false, treatMissingAsEmpty: false }], abort: { kind: 'http', status: 418, chance: all } },
    {},
    undefined,
  ],
  [
    'asked for by header',
    { headers: [], abort: { kind: 'header', chance: all } },
    { 'x-envoy-fault-abort-request': '503' },
    { delayMs: 0, abort: { status: 503 } },
  ],
  [
    'header may only lower the chance',
    { headers: [], delay: { kind: 'header', chance: { numerator: 60, of: 100 } } },
    { 'x-envoy-fault-delay-request': '7', 'x-envoy-fault-delay-request-percentage': '10' },
    undefined,
  ],
  ['header controlled, nothing asked', { headers: [], delay: { kind: 'header', chance: all } }, {}, undefined],
])('fault: %s', (_, spec, headers, expected) => {
  expect(compileFault(spec)(view(headers), () => 0.5)).toEqual(expected);
});

const retrySpec = (on: string[], overrides: Partial<RetrySpec> = {}): RetrySpec => ({ on, retries: 1, statusCodes: [], retriableHeaders: [], ...overrides });
const response = (status: number, overrides: Partial<Extract<TryOutcome, { kind: 'response' }>> = {}): TryOutcome => ({
  kind: 'response',
  status,
  rateLimited: false,
  grpcStatus: undefined,
  ...overrides,
});
const outcomes: readonly TryOutcome[] = [
  { kind: 'connect-failure' },
  { kind: 'refused' },
  { kind: 'reset', sent: true },
  { kind: 'reset', sent: false },
  { kind: 'per-try-timeout' },
  response(500),
  response(503),
  response(409),
  response(200, { grpcStatus: 14 }),
  response(429, { rateLimited: true }),
];
test.each<[string, string]>([
  // columns: connect, refused, reset after, reset before, per-try, 500, 503, 409, gRPC unavailable, rate limited
  ['5xx', '1 1 1 1 1 1 1 0 0 0'],
  ['gateway-error', '1 1 1 1 1 0 1 0 0 0'],
  ['reset', '1 1 1 1 1 0 0 0 0 0'],
  ['reset-before-request', '1 0 0 1 0 0 0 0 0 0'],
  ['connect-failure', '1 0 0 0 0 0 0 0 0 0'],
  ['refused-stream', '0 1 0 0 0 0 0 0 0 0'],
  ['retriable-4xx', '0 0 0 0 0 0 0 1 0 0'],
  ['retriable-status-codes', '0 0 0 0 0 0 0 0 0 0'],
  ['503', '0 0 0 0 0 0 1 0 0 0'],
  ['unavailable', '0 0 0 0 0 0 0 0 1 0'],
  ['cancelled,deadline-exceeded,resource-exhausted,internal', '0 0 0 0 0 0 0 0 0 0'],
  ['envoy-ratelimited', '0 0 0 0 0 0 0 0 0 1'],
  ['made-up', '0 0 0 0 0 0 0 0 0 0'],
])('retry_on %s', (on, expected) => {
  const rules = compileRetry(retrySpec(on.split(',')));
  expect(outcomes.map((outcome) => Number(shouldRetry(rules, outcome))).join(' ')).toBe(expected);
});

test('retries by response header, and what an internal request may say', () => {
  const matcher: HeaderMatchSpec = { name: 'x-again', match: 'present', invert: false, treatMissingAsEmpty: false };
  const rules = compileRetry(retrySpec(['retriable-headers'], { retriableHeaders: [matcher] }));
  expect([shouldRetry(rules, response(200, { fields: view({ 'x-again': '1' }) })), shouldRetry(rules, response(200, { fields: view() }))]).toEqual([
    true,
    false,
  ]);

  expect(overrideRetry(rules, view())).toBe(rules);
  expect(overrideRetry(undefined, view({ 'x-envoy-max-retries': '3' }))).toBeUndefined();
  const own = overrideRetry(
    undefined,
    view({ 'x-envoy-retry-on': 'retriable-status-codes, 5xx', 'x-envoy-retriable-status-codes': '418,x', 'x-envoy-max-retries': '4' }),
  );
  expect(own?.retries).toBe(4);
  expect([418, 500, 404].map((status) => own !== undefined && shouldRetry(own, response(status)))).toEqual([true, true, false]);
  const grpc = overrideRetry(rules, view({ 'x-envoy-retry-grpc-on': 'unavailable' }));
  expect(grpc !== undefined && shouldRetry(grpc, response(200, { grpcStatus: 14 }))).toBe(true);
  const header = overrideRetry(rules, view({ 'x-envoy-retriable-header-names': 'X-Other' }));
  expect(header !== undefined && shouldRetry(header, response(200, { fields: view({ 'x-other': '' }) }))).toBe(true);
});

test('rate limited back-off: the first usable header, jittered upwards, never above the limit', () => {
  const policy = {
    headers: [
      { name: 'retry-after', format: 'seconds' },
      { name: 'x-reset', format: 'unix-timestamp' },
    ] as const,
    maxIntervalMs: 10_000,
  };
  const pause = (headers: Record<string, string>): number | undefined => rateLimitedBackoffMs(policy, (name) => headers[name], 100_500, 0.5);
  expect([
    pause({ 'retry-after': '2' }),
    pause({ 'x-reset': '104' }),
    pause({ 'retry-after': 'Wed', 'x-reset': '101' }),
    pause({ 'retry-after': '11' }),
    pause({}),
  ]).toEqual([2500, 5000, 1250, undefined, undefined]);
});

test('timeouts: route, per try, gRPC, headers of internal requests', () => {
  const spec = { timeoutMs: 1000, perTryTimeoutMs: 100, hedgeOnPerTryTimeout: false };
  const headers = view({ 'x-envoy-upstream-rq-timeout-ms': '300', 'x-envoy-upstream-rq-per-try-timeout-ms': '400' });
  expect(requestTimeouts(spec, view(), false, undefined)).toEqual({ globalMs: 1000, perTryMs: 100, expectedMs: 100 });
  expect(requestTimeouts(spec, headers, false, undefined)).toEqual({ globalMs: 1000, perTryMs: 100, expectedMs: 100 });
  expect(requestTimeouts(spec, headers, true, undefined)).toEqual({ globalMs: 300, perTryMs: 0, expectedMs: 300 });
  expect(requestTimeouts({ ...spec, hedgeOnPerTryTimeout: true }, view(), false, undefined)).toEqual({ globalMs: 1000, perTryMs: 100, expectedMs: 1000 });
  const grpc = (max: number, asked: number): number =>
    requestTimeouts({ ...spec, maxGrpcTimeoutMs: max, grpcTimeoutOffsetMs: 50 }, view(), false, asked).globalMs;
  expect([grpc(0, 200), grpc(0, 0), grpc(100, 0), grpc(100, 500), grpc(1000, 40)]).toEqual([150, 0, 100, 100, 40]);
});

test('hash policies: combined as Envoy does, terminal, cookies made for those without', () => {
  const cookies: string[] = [];
  const source = (headers: Record<string, string> = {}) => ({
    all: (name: string) => headers[name]?.split(' & ') ?? [],
    path: '/?u=7',
    sourceIp: '10.0.0.1',
    connectionKey: '10.0.0.1:5127.0.0.1:80',
    addSetCookie: (value: string) => void cookies.push(value),
  });
  const header: HashPolicySpec = { kind: 'header', name: 'x-user', terminal: true };
  const hash = (policies: HashPolicySpec[], headers?: Record<string, string>) => compileHashPolicies(policies)?.(source(headers));
  expect(compileHashPolicies([])).toBeUndefined();
  expect(hash([header], { 'x-user': 'jo' })).toBe(xxHash64('jo'));
  expect(hash([header])).toBeUndefined();
  expect(hash([header, { kind: 'source-ip', terminal: false }], { 'x-user': 'jo' })).toBe(xxHash64('jo'));
  expect(hash([header, { kind: 'source-ip', terminal: false }])).toBe(xxHash64('10.0.0.1'));
  const twice = hash([
    { kind: 'query', name: 'u', terminal: false },
    { kind: 'query', name: 'u', terminal: false },
  ]);
  const once = xxHash64('7');
  expect(twice).toBe(BigInt.asUintN(64, (once << 1n) | (once >> 63n)) ^ once);
  expect(hash([{ kind: 'header', name: 'x-user', rewrite: { pattern: '(.)o', substitution: '\\1' }, terminal: false }], { 'x-user': 'jo' })).toBe(
    xxHash64('j'),
  );
  // All values, in any order.
  const both = hash([header], { 'x-user': 'jo & al' });
  expect(both).toBe(hash([header], { 'x-user': 'al & jo' }));
  expect(both).toBe(xxHash64('jo', Number(xxHash64('al') & 0xffffffffn), Number(xxHash64('al') >> 32n)));
  const cookie: HashPolicySpec = { kind: 'cookie', name: 's', path: '/', ttlMs: 60_000, attributes: [{ name: 'SameSite', value: 'Lax' }], terminal: false };
  expect(hash([cookie], { cookie: 'a=b; s="v"' })).toBe(xxHash64('v'));
  expect(cookies).toEqual([]);
  const made = xxHash64('10.0.0.1:5127.0.0.1:80').toString(16).padStart(16, '0');
  expect(hash([cookie])).toBe(xxHash64(made));
  expect(cookies).toEqual([`s="${made}"; Max-Age=60; Path=/; SameSite=Lax; HttpOnly`]);
});

test('a group of a regex rewrite, and the whole of it', () => {
  expect(compileRegexRewrite('a+', '<\\0>')('/rwq/aa/baaa?aa')).toBe('/rwq/<aa>/b<aaa>?aa');
  expect(compileRegexRewrite('/.*', '')('/ab?c')).toBeUndefined();
  expect(compileRegexRewrite('(b)?', '<\\1$1\\\\>')('/ab')).toBe('<$1\\>/<$1\\>a<b$1\\>');
});

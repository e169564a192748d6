import { expect, test } from 'vitest';
import {
  CircuitBreaker,
  compileRegexRewrite,
  compileRouteMatch,
  compileStringMatch,
  compileVirtualHosts,
  compileWeightedChoice,
  RegexError,
  retryBackoffMs,
  rewritePrefix,
  type RequestView,
  type RouteMatchSpec,
} from './index.ts';

function generator(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

function view(path: string, headers: Record<string, string> = {}, method = 'GET'): RequestView {
  return { method, path, authority: 'a', scheme: 'http', get: (name) => headers[name] };
}

const match = (overrides: Partial<RouteMatchSpec>): RouteMatchSpec => ({
  path: { kind: 'prefix', value: '/' },
  caseSensitive: true,
  headers: [],
  query: [],
  ...overrides,
});

test.each([
  ['prefix', '/api', true, '/api/x?y', true],
  ['prefix', '/api', true, '/apix', true],
  ['prefix', '/api', true, '/x?/api', false],
  ['path-separated-prefix', '/api', true, '/apix', false],
  ['path-separated-prefix', '/api', true, '/api/x', true],
  ['exact', '/a', true, '/a?b', true],
  ['exact', '/a', true, '/a/', false],
  ['exact', '/A', false, '/a', true],
  ['regex', '/v[12]/.*', true, '/v1/x', true],
  ['regex', '/v[12]', true, '/v1/x', false],
] as const)('%s %s (case %s) on %s is %s', (kind, value, caseSensitive, path, expected) => {
  expect(compileRouteMatch(match({ path: { kind, value }, caseSensitive }))(view(path), Math.random)).toBe(expected);
});

test('headers and query parameters must all fit', () => {
  const exact = { kind: 'exact', value: 'jason', ignoreCase: false } as const;
  const header = (overrides: object): RouteMatchSpec =>
    match({ headers: [{ name: 'end-user', match: exact, invert: false, treatMissingAsEmpty: false, ...overrides }] });
  expect(compileRouteMatch(header({}))(view('/', { 'end-user': 'jason' }), Math.random)).toBe(true);
  expect(compileRouteMatch(header({}))(view('/'), Math.random)).toBe(false);
  expect(compileRouteMatch(header({ invert: true }))(view('/'), Math.random)).toBe(false);
  expect(compileRouteMatch(header({ match: 'absent' }))(view('/'), Math.random)).toBe(true);
  expect(compileRouteMatch(header({ match: 'present' }))(view('/'), Math.random)).toBe(false);
  expect(compileRouteMatch(header({ name: ':method', match: { ...exact, value: 'POST' } }))(view('/', {}, 'POST'), Math.random)).toBe(true);
  const query = compileRouteMatch(match({ query: [{ name: 'u', match: { ...exact, value: 'a%20b' } }] }));
  expect([query(view('/?u=a%20b'), Math.random), query(view('/?u=c'), Math.random), query(view('/'), Math.random)]).toEqual([true, false, false]);
});

test('a bad pattern is named; a pattern that would backtrack is linear', () => {
  expect(() => compileStringMatch({ kind: 'regex', value: '(', ignoreCase: false })).toThrow(RegexError);
  expect(compileStringMatch({ kind: 'regex', value: '(a+)+$', ignoreCase: false })(`${'a'.repeat(2000)}!`)).toBe(false);
});

test('virtual hosts: exact, longest suffix, longest prefix, any; case does not matter, ports only where asked', () => {
  const hosts = [['reviews', 'reviews:9080'], ['*.com'], ['*.example.com'], ['api.*'], ['*']].map((domains) => ({ domains }));
  const table = compileVirtualHosts(hosts, true);
  const index = (name: string): number => hosts.indexOf(table.find(name) as { domains: string[] });
  expect(['Reviews', 'reviews:80', 'a.com', 'a.example.com:81', 'api.net', '.com', 'other', '[::1]:80'].map(index)).toEqual([0, 0, 1, 2, 3, 4, 4, 4]);
  const byPort = compileVirtualHosts([{ domains: ['a:80'] }, { domains: ['a'] }], false);
  expect(['A:80', 'a', 'a:81', 'b'].map((name) => byPort.find(name)?.domains[0])).toEqual(['a:80', 'a', undefined, undefined]);
});

test('weighted choice follows the weights and never takes 0', () => {
  const choice = compileWeightedChoice([
    { name: 'a', weight: 90 },
    { name: 'b', weight: 10 },
    { name: 'c', weight: 0 },
  ]);
  const random = generator(1);
  const counts: Record<string, number> = {};
  for (let i = 0; i < 10_000; i++) {
    const name = choice.pick(random())?.name ?? 'none';
    counts[name] = (counts[name] ?? 0) + 1;
  }
  expect(counts['c']).toBeUndefined();
  expect(counts['b']).toBeGreaterThan(900);
  expect(counts['b']).toBeLessThan(1100);
  expect(compileWeightedChoice([{ weight: 0 }]).pick(0.5)).toBeUndefined();
});

test('back-off doubles up to the cap, jittered from 0', () => {
  expect([1, 2, 3, 4, 5, 9].map((retry) => Math.round(retryBackoffMs(retry, 25, 250, 0.999999)))).toEqual([25, 50, 100, 200, 250, 250]);
  expect(retryBackoffMs(3, 25, 250, 0)).toBe(0);
});

test('breaker: limits and retry budget', () => {
  const breaker = new CircuitBreaker({ maxConnections: 1, maxPendingRequests: 0, maxRequests: 2, maxRetries: 1 }, () => 0);
  expect([breaker.mayConnect(), breaker.mayWait(), breaker.mayRequest(), breaker.mayRetry()]).toEqual([true, false, true, true]);
  breaker.requests = 2;
  breaker.retries = 1;
  expect([breaker.mayRequest(), breaker.mayRetry()]).toEqual([false, false]);
  breaker.update({ ...breaker.limits, retryBudget: { percent: 100, minConcurrency: 0 } });
  expect(breaker.mayRetry()).toBe(true);
});

test('a retry budget with an interval counts what has begun within it, by tenths, whatever is over', () => {
  let now = 12_345;
  const limits = { maxConnections: 1, maxPendingRequests: 0, maxRequests: 2, maxRetries: 1 };
  const breaker = new CircuitBreaker({ ...limits, retryBudget: { percent: 50, minConcurrency: 1, intervalMs: 1_000 } }, () => now);
  const most = (): number => {
    for (breaker.retries = 0; breaker.mayRetry();) breaker.retries++;
    return breaker.retries;
  };
  const begin = (requests: number): void => {
    for (let i = 0; i < requests; i++) breaker.begin();
    breaker.requests = 0;
  };
  expect(most()).toBe(1);
  begin(9);
  expect(most()).toBe(4);
  now = 12_900;
  begin(4);
  expect(most()).toBe(6);
  // The tenth that began at 12,300 is forgotten as a whole.
  now = 13_299;
  expect(most()).toBe(6);
  now = 13_300;
  expect(most()).toBe(2);
  // The same interval goes on, another begins anew.
  breaker.update({ ...limits, retryBudget: { percent: 100, minConcurrency: 1, intervalMs: 1_000 } });
  expect(most()).toBe(4);
  now = 1_000_000;
  expect(most()).toBe(1);
  begin(3);
  breaker.update({ ...limits, retryBudget: { percent: 100, minConcurrency: 1, intervalMs: 2_000 } });
  expect(most()).toBe(1);
});

test('rewrites leave the query alone', () => {
  expect(rewritePrefix('/api/x?y=/api', 4, '/v2')).toBe('/v2/x?y=/api');
  expect(rewritePrefix('/api/x', 1, 'v')).toBe('vapi/x');
  expect(compileRegexRewrite('^/service/([^/]+)(/.*)$', '\\2/instance/\\1')('/service/foo/v1?a=$1')).toBe('/v1/instance/foo?a=$1');
});

// Random rules of HTTPRoutes.

import type { Random } from '../../fuzz/random.ts';
import { CHANGED, CHANGED_BACK, headerPairs, rewritten } from './parts.ts';
import { HEADERS, HOSTS, defined, one, pathRegex, queryName, several } from './words.ts';

function apiFilters(random: Random, host: string, mirrored: boolean): object[] {
  const list = (names: readonly string[]): object[] =>
    Object.entries(headerPairs(random, names))
      .filter(([name], i, all) => all.findIndex(([n]) => n.toLowerCase() === name.toLowerCase()) === i)
      .map(([name, v]) => ({ name, value: v }));
  const modifier = (names: readonly string[]): object =>
    defined({ set: one(random, 2, () => list(names)), add: one(random, 2, () => list(names)), remove: one(random, 3, () => [random.pick(names)]) });
  const path = (): object =>
    random.below(2) === 0
      ? { type: 'ReplaceFullPath', replaceFullPath: rewritten(random) }
      : { type: 'ReplacePrefixMatch', replacePrefixMatch: rewritten(random) };
  const some: object[] = [];
  if (random.below(3) === 0) some.push({ type: 'RequestHeaderModifier', requestHeaderModifier: modifier(CHANGED) });
  if (random.below(3) === 0) some.push({ type: 'ResponseHeaderModifier', responseHeaderModifier: modifier(CHANGED_BACK) });
  if (mirrored && random.below(4) === 0) some.push({ type: 'RequestMirror', requestMirror: { backendRef: backend(host) } });
  if (random.below(8) === 0)
    some.push({
      type: 'CORS',
      cors: defined({
        allowOrigins: one(random, 1, () => [random.pick(['https://shop.example.com', 'https://*.example.com', '*'])]),
        allowMethods: one(random, 2, () => [random.pick(['GET', '*'])]),
        allowHeaders: one(random, 2, () => [random.pick(['x-a', '*'])]),
        allowCredentials: one(random, 2, () => true),
        maxAge: one(random, 2, () => 90),
      }),
    });
  const last = random.below(6);
  const hostname = one(random, 2, () => 'new.example.com');
  if (last === 0)
    some.push({
      type: 'RequestRedirect',
      requestRedirect: defined({
        scheme: one(random, 2, () => 'https'),
        hostname,
        path: one(random, 2, path),
        port: one(random, 3, () => random.pick([80, 443, 8443])),
        statusCode: one(random, 2, () => random.pick([301, 302, 303, 307, 308])),
      }),
    });
  if (last === 1) some.push({ type: 'URLRewrite', urlRewrite: defined({ hostname, path: one(random, 2, path) }) });
  return some;
}

const backend = (host: string): object => ({ group: 'networking.istio.io', kind: 'Hostname', name: host, port: 80 });

export function apiRule(random: Random, mirrored: boolean): object {
  const headerMatch = (): object =>
    defined({ name: random.pick(HEADERS), value: random.pick(['1', 'ab', 'a.*']), type: one(random, 3, () => 'RegularExpression') });
  const matchOf = (): object =>
    defined({
      path: one(random, 2, () =>
        random.below(3) === 0
          ? { type: 'RegularExpression', value: pathRegex(random) }
          : { type: random.pick(['Exact', 'PathPrefix']), value: random.pick(['/', '/a', '/a/b', '/A', '/api/v1', '/b/', '/a.b', '/s']) },
      ),
      headers: one(random, 4, () => [headerMatch()]),
      queryParams: one(random, 4, () => [{ ...headerMatch(), name: queryName(random) }]),
      method: one(random, 5, () => random.pick(['GET', 'POST', 'HEAD', 'OPTIONS'])),
    });
  const host = random.pick(HOSTS);
  const filters = apiFilters(random, host, mirrored);
  const redirects = filters.some((f) => (f as { type: string }).type === 'RequestRedirect');
  return defined({
    matches: JSON.stringify(filters).includes('ReplacePrefixMatch')
      ? [{ ...matchOf(), path: { type: 'PathPrefix', value: random.pick(['/', '/a', '/a/', '/s']) } }]
      : several(random, 3, matchOf),
    filters,
    backendRefs: redirects ? undefined : several(random, 2, () => ({ ...backend(random.pick([...HOSTS, 'nobody.test'])), weight: random.pick([1, 1, 0]) })),
    timeouts: one(random, 6, () => ({ request: random.pick(['300ms', '0s', '20s']) })),
    retry: one(random, 6, () => defined({ attempts: 1 + random.below(2), codes: one(random, 2, () => [500, 503]), backoff: '5ms' })),
  });
}

// What random configuration and random requests are made of: few words, so that one often meets the other.

import type { Random } from '../../fuzz/random.ts';

export const one = <T>(random: Random, chanceOf: number, make: () => T): T | undefined => (random.below(chanceOf) === 0 ? make() : undefined);

/** 1 to `most` of what `make` makes. */
export const several = <T>(random: Random, most: number, make: () => T): T[] => Array.from({ length: 1 + random.below(most) }, make);

/** Of these fields those that chance leaves there. */
export function defined(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

export const HOSTS = ['h0.test', 'h1.test', 'h2.test', 'h3.test', 'h4.test', 'h5.test'];
/** Subset and application of the same number. */
export const VERSIONS = ['v1', 'v2', 'v3'];

const PREFIXES = ['/', '/a', '/a/', '/a/b', '/A', '/api/v1', '/b/', '/x%2Fy', '/a.b', '/~c', '/caf%C3%A9', '/%20', '/;p', '/a//b', '/s'];
const REGEXES = [
  '/a/.*',
  '/[a-z]+(/.*)?',
  '/v[0-9]+/.*',
  '.*',
  '/(a|b)/[^/]+',
  '(?i)/API.*',
  '/a?',
  '.*\\.html',
  '/\\w+',
  '/[^/]*',
  '/a|/b',
  '^/a.*$',
  '/.+%2F.*',
];
const SEGMENTS = [
  ...['a', 'b', 'A', 'api', 'v1', 'c', 's', 'a.b', 'x.html', '', '.', '..', '...', '%2e', '%2E%2e', '%2f', 'x%2Fy', 'x%2fy', '%61', '%41', '%7E', '~c', '%7ec'],
  ...[
    'caf%C3%A9',
    'caf%c3%a9',
    'caf\u00e9',
    '%20',
    'a+b',
    ';p=1',
    '%5c',
    '\\',
    '\\..',
    '%',
    '%zz',
    '%0',
    '%25',
    '%2525',
    ':',
    '@',
    '*',
    '{x}',
    '|',
    '"',
    '<>',
    '^',
    '`',
  ],
];
const QUERIES = [
  ...[
    'q=1',
    'q=2',
    'q=ab',
    'q',
    'q=',
    'r=1',
    'q=1&q=2',
    'q=2&q=1',
    'r=a%20b',
    'r=a+b',
    '%71=1',
    'Q=1',
    'q=%31',
    '',
    '&',
    'q==1',
    'a?b',
    'q=1#f',
    'q=/../x',
    'r=&q=1',
  ],
];
export const HEADERS = ['x-a', 'X-B', 'x-c', 'user-agent', 'x-B', 'cookie', 'accept'];
const VALUES = ['1', '2', 'ab', 'abc', 'b', '', 'a,b', 'a, b', 'A', '"q"', 'a=1; b=2', 'caf\u00e9', 'x y'];
export const METHODS = ['GET', 'GET', 'GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'PROPFIND'];

export const prefix = (random: Random): string => random.pick(PREFIXES);
export const value = (random: Random): string => random.pick(VALUES);
export const queryName = (random: Random): string => random.pick(['q', 'r', 'Q']);

export const pathRegex = (random: Random): string => random.pick(REGEXES);

export function stringMatch(random: Random, values: readonly string[], regexes: readonly string[]): object {
  const [text, kind] = [random.pick(values), random.below(3)];
  return kind === 0 ? { exact: text || 'ab' } : kind === 1 ? { prefix: text || 'a' } : { regex: random.pick(regexes) };
}
export const pathMatch = (random: Random): object => stringMatch(random, PREFIXES, REGEXES);
export const valueMatch = (random: Random): object => stringMatch(random, VALUES, ['[0-9]', 'a.*', '.+', '.*', '(?i)AB', 'a|b', '[^,]*', 'b$']);

export function path(random: Random): string {
  const parts =
    random.below(3) === 0
      ? [random.pick(PREFIXES).slice(1), ...(random.below(2) === 0 ? [random.pick(SEGMENTS)] : [])]
      : several(random, 4, () => random.pick(SEGMENTS));
  const query = random.below(2) === 0 ? `?${random.pick(QUERIES)}` : '';
  return `/${parts.join('/')}${query}`;
}

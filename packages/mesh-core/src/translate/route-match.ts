// What is decided by the request itself; who asks is decided when the routes are made.

import type { JsonObject } from '@bufbuild/protobuf';
import type { HttpMatchSpec, StringMatchSpec } from '../config/index.ts';
import { without } from './common.ts';

export interface RouteMatchOptions {
  /** Prefixes end at a path segment, as in the Gateway API. */
  segments?: boolean;
}

/** Envoy's route match; undefined = every request. */
export function routeMatch(match: HttpMatchSpec | undefined, { segments = false }: RouteMatchOptions = {}): JsonObject {
  if (match === undefined) return { prefix: '/' };
  const named = [
    ...Object.entries(match.headers ?? {}).map(([name, m]) => ({ name, m, invert: false })),
    ...Object.entries(match.withoutHeaders ?? {}).map(([name, m]) => ({ name, m, invert: true })),
  ].toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const headers = named.filter(({ name }) => claimOf(name) === undefined).map(({ name, m, invert }) => headerMatch(name, m, invert));
  const claims = named.flatMap(({ name, m, invert }) => {
    const path = claimOf(name);
    return path === undefined ? [] : [claimMatch(path, m, invert)];
  });
  for (const [name, m] of [
    [':method', match.method],
    [':authority', match.authority],
    [':scheme', match.scheme],
  ] as const)
    if (m !== undefined) headers.push(headerMatch(name, m, false));
  const query = Object.entries(match.queryParams ?? {}).map(([name, m]) => ({
    name,
    ...(isPresence(m) ? { presentMatch: true } : { stringMatch: stringMatcher(m) }),
  }));
  return without({
    ...path(match.uri, segments),
    caseSensitive: match.ignoreUriCase === true ? false : undefined,
    headers: headers.length === 0 ? undefined : headers,
    queryParameters: query.length === 0 ? undefined : query,
    dynamicMetadata: claims.length === 0 ? undefined : claims,
  });
}

/** Whether nothing can get past a route with this match. */
export function isCatchAll({ prefix, safeRegex, headers, queryParameters, dynamicMetadata }: JsonObject): boolean {
  const all = prefix === '/' || (typeof safeRegex === 'object' && JSON.stringify(safeRegex) === '{"regex":".*"}');
  return all && headers === undefined && queryParameters === undefined && dynamicMetadata === undefined;
}

function path(uri: StringMatchSpec | undefined, segments: boolean): JsonObject {
  if (uri?.exact !== undefined) return { path: uri.exact };
  if (uri?.regex !== undefined) return { safeRegex: { regex: uri.regex } };
  const prefix = uri?.prefix ?? '/';
  return segments && prefix !== '/' ? { pathSeparatedPrefix: prefix.replace(/\/$/, '') } : { prefix };
}

/** `{}` and the regex `*`, which is none, ask whether the field is there. */
function isPresence(m: StringMatchSpec): boolean {
  return Object.keys(m).length === 0 || m.regex === '*';
}

function headerMatch(name: string, m: StringMatchSpec, invert: boolean): JsonObject {
  const lower = name.toLowerCase();
  if (isPresence(m)) return { name: lower, presentMatch: true, ...(invert ? { invertMatch: true } : {}) };
  return { name: lower, stringMatch: stringMatcher(m), ...(invert ? { invertMatch: true, treatMissingHeaderAsEmpty: true } : {}) };
}

export function stringMatcher(m: StringMatchSpec): JsonObject {
  return m.exact !== undefined ? { exact: m.exact } : m.prefix !== undefined ? { prefix: m.prefix } : { safeRegex: { regex: m.regex ?? '' } };
}

const CLAIMS = '@request.auth.claims';

/** Path of a JWT claim: `@request.auth.claims.group.id` or `@request.auth.claims[group][id]`; undefined for a header. */
function claimOf(name: string): string[] | undefined {
  if (!name.toLowerCase().startsWith(CLAIMS)) return undefined;
  const rest = name.slice(CLAIMS.length);
  if (rest.startsWith('.') && rest.length > 1) return rest.slice(1).split('.');
  return /^\[.+\]$/.test(rest) ? rest.slice(1, -1).split('][') : undefined;
}

/** A claim is text or a list with it. */
function claimMatch(claim: readonly string[], m: StringMatchSpec, invert: boolean): JsonObject {
  const value = isPresence(m) ? { presentMatch: true } : { stringMatch: stringMatcher(m) };
  return {
    filter: 'envoy.filters.http.jwt_authn',
    path: ['payload', ...claim].map((key) => ({ key })),
    value: { orMatch: { valueMatchers: [{ listMatch: { oneOf: value } }, value] } },
    ...(invert ? { invert: true } : {}),
  };
}

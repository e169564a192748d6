// Route matching: a route's match compiled to one predicate over a request view.

import { compileRegex, compileStringMatch, type StringMatchSpec, type StringPredicate } from './string-match.ts';

export interface PathMatchSpec {
  kind: 'prefix' | 'exact' | 'regex' | 'path-separated-prefix';
  value: string;
}

export interface HeaderMatchSpec {
  /** Lower case; `:method`, `:authority`, `:path`, `:scheme` for those. */
  name: string;
  match: StringMatchSpec | 'present' | 'absent';
  invert: boolean;
  treatMissingAsEmpty: boolean;
}

export interface RouteMatchSpec {
  path: PathMatchSpec;
  caseSensitive: boolean;
  headers: readonly HeaderMatchSpec[];
  query: readonly { name: string; match: StringMatchSpec | 'present' }[];
}

export interface RequestView {
  readonly method: string;
  /** With query. */
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  /** First value of a field, name in lower case. */
  get(name: string): string | undefined;
}

export type RoutePredicate = (request: RequestView) => boolean;

/** The path without its query. */
export function pathWithoutQuery(path: string): string {
  const query = path.indexOf('?');
  return query < 0 ? path : path.slice(0, query);
}

/** @throws RegexError for a pattern RE2 refuses. */
export function compileRouteMatch(spec: RouteMatchSpec): RoutePredicate {
  const path = compilePath(spec.path, spec.caseSensitive);
  const headers = spec.headers.map(compileHeader);
  const query = spec.query.map((entry) => ({ name: entry.name, test: entry.match === 'present' ? undefined : compileStringMatch(entry.match) }));
  if (headers.length === 0 && query.length === 0) return (request) => path(request.path);
  return (request) => {
    if (!path(request.path)) return false;
    for (const header of headers) if (!header(request)) return false;
    for (const entry of query) {
      const value = queryParameter(request.path, entry.name);
      if (value === undefined || (entry.test !== undefined && !entry.test(value))) return false;
    }
    return true;
  };
}

function compilePath(spec: PathMatchSpec, caseSensitive: boolean): StringPredicate {
  const fold = caseSensitive || spec.kind === 'regex' ? (path: string): string => path : (path: string): string => path.toLowerCase();
  const value = fold(spec.value);
  switch (spec.kind) {
    case 'prefix':
      if (value === '/' || value === '') return () => true;
      // A prefix that ends before the query cannot reach into it, unless it contains a question mark itself.
      return value.includes('?') ? (path) => fold(path).startsWith(value) : (path) => fold(pathWithoutQuery(path)).startsWith(value);
    case 'exact':
      return (path) => fold(pathWithoutQuery(path)) === value;
    case 'path-separated-prefix':
      return (path) => {
        const bare = fold(pathWithoutQuery(path));
        return bare.startsWith(value) && (bare.length === value.length || bare.charCodeAt(value.length) === 0x2f);
      };
    case 'regex': {
      const regex = compileRegex(spec.value);
      return (path) => regex.testExact(pathWithoutQuery(path));
    }
  }
}

function compileHeader(spec: HeaderMatchSpec): RoutePredicate {
  const read = headerReader(spec.name);
  if (spec.match === 'present' || spec.match === 'absent') {
    const wanted = (spec.match === 'present') !== spec.invert;
    return (request) => (read(request) !== undefined) === wanted;
  }
  const test = compileStringMatch(spec.match);
  return (request) => {
    const value = read(request) ?? (spec.treatMissingAsEmpty ? '' : undefined);
    // Envoy: a missing header fails the match, and an inverted match does hold for a missing header.
    if (value === undefined) return spec.invert;
    return test(value) !== spec.invert;
  };
}

function headerReader(name: string): (request: RequestView) => string | undefined {
  switch (name) {
    case ':method':
      return (request) => request.method;
    case ':path':
      return (request) => request.path;
    case ':authority':
    case 'host':
      return (request) => request.authority;
    case ':scheme':
      return (request) => request.scheme;
    default:
      return (request) => request.get(name);
  }
}

/** First value of a query parameter, percent-decoded; undefined when absent. A malformed escape is taken literally. */
export function queryParameter(path: string, name: string): string | undefined {
  const start = path.indexOf('?');
  if (start < 0) return undefined;
  for (const part of path.slice(start + 1).split('&')) {
    const equals = part.indexOf('=');
    if (decode(equals < 0 ? part : part.slice(0, equals)) === name) return equals < 0 ? '' : decode(part.slice(equals + 1));
  }
  return undefined;
}

function decode(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}

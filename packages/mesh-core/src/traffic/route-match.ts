// Route matching: a route's match compiled to one predicate over a request view.

import { isGrpcContentType } from '../model/grpc.ts';
import { happens, type Fraction } from './fraction.ts';
import { compileMetadataMatch, type DynamicMetadata, type MetadataMatchSpec } from './metadata-match.ts';
import { compileRegex, compileStringMatch, type StringMatchSpec, type StringPredicate } from './string-match.ts';

export interface PathMatchSpec {
  kind: 'prefix' | 'exact' | 'regex' | 'path-separated-prefix';
  value: string;
}

export interface HeaderMatchSpec {
  /** Lower case; `:method`, `:authority`, `:path`, `:scheme` for those. */
  name: string;
  /** `range` is of whole numbers, the end not included. */
  match: StringMatchSpec | 'present' | 'absent' | { kind: 'range'; start: number; end: number };
  invert: boolean;
  treatMissingAsEmpty: boolean;
}

export interface RouteMatchSpec {
  path: PathMatchSpec;
  caseSensitive: boolean;
  headers: readonly HeaderMatchSpec[];
  query: readonly { name: string; match: StringMatchSpec | 'present' | 'absent' }[];
  /** Only gRPC requests. */
  grpc?: boolean;
  /** What must hold of the client's certificate. */
  tls?: { presented?: boolean; validated?: boolean };
  /** What filters have found out. */
  metadata?: readonly MetadataMatchSpec[];
  /** Share of requests that match at all. */
  fraction?: Fraction;
}

export interface RequestView {
  readonly method: string;
  /** With query. */
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  /** First value of a field, name in lower case. */
  get(name: string): string | undefined;
  /** Whether any value of the field passes `test`; undefined when the field is absent. Without it the first value decides. */
  some?(name: string, test: StringPredicate): boolean | undefined;
  /** A certificate of the client was presented and, as nothing else is let in, validated. */
  readonly clientCertificate?: boolean;
  readonly metadata?: DynamicMetadata | undefined;
}

export type RoutePredicate = (request: RequestView, random: () => number) => boolean;

/** The path without its query. */
export function pathWithoutQuery(path: string): string {
  const query = path.indexOf('?');
  return query < 0 ? path : path.slice(0, query);
}

/** @throws RegexError for a pattern RE2 refuses. */
export function compileRouteMatch(spec: RouteMatchSpec): RoutePredicate {
  const path = compilePath(spec.path, spec.caseSensitive);
  const tests: RoutePredicate[] = [...spec.headers.map(compileHeaderMatch), ...spec.query.map(compileQuery)];
  if (spec.grpc === true) tests.push((request) => isGrpcContentType(request.get('content-type') ?? ''));
  const { tls, fraction } = spec;
  if (tls !== undefined)
    tests.push(
      ({ clientCertificate = false }) =>
        (tls.presented ?? clientCertificate) === clientCertificate && (tls.validated ?? clientCertificate) === clientCertificate,
    );
  for (const matches of spec.metadata?.map(compileMetadataMatch) ?? []) tests.push(({ metadata }) => matches(metadata));
  if (fraction !== undefined) tests.push((_, random) => happens(fraction, random));
  if (tests.length === 0) return (request) => path(request.path);
  return (request, random) => {
    if (!path(request.path)) return false;
    for (const test of tests) if (!test(request, random)) return false;
    return true;
  };
}

function compilePath(spec: PathMatchSpec, caseSensitive: boolean): StringPredicate {
  const fold = caseSensitive || spec.kind === 'regex' ? (path: string): string => path : (path: string): string => path.toLowerCase();
  const value = fold(spec.value);
  switch (spec.kind) {
    case 'prefix':
      if (value === '') return () => true;
      // All but the * of OPTIONS.
      if (value === '/') return (path) => path.charCodeAt(0) === 0x2f;
      // The query is no part of what is matched: a prefix with a question mark never holds (as Envoy).
      return value.includes('?') ? () => false : (path) => fold(path).startsWith(value);
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

/** @throws RegexError */
export function compileHeaderMatch(spec: HeaderMatchSpec): (request: RequestView) => boolean {
  const { match, invert, treatMissingAsEmpty } = spec;
  const read = headerReader(spec.name);
  if (match === 'present' || match === 'absent') {
    const wanted = (match === 'present') !== invert;
    // A missing header that counts as empty is there.
    return (request) => (treatMissingAsEmpty || read(request) !== undefined) === wanted;
  }
  const test = match.kind === 'range' ? compileRange(match.start, match.end) : compileStringMatch(match);
  const missing = treatMissingAsEmpty && test('') !== invert;
  const plain = spec.name.startsWith(':') || spec.name === 'host';
  return (request) => {
    // Envoy tries each value of a repeated field by itself; a missing one fails the match, an inverted match too.
    const found = plain || request.some === undefined ? testFirst(read(request), test) : request.some(spec.name, test);
    return found === undefined ? missing : found !== invert;
  };
}

function testFirst(value: string | undefined, test: StringPredicate): boolean | undefined {
  return value === undefined ? undefined : test(value);
}

function compileRange(start: number, end: number): StringPredicate {
  return (value) => {
    if (!/^[+-]?\d{1,19}$/.test(value)) return false;
    const number = Number(value);
    return number >= start && number < end;
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

function compileQuery(spec: RouteMatchSpec['query'][number]): RoutePredicate {
  const { name, match } = spec;
  if (match === 'present' || match === 'absent') return (request) => (queryParameter(request.path, name) !== undefined) === (match === 'present');
  const test = compileStringMatch(match);
  return (request) => {
    const value = queryParameter(request.path, name);
    return value !== undefined && test(value);
  };
}

/** First value of a query parameter as it stands: Envoy decodes neither names nor values. Undefined when absent. */
export function queryParameter(path: string, name: string): string | undefined {
  const start = path.indexOf('?');
  if (start < 0) return undefined;
  for (const part of path.slice(start + 1).split('&')) {
    const equals = part.indexOf('=');
    if ((equals < 0 ? part : part.slice(0, equals)) === name) return equals < 0 ? '' : part.slice(equals + 1);
  }
  return undefined;
}

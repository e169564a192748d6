// Parts of a route that only depend on the rule they come from: match, retries, header operations, faults, CORS.

import type { JsonObject } from '@bufbuild/protobuf';
import { type HttpMatchSpec, type HttpRouteSpec, type StringMatchSpec, durationMs } from '../config/index.ts';
import { any, seconds, without } from './common.ts';

/** Istio's default: two retries on what is safe to repeat. */
const DEFAULT_RETRY_ON = 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes';

/** Envoy retry policy; numbers in retryOn become status codes. */
export function retryPolicy(retries: NonNullable<HttpRouteSpec['retries']>, avoidPreviousHosts: boolean): JsonObject {
  const words = (retries.retryOn ?? DEFAULT_RETRY_ON).split(',').map((w) => w.trim());
  const codes = words.map(Number).filter((n) => Number.isInteger(n));
  const names = words.filter((w) => !/^\d+$/.test(w));
  if (codes.length > 0 && !names.includes('retriable-status-codes')) names.push('retriable-status-codes');
  return without({
    retryOn: names.join(','),
    numRetries: retries.attempts ?? 2,
    retriableStatusCodes: codes.length === 0 ? undefined : codes,
    perTryTimeout: retries.perTryTimeout === undefined ? undefined : seconds(durationMs(retries.perTryTimeout) ?? 0),
    retryBackOff: retries.backoff === undefined ? undefined : { baseInterval: seconds(durationMs(retries.backoff) ?? 25) },
    hostSelectionRetryMaxAttempts: '5',
    retryHostPredicate: avoidPreviousHosts
      ? [{ name: 'envoy.retry_host_predicates.previous_hosts', typedConfig: any('envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate') }]
      : undefined,
  });
}

/** What is decided by the request; who asks is decided before. Undefined = every request. */
export function routeMatch(match: HttpMatchSpec | undefined): JsonObject {
  const uri = match?.uri;
  const path: JsonObject =
    uri?.exact !== undefined ? { path: uri.exact } : uri?.regex !== undefined ? { safeRegex: { regex: uri.regex } } : { prefix: uri?.prefix ?? '/' };
  if (match === undefined) return path;
  const headers: JsonObject[] = [];
  for (const [name, m] of Object.entries(match.headers ?? {})) headers.push(headerMatch(name.toLowerCase(), m));
  for (const [name, m] of Object.entries(match.withoutHeaders ?? {}))
    headers.push({ ...headerMatch(name.toLowerCase(), m), invertMatch: true, ...(isPresence(m) ? {} : { treatMissingHeaderAsEmpty: true }) });
  if (match.method !== undefined) headers.push(headerMatch(':method', match.method));
  if (match.authority !== undefined) headers.push(headerMatch(':authority', match.authority));
  if (match.scheme !== undefined) headers.push(headerMatch(':scheme', match.scheme));
  const query = Object.entries(match.queryParams ?? {}).map(([name, m]) => ({
    name,
    ...(isPresence(m) ? { presentMatch: true } : { stringMatch: stringMatcher(m) }),
  }));
  return without({
    ...path,
    caseSensitive: match.ignoreUriCase === true && uri?.regex === undefined ? false : undefined,
    headers: headers.length === 0 ? undefined : headers,
    queryParameters: query.length === 0 ? undefined : query,
  });
}

function isPresence(m: StringMatchSpec): boolean {
  return Object.keys(m).length === 0 || m.regex === '*';
}

function headerMatch(name: string, m: StringMatchSpec): JsonObject {
  return isPresence(m) ? { name, presentMatch: true } : { name, stringMatch: stringMatcher(m) };
}

function stringMatcher(m: StringMatchSpec): JsonObject {
  return m.exact !== undefined ? { exact: m.exact } : m.prefix !== undefined ? { prefix: m.prefix } : { safeRegex: { regex: m.regex ?? '' } };
}

/** Header operations of a route or destination; Host and pseudo-headers are not among them: they are rewrites. */
export function headerOperations(headers: HttpRouteSpec['headers']): JsonObject {
  const add = (operations: { set?: Record<string, string> | undefined; add?: Record<string, string> | undefined } | undefined): JsonObject[] =>
    [
      ...Object.entries(operations?.set ?? {}).map(([key, value]) => ({ header: { key, value }, appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' })),
      ...Object.entries(operations?.add ?? {}).map(([key, value]) => ({ header: { key, value }, appendAction: 'APPEND_IF_EXISTS_OR_ADD' })),
    ].filter(({ header }) => !header.key.startsWith(':') && header.key.toLowerCase() !== 'host');
  const some = <T>(list: T[]): T[] | undefined => (list.length === 0 ? undefined : list);
  return without({
    requestHeadersToAdd: some(add(headers?.request)),
    requestHeadersToRemove: some(headers?.request?.remove ?? []),
    responseHeadersToAdd: some(add(headers?.response)),
    responseHeadersToRemove: some(headers?.response?.remove ?? []),
  });
}

/** `percent` 0-100 as parts of a million. */
export function fraction(percent: number): JsonObject {
  return { numerator: Math.round(percent * 10_000), denominator: 'MILLION' };
}

/** A percentage left out is 0 %, not 100 (Istio). */
export function faultFilter(fault: NonNullable<HttpRouteSpec['fault']>): JsonObject {
  const { delay, abort } = fault;
  return without({
    delay:
      delay === undefined
        ? undefined
        : { fixedDelay: seconds(durationMs(delay.fixedDelay) ?? 0), percentage: fraction(delay.percentage?.value ?? delay.percent ?? 0) },
    abort:
      abort === undefined
        ? undefined
        : {
            ...(abort.httpStatus === undefined ? { grpcStatus: grpcCode(abort.grpcStatus ?? '') } : { httpStatus: abort.httpStatus }),
            percentage: fraction(abort.percentage?.value ?? 0),
          },
  });
}

function grpcCode(name: string): number {
  return Math.max(
    0,
    [
      'OK',
      'CANCELLED',
      'UNKNOWN',
      'INVALID_ARGUMENT',
      'DEADLINE_EXCEEDED',
      'NOT_FOUND',
      'ALREADY_EXISTS',
      'PERMISSION_DENIED',
      'RESOURCE_EXHAUSTED',
      'FAILED_PRECONDITION',
      'ABORTED',
      'OUT_OF_RANGE',
      'UNIMPLEMENTED',
      'INTERNAL',
      'UNAVAILABLE',
      'DATA_LOSS',
      'UNAUTHENTICATED',
    ].indexOf(name),
  );
}

/** Istio's CORS policy as the filter's own. */
export function cors(policy: NonNullable<HttpRouteSpec['corsPolicy']>): JsonObject {
  return without({
    allowOriginStringMatch: (policy.allowOrigins ?? []).map(stringMatcher),
    allowMethods: policy.allowMethods?.join(','),
    allowHeaders: policy.allowHeaders?.join(','),
    exposeHeaders: policy.exposeHeaders?.join(','),
    maxAge: policy.maxAge === undefined ? undefined : String((durationMs(policy.maxAge) ?? 0) / 1_000),
    allowCredentials: policy.allowCredentials,
    forwardNotMatchingPreflights: policy.unmatchedPreflights !== 'IGNORE',
  });
}

// When a try that failed may be made again: Envoy's `retry_on` as a set of bits, and what headers of the request may change of it.

import type { HeaderMatchSpec, RequestView } from './route-match.ts';
import { compileHeaderMatch } from './route-match.ts';

export type TryOutcome =
  | { kind: 'response'; status: number; rateLimited: boolean; grpcStatus: number | undefined; fields?: ResponseFields }
  /** No connection, TLS handshake included. */
  | { kind: 'connect-failure' }
  /** The peer says it has not begun with the request. */
  | { kind: 'refused' }
  /** The stream ended before the response head; `sent` = some of the request had left. */
  | { kind: 'reset'; sent: boolean }
  | { kind: 'per-try-timeout' };

export type ResponseFields = Pick<RequestView, 'get' | 'some'>;

export interface RetryRules {
  /** Bits of `parseRetryOn`; 0 = never. */
  conditions: number;
  /** Retries after the first try. */
  retries: number;
  statusCodes: readonly number[];
  /** With `retriable-headers`: any of these in the response. */
  responseHeaders: readonly ((response: ResponseFields) => boolean)[];
}

export interface RetrySpec {
  /** Envoy's names; digits count as status codes. */
  on: readonly string[];
  retries: number;
  statusCodes: readonly number[];
  retriableHeaders: readonly HeaderMatchSpec[];
}

const bits = {
  '5xx': 1,
  'gateway-error': 2,
  'connect-failure': 4,
  'retriable-4xx': 8,
  'refused-stream': 16,
  'retriable-status-codes': 32,
  'retriable-headers': 64,
  reset: 128,
  'reset-before-request': 256,
  'envoy-ratelimited': 512,
  cancelled: 1024,
  'deadline-exceeded': 2048,
  'resource-exhausted': 4096,
  unavailable: 8192,
  internal: 16384,
} as const;
const grpcBits: Readonly<Record<number, number>> = {
  1: bits.cancelled,
  4: bits['deadline-exceeded'],
  8: bits['resource-exhausted'],
  13: bits.internal,
  14: bits.unavailable,
};
const anyGrpc = bits.cancelled | bits['deadline-exceeded'] | bits['resource-exhausted'] | bits.internal | bits.unavailable;

/** Unknown names count for nothing, as in Envoy. */
function parseRetryOn(names: readonly string[]): number {
  let conditions = 0;
  for (const name of names) conditions |= bits[name.trim() as keyof typeof bits] ?? 0;
  return conditions;
}

/** @throws RegexError */
export function compileRetry(spec: RetrySpec): RetryRules {
  const codes = spec.on.filter((name) => /^[1-5]\d\d$/.test(name.trim())).map(Number);
  return {
    conditions: parseRetryOn(spec.on) | (codes.length > 0 ? bits['retriable-status-codes'] : 0),
    retries: spec.retries,
    statusCodes: [...spec.statusCodes, ...codes],
    responseHeaders: spec.retriableHeaders.map((match) => onFields(compileHeaderMatch(match))),
  };
}

function onFields(matches: (request: RequestView) => boolean): (response: ResponseFields) => boolean {
  const view = { method: '', path: '', authority: '', scheme: '' };
  return (response) => matches({ ...view, get: (name) => response.get(name), ...(response.some === undefined ? {} : { some: response.some.bind(response) }) });
}

const noRules: RetryRules = { conditions: 0, retries: 1, statusCodes: [], responseHeaders: [] };

/** The rules with what an internal request's `x-envoy-*` headers say; the same object when they say nothing. */
export function overrideRetry(rules: RetryRules | undefined, request: Pick<RequestView, 'get'>): RetryRules | undefined {
  const on = parseRetryOn([...list(request.get('x-envoy-retry-on')), ...list(request.get('x-envoy-retry-grpc-on'))]);
  const base = rules ?? noRules;
  const conditions = base.conditions | on;
  if (conditions === 0) return rules;
  const max = wholeNumber(request.get('x-envoy-max-retries'));
  const codes = list(request.get('x-envoy-retriable-status-codes')).flatMap((code) => wholeNumber(code) ?? []);
  const names = list(request.get('x-envoy-retriable-header-names'));
  if (on === 0 && max === undefined && codes.length === 0 && names.length === 0) return rules;
  return {
    conditions,
    retries: max ?? base.retries,
    statusCodes: [...base.statusCodes, ...codes],
    responseHeaders: [...base.responseHeaders, ...names.map((name) => (response: ResponseFields) => response.get(name.toLowerCase()) !== undefined)],
  };
}

function list(value: string | undefined): string[] {
  return value === undefined ? [] : value.split(',').flatMap((word) => word.trim() || []);
}

/** A header that must be digits only, else it is as if it were not there. */
export function wholeNumber(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,10}$/.test(value) ? Number(value) : undefined;
}

export function shouldRetry(rules: RetryRules, outcome: TryOutcome): boolean {
  const { conditions } = rules;
  switch (outcome.kind) {
    case 'response':
      return forResponse(rules, outcome);
    case 'connect-failure':
      return (conditions & (bits.reset | bits['reset-before-request'] | bits['5xx'] | bits['gateway-error'] | bits['connect-failure'])) !== 0;
    case 'refused':
      return (conditions & (bits.reset | bits['5xx'] | bits['gateway-error'] | bits['refused-stream'])) !== 0;
    case 'reset':
      if (!outcome.sent && (conditions & bits['reset-before-request']) !== 0) return true;
      return (conditions & (bits.reset | bits['5xx'] | bits['gateway-error'])) !== 0;
    case 'per-try-timeout':
      return (conditions & (bits.reset | bits['5xx'] | bits['gateway-error'])) !== 0;
  }
}

function forResponse(rules: RetryRules, outcome: Extract<TryOutcome, { kind: 'response' }>): boolean {
  const { conditions } = rules;
  const { status, grpcStatus, fields } = outcome;
  // From an Envoy further on that limits the rate: only for those who ask for it.
  if (outcome.rateLimited) return (conditions & bits['envoy-ratelimited']) !== 0;
  if ((conditions & bits['5xx']) !== 0 && status >= 500 && status <= 599) return true;
  if ((conditions & bits['gateway-error']) !== 0 && status >= 502 && status <= 504) return true;
  if ((conditions & bits['retriable-4xx']) !== 0 && status === 409) return true;
  if ((conditions & bits['retriable-status-codes']) !== 0 && rules.statusCodes.includes(status)) return true;
  if ((conditions & bits['retriable-headers']) !== 0 && fields !== undefined) for (const matches of rules.responseHeaders) if (matches(fields)) return true;
  // Read from the head: a status in trailers comes too late.
  return grpcStatus !== undefined && (conditions & anyGrpc) !== 0 && (conditions & (grpcBits[grpcStatus] ?? 0)) !== 0;
}

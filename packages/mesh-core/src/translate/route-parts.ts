// Parts of a route that only depend on the rule they come from: header operations, faults, CORS.

import type { JsonObject } from '@bufbuild/protobuf';
import { type HttpRouteSpec, durationMs } from '../config/index.ts';
import { GRPC_STATUS } from '../model/index.ts';
import { seconds, without } from './common.ts';
import { stringMatcher } from './route-match.ts';

export interface HeaderOperations {
  requestHeadersToAdd?: JsonObject[];
  requestHeadersToRemove?: string[];
  responseHeadersToAdd?: JsonObject[];
  responseHeadersToRemove?: string[];
}
type Operations = NonNullable<NonNullable<HttpRouteSpec['headers']>['request']>;

/** Header operations of a route or destination; Host and pseudo-headers are not among them: they are rewrites. */
export function headerOperations(headers: HttpRouteSpec['headers']): HeaderOperations & JsonObject {
  return without({
    requestHeadersToAdd: some(additions(headers?.request)),
    requestHeadersToRemove: some((headers?.request?.remove ?? []).filter((key) => !isInternal(key))),
    responseHeadersToAdd: some(additions(headers?.response)),
    responseHeadersToRemove: some((headers?.response?.remove ?? []).filter((key) => !isInternal(key))),
  });
}

/** A single destination's operations come after its route's. */
export function joinOperations(first: HeaderOperations, second: HeaderOperations): JsonObject {
  return without({
    requestHeadersToAdd: some([...(first.requestHeadersToAdd ?? []), ...(second.requestHeadersToAdd ?? [])]),
    requestHeadersToRemove: some([...(first.requestHeadersToRemove ?? []), ...(second.requestHeadersToRemove ?? [])]),
    responseHeadersToAdd: some([...(first.responseHeadersToAdd ?? []), ...(second.responseHeadersToAdd ?? [])]),
    responseHeadersToRemove: some([...(first.responseHeadersToRemove ?? []), ...(second.responseHeadersToRemove ?? [])]),
  });
}

function additions(operations: Operations | undefined): JsonObject[] {
  const list = (headers: Record<string, string> | undefined, appendAction: string): JsonObject[] =>
    Object.entries(headers ?? {})
      .filter(([key]) => !isInternal(key))
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => ({ header: { key, value }, appendAction }));
  return [...list(operations?.set, 'OVERWRITE_IF_EXISTS_OR_ADD'), ...list(operations?.add, 'APPEND_IF_EXISTS_OR_ADD')];
}

/** The Host that header operations ask for; `set` before `add`. */
export function hostHeader(operations: Operations | undefined): string | undefined {
  const find = (headers: Record<string, string> | undefined): string | undefined =>
    Object.entries(headers ?? {}).find(([key]) => /^(:authority|host)$/i.test(key))?.[1];
  return find(operations?.set) || find(operations?.add) || undefined;
}

function isInternal(key: string): boolean {
  return key.startsWith(':') || key.toLowerCase() === 'host';
}

function some<T>(list: T[]): T[] | undefined {
  return list.length === 0 ? undefined : list;
}

/** A percentage as parts of a million, cut off below as Istio does; the old whole numbers, `fallback`, as parts of a hundred. */
export function percentage(percent: { value?: number | undefined } | undefined, fallback: number): JsonObject {
  return percent === undefined ? { numerator: fallback } : { numerator: Math.trunc((percent.value ?? 0) * 10_000), denominator: 'MILLION' };
}

/** A percentage left out is 0 %, not 100 (Istio). */
export function faultFilter(fault: NonNullable<HttpRouteSpec['fault']>): JsonObject {
  const { delay, abort } = fault;
  return without({
    delay:
      delay === undefined
        ? undefined
        : { fixedDelay: seconds(durationMs(delay.fixedDelay) ?? 0), percentage: percentage(delay.percentage, delay.percent ?? 0) },
    abort:
      abort === undefined
        ? undefined
        : {
            ...(abort.httpStatus === undefined ? { grpcStatus: grpcCode(abort.grpcStatus ?? '') } : { httpStatus: abort.httpStatus }),
            ...(abort.percentage === undefined ? {} : { percentage: percentage(abort.percentage, 0) }),
          },
  });
}

function grpcCode(name: string): number {
  return Math.max(
    0,
    GRPC_STATUS.findIndex((status) => status === name),
  );
}

/** Istio's CORS policy as the filter's own. */
export function cors(policy: NonNullable<HttpRouteSpec['corsPolicy']>): JsonObject {
  return without({
    allowOriginStringMatch: policy.allowOrigins?.map(stringMatcher) ?? policy.allowOrigin?.map((exact) => ({ exact })),
    allowMethods: policy.allowMethods?.join(','),
    allowHeaders: policy.allowHeaders?.join(','),
    exposeHeaders: policy.exposeHeaders?.join(','),
    maxAge: policy.maxAge === undefined ? undefined : String((durationMs(policy.maxAge) ?? 0) / 1_000),
    allowCredentials: policy.allowCredentials,
    forwardNotMatchingPreflights: policy.unmatchedPreflights !== 'IGNORE',
  });
}

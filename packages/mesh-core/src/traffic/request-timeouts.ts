// How long a request and each of its tries may take: the route's word, and what headers of an internal request change of it.

import { wholeNumber } from './retry.ts';
import type { RequestView } from './route-match.ts';

export interface TimeoutSpec {
  /** 0 = none. */
  timeoutMs: number;
  perTryTimeoutMs: number;
  /** Set: `grpc-timeout` of gRPC requests counts in the route timeout's stead, at most this (0 = any). */
  maxGrpcTimeoutMs?: number | undefined;
  grpcTimeoutOffsetMs?: number | undefined;
  hedgeOnPerTryTimeout: boolean;
}

export interface Timeouts {
  /** 0 = none. */
  globalMs: number;
  perTryMs: number;
  /** What the upstream is told in `x-envoy-expected-rq-timeout-ms`, 0 = nothing. */
  expectedMs: number;
}

/** `internal`: the request's `x-envoy-upstream-rq-*` headers count. `grpcTimeoutMs`: of a gRPC request, 0 = it names none; undefined = not gRPC. */
export function requestTimeouts(spec: TimeoutSpec, request: Pick<RequestView, 'get'>, internal: boolean, grpcTimeoutMs: number | undefined): Timeouts {
  let globalMs = spec.timeoutMs;
  if (grpcTimeoutMs !== undefined && spec.maxGrpcTimeoutMs !== undefined) {
    const offset = spec.grpcTimeoutOffsetMs ?? 0;
    const max = spec.maxGrpcTimeoutMs;
    globalMs = offset < grpcTimeoutMs ? grpcTimeoutMs - offset : grpcTimeoutMs;
    if (max > 0 && (globalMs === 0 || globalMs > max)) globalMs = max;
  }
  let perTryMs = spec.perTryTimeoutMs;
  if (internal) {
    globalMs = wholeNumber(request.get('x-envoy-upstream-rq-timeout-ms')) ?? globalMs;
    perTryMs = wholeNumber(request.get('x-envoy-upstream-rq-per-try-timeout-ms')) ?? perTryMs;
  }
  if (globalMs > 0 && perTryMs >= globalMs) perTryMs = 0;
  return { globalMs, perTryMs, expectedMs: spec.hedgeOnPerTryTimeout || perTryMs === 0 ? globalMs : perTryMs };
}

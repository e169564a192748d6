// When a try that failed may be made again. Names are Envoy's `retry_on`.

export type TryOutcome =
  /** `grpcStatus` only when the head has one: trailers come too late. */
  | { kind: 'response'; status: number; rateLimited: boolean; grpcStatus?: number | undefined }
  /** No connection, TLS handshake included. */
  | { kind: 'connect-failure' }
  /** The connection ended before the response head; `sent` = some of the request had left. */
  | { kind: 'reset'; sent: boolean }
  /** The peer has not looked at the request (HTTP/2 REFUSED_STREAM, or beyond the last stream of a GOAWAY). */
  | { kind: 'refused' }
  | { kind: 'per-try-timeout' };

export interface RetryDecider {
  shouldRetry(outcome: TryOutcome): boolean;
}

const grpcNames: readonly (readonly [name: string, status: number])[] = [
  ['cancelled', 1],
  ['deadline-exceeded', 4],
  ['resource-exhausted', 8],
  ['internal', 13],
  ['unavailable', 14],
];

/** Compiles `retry_on` names. Digits count as status codes. */
export function compileRetryOn(on: readonly string[], statusCodes: readonly number[]): RetryDecider {
  const names = new Set(on.map((name) => name.trim()));
  const codes = new Set<number>();
  const listed = names.has('retriable-status-codes');
  if (listed) for (const code of statusCodes) codes.add(code);
  for (const name of names) if (/^[1-5][0-9]{2}$/.test(name)) codes.add(Number(name));
  const serverErrors = names.has('5xx');
  const gatewayErrors = names.has('gateway-error');
  const conflict = names.has('retriable-4xx');
  const resets = serverErrors || gatewayErrors || names.has('reset');
  const unsent = names.has('reset-before-request');
  const refused = resets || names.has('refused-stream');
  const grpc = new Set(grpcNames.flatMap(([name, status]) => (names.has(name) ? [status] : [])));
  const connects = resets || names.has('connect-failure');
  const rateLimited = names.has('envoy-ratelimited');

  const forStatus = (status: number): boolean => {
    if (serverErrors && status >= 500) return true;
    if (gatewayErrors && status >= 502 && status <= 504) return true;
    return (conflict && status === 409) || codes.has(status);
  };
  return {
    shouldRetry(outcome) {
      switch (outcome.kind) {
        case 'response':
          if (outcome.rateLimited) return rateLimited;
          return forStatus(outcome.status) || (outcome.grpcStatus !== undefined && grpc.has(outcome.grpcStatus));
        case 'connect-failure':
          return connects || unsent;
        case 'reset':
          return resets || (unsent && !outcome.sent);
        case 'refused':
          return refused || unsent;
        case 'per-try-timeout':
          return resets;
      }
    },
  };
}

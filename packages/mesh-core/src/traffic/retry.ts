// When a try that failed may be made again. Names are Envoy's `retry_on`.

export type TryOutcome =
  | { kind: 'response'; status: number; rateLimited: boolean }
  /** No connection, TLS handshake included. */
  | { kind: 'connect-failure' }
  /** The connection ended before the response head; `sent` = some of the request had left. */
  | { kind: 'reset'; sent: boolean }
  | { kind: 'per-try-timeout' };

export interface RetryDecider {
  shouldRetry(outcome: TryOutcome): boolean;
}

/** Compiles `retry_on` names; names that only concern gRPC or HTTP/2 never hold for HTTP/1. Digits count as status codes. */
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
  // HTTP/1 has no refused streams; a connection that could not be made is its nearest kin and has its own name.
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
          return outcome.rateLimited ? rateLimited : forStatus(outcome.status);
        case 'connect-failure':
          return connects || unsent;
        case 'reset':
          return resets || (unsent && !outcome.sent);
        case 'per-try-timeout':
          return resets;
      }
    },
  };
}

/**
 * Pause before retry number `retry` (1 = first), in ms: Envoy's fully jittered back-off, uniform in [0, interval) where the
 * interval is `baseMs` doubled for each retry and capped at `maxMs`. `random` in [0, 1).
 */
export function retryBackoffMs(retry: number, baseMs: number, maxMs: number, random: number): number {
  return random * Math.min(baseMs * 2 ** Math.min(retry - 1, 30), Math.max(maxMs, baseMs));
}

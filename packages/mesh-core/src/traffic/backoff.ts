/**
 * Pause before retry number `retry` (1 = first), in ms: Envoy's fully jittered back-off, uniform in [0, interval) where the
 * interval is `baseMs` doubled for each retry and capped at `maxMs`. `random` in [0, 1).
 */
export function retryBackoffMs(retry: number, baseMs: number, maxMs: number, random: number): number {
  return random * Math.min(baseMs * 2 ** Math.min(retry - 1, 30), Math.max(maxMs, baseMs));
}

export interface RateLimitedBackoff {
  /** Tried in order; the first that holds a usable value decides. Names in lower case. */
  headers: readonly { name: string; format: 'seconds' | 'unix-timestamp' }[];
  /** Values above it count as no value. */
  maxIntervalMs: number;
}

/** Pause a response asks for, with Envoy's jitter of up to half of it; undefined = it asks for none. `nowUnixMs` for timestamps. */
export function rateLimitedBackoffMs(
  policy: RateLimitedBackoff,
  get: (name: string) => string | undefined,
  nowUnixMs: number,
  random: number,
): number | undefined {
  for (const { name, format } of policy.headers) {
    const value = get(name);
    if (value === undefined || !/^\d{1,12}$/.test(value)) continue;
    const seconds = format === 'seconds' ? Number(value) : Number(value) - Math.floor(nowUnixMs / 1000);
    const ms = seconds * 1000;
    if (seconds > 0 && ms <= policy.maxIntervalMs) return ms * (1 + random * 0.5);
  }
  return undefined;
}

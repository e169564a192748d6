// Envoy's token bucket: starts full, `tokensPerFill` more every interval, at most `maxTokens`. Time comes in.

export interface TokenBucketSpec {
  maxTokens: number;
  tokensPerFill: number;
  fillIntervalMs: number;
}

export class TokenBucket {
  readonly spec: TokenBucketSpec;
  private readonly perMs: number;
  private tokens: number;
  private at: number;

  /** `now` in ms of a monotonic clock. */
  constructor(spec: TokenBucketSpec, now: number) {
    this.spec = spec;
    this.perMs = spec.tokensPerFill / spec.fillIntervalMs;
    this.tokens = spec.maxTokens;
    this.at = now;
  }

  /** Takes one if there is one. */
  take(now: number): boolean {
    this.fill(now);
    if (this.tokens < 1) return false;
    this.tokens -= 1;
    return true;
  }

  /** Whole tokens left. */
  remaining(): number {
    return Math.floor(this.tokens);
  }

  /** Seconds until the bucket is full again at most, at least until it has a token: Envoy's `x-ratelimit-reset`. */
  resetSeconds(): number {
    const missing = 1 - (this.tokens - Math.floor(this.tokens));
    return Math.ceil(missing / this.perMs / 1000);
  }

  private fill(now: number): void {
    this.tokens = Math.min(this.spec.maxTokens, this.tokens + (now - this.at) * this.perMs);
    this.at = now;
  }
}

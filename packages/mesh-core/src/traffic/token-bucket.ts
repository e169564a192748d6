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

  /** Whole seconds until there is a token, 0 when there is one: Envoy's `x-ratelimit-reset`. */
  resetSeconds(): number {
    return this.tokens >= 1 ? 0 : Math.ceil((1 - this.tokens) / this.perMs / 1000);
  }

  private fill(now: number): void {
    this.tokens = Math.min(this.spec.maxTokens, this.tokens + (now - this.at) * this.perMs);
    this.at = now;
  }
}

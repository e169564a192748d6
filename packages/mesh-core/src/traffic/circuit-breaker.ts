// Admission of one cluster: how many connections, waiting requests, running requests and retries there may be at a time.

export interface BreakerLimits {
  maxConnections: number;
  maxPendingRequests: number;
  maxRequests: number;
  maxRetries: number;
  /** Replaces `maxRetries`: retries up to this share of active and pending requests, never fewer than the minimum. */
  retryBudget?: { percent: number; minConcurrency: number };
}

export class CircuitBreaker {
  limits: BreakerLimits;
  connections = 0;
  pending = 0;
  requests = 0;
  retries = 0;

  constructor(limits: BreakerLimits) {
    this.limits = limits;
  }

  mayConnect(): boolean {
    return this.connections < this.limits.maxConnections;
  }

  mayWait(): boolean {
    return this.pending < this.limits.maxPendingRequests;
  }

  /** `ending` of those counted are over. */
  mayRequest(ending = 0): boolean {
    return this.requests - ending < this.limits.maxRequests;
  }

  mayRetry(): boolean {
    const budget = this.limits.retryBudget;
    if (budget === undefined) return this.retries < this.limits.maxRetries;
    const share = Math.floor(((this.requests + this.pending) * budget.percent) / 100);
    return this.retries < Math.max(share, budget.minConcurrency);
  }
}

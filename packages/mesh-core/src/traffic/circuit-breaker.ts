// Admission of one cluster: how many connections, waiting requests, running requests and retries there may be at a time.

import { RecentCount } from './recent-count.ts';

export interface BreakerLimits {
  maxConnections: number;
  maxPendingRequests: number;
  maxRequests: number;
  maxRetries: number;
  /**
   * Replaces `maxRetries`: retries up to this share of active and pending requests, or of those begun within an interval; never fewer
   * than the minimum.
   */
  retryBudget?: { percent: number; minConcurrency: number; intervalMs?: number };
}

export class CircuitBreaker {
  limits: BreakerLimits;
  connections = 0;
  pending = 0;
  requests = 0;
  retries = 0;
  private readonly clock: () => number;
  private recent: RecentCount | undefined;

  constructor(limits: BreakerLimits, clock: () => number) {
    this.limits = limits;
    this.clock = clock;
    this.update(limits);
  }

  /** What was counted within an interval is forgotten with it. */
  update(limits: BreakerLimits): void {
    const { intervalMs = 0 } = limits.retryBudget ?? {};
    if (intervalMs === 0) this.recent = undefined;
    else if (this.recent?.intervalMs !== intervalMs) this.recent = new RecentCount(intervalMs);
    this.limits = limits;
  }

  /** A request, or another try of one, has been given to a connection. */
  begin(): void {
    this.requests++;
    this.recent?.add(this.clock());
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
    const share = Math.floor(((this.recent?.count(this.clock()) ?? this.requests + this.pending) * budget.percent) / 100);
    return this.retries < Math.max(share, budget.minConcurrency);
  }
}

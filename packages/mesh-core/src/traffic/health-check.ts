// Active health: what the results of checks make of a host, and when to check next (Envoy's health_checker_base_impl).

export interface HealthCheckRules {
  timeoutMs: number;
  intervalMs: number;
  /** Delay of the first check, up to. */
  initialJitterMs: number;
  /** Added to every interval, up to. */
  intervalJitterMs: number;
  intervalJitterPercent: number;
  unhealthyThreshold: number;
  healthyThreshold: number;
  /** In place of all others while the cluster has no traffic. */
  noTrafficIntervalMs: number;
  noTrafficHealthyIntervalMs: number;
  unhealthyIntervalMs: number;
  /** While a host is about to change but a threshold is not reached. */
  unhealthyEdgeIntervalMs: number;
  healthyEdgeIntervalMs: number;
}

/**
 * `unhealthy` = the host itself says it is not well: no threshold is waited for. `retriable` says so too, but with a status that may
 * be tried again; `network` = no connection, no answer in time, or a broken one.
 */
export type HealthCheckResult = 'healthy' | 'degraded' | 'unhealthy' | 'retriable' | 'network';

export interface HealthEnvironment {
  /** [0, 1) */
  random(): number;
  /** The cluster has made a connection for a request. */
  hasTraffic(): boolean;
}

export class ActiveHealth {
  /** A host is not used before its first check passes. */
  failed = true;
  degraded = false;
  private first = true;
  private passes = 0;
  private failures = 0;

  /** `changed`: the host is to be used differently from now on. `nextMs`: when to check again. */
  report(result: HealthCheckResult, rules: HealthCheckRules, environment: HealthEnvironment): { changed: boolean; nextMs: number } {
    const healthy = result === 'healthy' || result === 'degraded';
    const before = this.failed;
    const degradedBefore = this.degraded;
    let pending = false;
    if (healthy) {
      this.failures = 0;
      this.degraded = result === 'degraded';
      // The first result counts at once, so that a start does not take thresholds.
      if (this.failed && (this.first || ++this.passes >= rules.healthyThreshold)) this.failed = false;
      pending = this.failed;
    } else {
      this.passes = 0;
      if (!this.failed && (result === 'unhealthy' || ++this.failures >= rules.unhealthyThreshold)) this.failed = true;
      pending = !this.failed;
    }
    this.first = false;
    const nextMs = this.jittered(this.interval(healthy, pending, rules, environment), rules, environment);
    return { changed: before !== this.failed || degradedBefore !== this.degraded, nextMs };
  }

  private interval(healthy: boolean, pending: boolean, rules: HealthCheckRules, { hasTraffic }: HealthEnvironment): number {
    if (!hasTraffic()) return healthy ? rules.noTrafficHealthyIntervalMs : rules.noTrafficIntervalMs;
    if (healthy) return pending ? rules.healthyEdgeIntervalMs : rules.intervalMs;
    return pending ? rules.unhealthyEdgeIntervalMs : rules.unhealthyIntervalMs;
  }

  private jittered(ms: number, rules: HealthCheckRules, { random }: HealthEnvironment): number {
    return ms + random() * ((ms * rules.intervalJitterPercent) / 100) + random() * rules.intervalJitterMs;
  }
}

// Passive health, as Envoy judges it: hosts that fail several times in a row, or more often than their peers, are left out for a
// growing time. State lives on the host; the detector decides.

import { rateOutliers, RateCounter, type RateRules } from './outlier-rates.ts';

export interface OutlierRules {
  consecutive5xx: number;
  enforcingConsecutive5xx: number;
  consecutiveGatewayFailure: number;
  enforcingConsecutiveGatewayFailure: number;
  /** Failures the host did not answer itself are counted apart. Otherwise they count as 503 and 504. */
  splitLocalOrigin: boolean;
  consecutiveLocalOriginFailure: number;
  enforcingConsecutiveLocalOriginFailure: number;
  rates: RateRules;
  enforcingSuccessRate: number;
  enforcingLocalOriginSuccessRate: number;
  enforcingFailurePercentage: number;
  enforcingFailurePercentageLocalOrigin: number;
  intervalMs: number;
  baseEjectionMs: number;
  maxEjectionMs: number;
  maxEjectionJitterMs: number;
  maxEjectionPercent: number;
  alwaysEjectOneHost: boolean;
  /** An active health check that passes lets the host back before its time. */
  unejectOnHealthCheck: boolean;
}

export class OutlierState {
  serverErrors = 0;
  gatewayErrors = 0;
  localErrors = 0;
  ejected = false;
  /** Clock of the ejection, and of the last return, ms. */
  ejectedAt = 0;
  returnedAt = -1;
  jitterMs = 0;
  /** Ejections, falling by one each healthy interval. */
  multiplier = 0;
  readonly external: RateCounter = new RateCounter();
  readonly local: RateCounter = new RateCounter();
}

export interface OutlierHost {
  readonly outlier: OutlierState;
}

/**
 * A number is the status of a response. `connected` = a connection was got for the request; `connect-failure` also stands for a reset; `timeout` for one of a try or of the
 * whole request; `success` for a TCP connection that was made.
 */
export type OutlierResult = number | 'connected' | 'connect-failure' | 'timeout' | 'success';

export type EjectionReason =
  | 'consecutive_5xx'
  | 'consecutive_gateway_failure'
  | 'consecutive_local_origin_failure'
  | 'success_rate'
  | 'local_origin_success_rate'
  | 'failure_percentage'
  | 'local_origin_failure_percentage';

export interface OutlierEnvironment {
  /** Monotonic, ms. */
  clock(): number;
  /** [0, 1) */
  random(): number;
  /** Every host of the cluster. */
  hosts(): Iterable<OutlierHost>;
}

export class OutlierDetector {
  readonly rules: OutlierRules;
  /** Ejections by what led to them; `overflow` = too many were out already. */
  readonly ejections: Map<EjectionReason | 'overflow', number>;
  private readonly environment: OutlierEnvironment;

  /** `ejections` so far count on. */
  constructor(rules: OutlierRules, environment: OutlierEnvironment, ejections: OutlierDetector['ejections'] = new Map()) {
    this.ejections = ejections;
    this.rules = rules;
    this.environment = environment;
  }

  /** Counts one result. True when the host was ejected by it. */
  report(host: OutlierHost, result: OutlierResult): boolean {
    if (typeof result === 'number') return this.status(host, result);
    const split = this.rules.splitLocalOrigin;
    switch (result) {
      case 'connected':
        if (split) this.localSuccess(host.outlier);
        return false;
      case 'success':
        if (split) this.localSuccess(host.outlier);
        return this.status(host, 200);
      case 'connect-failure':
        return split ? this.localFailure(host) : this.status(host, 503);
      case 'timeout':
        return split ? this.localFailure(host) : this.status(host, 504);
    }
  }

  private localSuccess(state: OutlierState): void {
    state.local.count(true);
    state.localErrors = 0;
  }

  private localFailure(host: OutlierHost): boolean {
    const state = host.outlier;
    state.local.count(false);
    if (++state.localErrors !== this.rules.consecutiveLocalOriginFailure || state.ejected) return false;
    state.localErrors = 0;
    return this.eject(host, 'consecutive_local_origin_failure', this.rules.enforcingConsecutiveLocalOriginFailure);
  }

  private status(host: OutlierHost, status: number): boolean {
    const { rules } = this;
    const state = host.outlier;
    const failed = status >= 500;
    state.external.count(!failed);
    if (!failed) {
      state.serverErrors = state.gatewayErrors = 0;
      return false;
    }
    let out = false;
    if (status < 502 || status > 504) state.gatewayErrors = 0;
    else if (++state.gatewayErrors === rules.consecutiveGatewayFailure && !state.ejected) {
      state.gatewayErrors = 0;
      out = this.eject(host, 'consecutive_gateway_failure', rules.enforcingConsecutiveGatewayFailure);
    }
    if (++state.serverErrors === rules.consecutive5xx && !state.ejected) {
      state.serverErrors = 0;
      out = this.eject(host, 'consecutive_5xx', rules.enforcingConsecutive5xx);
    }
    return out;
  }

  /** Call each `intervalMs`: lets hosts return whose time is over, ejects those whose rate is bad. True when anything changed. */
  tick(): boolean {
    const { rules } = this;
    const now = this.environment.clock();
    const hosts = [...this.environment.hosts()];
    let changed = false;
    for (const { outlier } of hosts) {
      const time = Math.min(rules.baseEjectionMs * outlier.multiplier, rules.maxEjectionMs) + outlier.jitterMs;
      if (outlier.ejected && now - outlier.ejectedAt >= time) {
        this.restore(outlier);
        changed = true;
      }
      outlier.external.turn();
      outlier.local.turn();
    }
    changed = this.judgeRates(hosts) || changed;
    for (const { outlier } of hosts)
      if (!outlier.ejected && outlier.multiplier > 0 && outlier.returnedAt >= 0 && now - outlier.returnedAt >= rules.intervalMs) outlier.multiplier--;
    return changed;
  }

  /** The host is let back before its time, as when an active health check finds it well. */
  restore(state: OutlierState): void {
    state.ejected = false;
    state.serverErrors = state.gatewayErrors = state.localErrors = 0;
    state.returnedAt = this.environment.clock();
  }

  private judgeRates(hosts: readonly OutlierHost[]): boolean {
    const { rules } = this;
    let changed = false;
    for (const origin of ['external', 'local'] as const) {
      const present = hosts.filter((host) => !host.outlier.ejected);
      const found = rateOutliers(
        present.map((host) => host.outlier[origin]),
        hosts.length,
        rules.rates,
      );
      const local = origin === 'local';
      const judge = (indexes: readonly number[], reason: EjectionReason, enforcing: number): void => {
        for (const index of indexes) {
          const host = present[index];
          if (host !== undefined && !host.outlier.ejected) changed = this.eject(host, reason, enforcing) || changed;
        }
      };
      judge(
        found.bySuccessRate,
        local ? 'local_origin_success_rate' : 'success_rate',
        local ? rules.enforcingLocalOriginSuccessRate : rules.enforcingSuccessRate,
      );
      judge(
        found.byFailurePercentage,
        local ? 'local_origin_failure_percentage' : 'failure_percentage',
        local ? rules.enforcingFailurePercentageLocalOrigin : rules.enforcingFailurePercentage,
      );
    }
    return changed;
  }

  private eject(host: OutlierHost, reason: EjectionReason, enforcing: number): boolean {
    const { rules, environment } = this;
    let all = 0;
    let ejected = 0;
    for (const { outlier } of environment.hosts()) {
      all++;
      if (outlier.ejected) ejected++;
    }
    if ((100 * (ejected + 1)) / all > rules.maxEjectionPercent && !(rules.alwaysEjectOneHost && ejected === 0)) {
      this.count('overflow');
      return false;
    }
    if (environment.random() * 100 >= enforcing) return false;
    const state = host.outlier;
    state.ejected = true;
    state.ejectedAt = environment.clock();
    state.jitterMs = Math.floor(environment.random() * (rules.maxEjectionJitterMs + 1));
    if (state.multiplier * rules.baseEjectionMs < rules.maxEjectionMs + rules.baseEjectionMs) state.multiplier++;
    this.count(reason);
    return true;
  }

  private count(key: EjectionReason | 'overflow'): void {
    this.ejections.set(key, (this.ejections.get(key) ?? 0) + 1);
  }
}

// Passive health: consecutive failures eject a host for a growing time. State lives on the host; the detector decides.

export interface OutlierRules {
  consecutive5xx: number;
  enforcingConsecutive5xx: number;
  consecutiveGatewayFailure: number;
  enforcingConsecutiveGatewayFailure: number;
  splitLocalOrigin: boolean;
  consecutiveLocalOriginFailure: number;
  enforcingConsecutiveLocalOriginFailure: number;
  intervalMs: number;
  baseEjectionMs: number;
  maxEjectionMs: number;
  maxEjectionPercent: number;
}

export class OutlierState {
  serverErrors = 0;
  gatewayErrors = 0;
  localErrors = 0;
  ejected = false;
  /** Clock of the return, ms. */
  ejectedUntil = 0;
  /** Ejections, falling by one each healthy interval. */
  multiplier = 0;
}

export interface OutlierHost {
  readonly outlier: OutlierState;
}

/** `local` = connect failure, reset or timeout: the host did not answer itself. */
export type OutlierResult = { kind: 'status'; status: number } | { kind: 'local' };

export class OutlierDetector {
  readonly rules: OutlierRules;

  constructor(rules: OutlierRules) {
    this.rules = rules;
  }

  /**
   * Counts one result. True when the host was ejected by it. `ejected` and `hosts` are the cluster's counts now, `random` in
   * [0, 1) decides enforcement, `now` is the clock in ms.
   */
  report(host: OutlierHost, result: OutlierResult, ejected: number, hosts: number, now: number, random: number): boolean {
    const { rules } = this;
    const state = host.outlier;
    if (result.kind === 'local' && rules.splitLocalOrigin) {
      state.localErrors += 1;
      if (!this.reached(state.localErrors, rules.consecutiveLocalOriginFailure)) return false;
      state.localErrors = 0;
      return this.eject(state, rules.enforcingConsecutiveLocalOriginFailure, ejected, hosts, now, random);
    }
    const status = result.kind === 'local' ? 503 : result.status;
    if (result.kind === 'status') state.localErrors = 0;
    if (status < 500) {
      state.serverErrors = 0;
      state.gatewayErrors = 0;
      return false;
    }
    let out = false;
    if (status >= 502 && status <= 504) {
      state.gatewayErrors += 1;
      if (this.reached(state.gatewayErrors, rules.consecutiveGatewayFailure)) {
        state.gatewayErrors = 0;
        out = this.eject(state, rules.enforcingConsecutiveGatewayFailure, ejected, hosts, now, random);
      }
    } else {
      state.gatewayErrors = 0;
    }
    state.serverErrors += 1;
    if (this.reached(state.serverErrors, rules.consecutive5xx)) {
      state.serverErrors = 0;
      out = (!out && this.eject(state, rules.enforcingConsecutive5xx, ejected, hosts, now, random)) || out;
    }
    return out;
  }

  /** Call each `intervalMs`: lets hosts return whose time is over. True when any did. */
  tick(hosts: Iterable<OutlierHost>, now: number): boolean {
    let changed = false;
    for (const { outlier } of hosts) {
      if (outlier.ejected && now >= outlier.ejectedUntil) {
        outlier.ejected = false;
        outlier.serverErrors = outlier.gatewayErrors = outlier.localErrors = 0;
        changed = true;
      } else if (!outlier.ejected && outlier.multiplier > 0) {
        outlier.multiplier -= 1;
      }
    }
    return changed;
  }

  private reached(count: number, threshold: number): boolean {
    return threshold > 0 && count >= threshold;
  }

  private eject(state: OutlierState, enforcing: number, ejected: number, hosts: number, now: number, random: number): boolean {
    const { rules } = this;
    if (state.ejected || random * 100 >= enforcing) return false;
    if (hosts === 0 || (100 * (ejected + 1)) / hosts > rules.maxEjectionPercent) return false;
    state.multiplier += 1;
    state.ejected = true;
    state.ejectedUntil = now + Math.min(rules.baseEjectionMs * state.multiplier, Math.max(rules.maxEjectionMs, rules.baseEjectionMs));
    return true;
  }
}

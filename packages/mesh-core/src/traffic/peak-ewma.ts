// Peak EWMA (Finagle, Linkerd): the estimate of a host's latency jumps to a peak at once and forgets it slowly.

export class PeakEwma {
  private estimate = 0;
  private at = 0;

  /** A response took `rttMs`; `now` is the clock, ms. */
  observe(rttMs: number, now: number, decayMs: number): void {
    const kept = Math.exp((this.at - now) / decayMs);
    this.estimate = rttMs > this.estimate * kept ? rttMs : this.estimate * kept + rttMs * (1 - kept);
    this.at = now;
  }

  /** Expected cost of one more request; `active` are those running. Unknown hosts count as `defaultRttMs`. */
  cost(active: number, now: number, decayMs: number, defaultRttMs: number): number {
    const rtt = this.at === 0 ? defaultRttMs : this.decayed(now, decayMs);
    return rtt * (active + 1);
  }

  /** A host that was slow and is not asked any more must be tried again some day. */
  private decayed(now: number, decayMs: number): number {
    return this.estimate * Math.exp((this.at - now) / decayMs);
  }
}

// Hosts that fail more often than the others did in the last interval.

export interface RateRules {
  successRate: { minimumHosts: number; requestVolume: number; stdevFactor: number };
  failurePercentage: { threshold: number; minimumHosts: number; requestVolume: number };
}

/** Successes and requests of one interval while the one before is judged. */
export class RateCounter {
  total = 0;
  /** Percent of the last interval; undefined = there were no requests. */
  rate: number | undefined;
  volume = 0;
  private successes = 0;

  count(success: boolean): void {
    this.total++;
    if (success) this.successes++;
  }

  /** The interval is over. */
  turn(): void {
    this.rate = this.total === 0 ? undefined : (100 * this.successes) / this.total;
    this.volume = this.total;
    this.total = this.successes = 0;
  }
}

export interface RateOutliers {
  /** Indexes of those below mean - factor × standard deviation. */
  bySuccessRate: number[];
  byFailurePercentage: number[];
}

/** `counters` are those of hosts in use, `hosts` counts all of the cluster. */
export function rateOutliers(counters: readonly RateCounter[], hosts: number, rules: RateRules): RateOutliers {
  const { successRate, failurePercentage } = rules;
  const found: RateOutliers = { bySuccessRate: [], byFailurePercentage: [] };
  if (hosts < successRate.minimumHosts && hosts < failurePercentage.minimumHosts) return found;
  const rates = counters.flatMap(({ rate, volume }, index) => (rate === undefined ? [] : [{ rate, volume, index }]));
  const valid = rates.filter(({ volume }) => volume >= successRate.requestVolume);
  if (valid.length > 0 && valid.length >= successRate.minimumHosts) {
    const mean = valid.reduce((sum, { rate }) => sum + rate, 0) / valid.length;
    const variance = valid.reduce((sum, { rate }) => sum + (rate - mean) ** 2, 0) / valid.length;
    const least = mean - successRate.stdevFactor * Math.sqrt(variance);
    found.bySuccessRate = valid.filter(({ rate }) => rate < least).map(({ index }) => index);
  }
  const counted = rates.filter(({ volume }) => volume >= failurePercentage.requestVolume);
  if (counted.length > 0 && counted.length >= failurePercentage.minimumHosts)
    found.byFailurePercentage = counted.filter(({ rate }) => 100 - rate >= failurePercentage.threshold).map(({ index }) => index);
  return found;
}

// One metric of one label set: what all proxies counted together, at three resolutions.

import { type Reserve, SampleRing } from './sample-ring.ts';

const MINUTE = 60_000;
/** 1 s for 10 min, 5 s for 1 h, 60 s for 24 h. */
const TIERS = [
  { resolutionMs: 1_000, samples: 600 },
  { resolutionMs: 5_000, samples: 720 },
  { resolutionMs: MINUTE, samples: 1_440 },
] as const;

export class MetricSeries {
  readonly bounds: readonly number[] | undefined;
  readonly #tiers: readonly SampleRing[];
  readonly #counts: Uint32Array;
  #sum = 0;
  /** Unix ms of the last increase. */
  changedAt = 0;

  constructor(bounds: readonly number[] | undefined, reserve: Reserve) {
    this.bounds = bounds;
    const width = bounds === undefined ? 0 : bounds.length + 1;
    this.#counts = new Uint32Array(width);
    this.#tiers = TIERS.map((tier) => new SampleRing(tier.resolutionMs, tier.samples, width, reserve));
  }

  get bytes(): number {
    return this.#tiers.reduce((sum, tier) => sum + tier.bytes, 0);
  }

  /** Adds an increase as of `at` (Unix ms). */
  add(at: number, sum: number, counts: ArrayLike<number> | undefined): void {
    this.#sum += sum;
    if (counts !== undefined) for (let i = 0; i < this.#counts.length; i++) this.#counts[i] = (this.#counts[i] ?? 0) + (counts[i] ?? 0);
    this.changedAt = at;
    for (const tier of this.#tiers) tier.push(at, this.#sum, this.#counts);
  }

  increase(from: number, to: number): number {
    const [start, at] = this.#at(from);
    const [end, until] = this.#at(to);
    return Math.max(0, end.sumAt(until) - start.sumAt(at));
  }

  /** Increase per bucket; undefined when nothing was added in the window. */
  bucketIncrease(from: number, to: number): Float64Array | undefined {
    const [start, at] = this.#at(from);
    const [end, until] = this.#at(to);
    if (start === end && at === until) return undefined;
    const result = new Float64Array(this.#counts.length);
    let any = 0;
    for (let i = 0; i < result.length; i++) {
      // Unsigned difference: right also where the stored count went past 2^32 in between.
      const value = (end.countAt(until, i) - start.countAt(at, i)) >>> 0;
      result[i] = value;
      any += value;
    }
    return any === 0 ? undefined : result;
  }

  /** The finest tier that still has the time, and the position in it; else the oldest sample there is. */
  #at(time: number): [SampleRing, number] {
    let oldest: SampleRing | undefined;
    for (const tier of this.#tiers) {
      if (tier.covers(time)) return [tier, tier.find(time)];
      if (oldest === undefined || tier.oldestTime < oldest.oldestTime) oldest = tier;
    }
    if (oldest === undefined) throw new RangeError('a series has tiers');
    return [oldest, 0];
  }
}

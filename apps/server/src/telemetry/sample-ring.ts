// The samples of one series: cumulative values by time in typed arrays, one per time slot, the oldest overwritten.
// Counts are kept modulo 2^32, so that differences are exact up to 4.29 billion per window at half the size of doubles.

/** Told how many bytes more a ring wants; false = it must make do with what it has. */
export type Reserve = (bytes: number) => boolean;

const FIRST_CAPACITY = 16;

export class SampleRing {
  readonly resolutionMs: number;
  readonly maxSamples: number;
  readonly width: number;
  #times: Float64Array;
  #sums: Float64Array;
  #counts: Uint32Array;
  /** Slot of the newest sample, and how many there are. */
  #head = -1;
  #length = 0;
  #lost = false;
  readonly #reserve: Reserve;

  /** `width` = buckets per sample (0 for counters). Throws nothing: the first few samples are always granted. */
  constructor(resolutionMs: number, maxSamples: number, width: number, reserve: Reserve) {
    this.resolutionMs = resolutionMs;
    this.maxSamples = maxSamples;
    this.width = width;
    this.#reserve = reserve;
    const capacity = Math.min(FIRST_CAPACITY, maxSamples);
    reserve(this.#bytesOf(capacity));
    this.#times = new Float64Array(capacity);
    this.#sums = new Float64Array(capacity);
    this.#counts = new Uint32Array(capacity * width);
  }

  get bytes(): number {
    return this.#bytesOf(this.#times.length);
  }

  /** Keeps the value `sum` and `counts` as of `at`; a later value of the same slot replaces the earlier one. */
  push(at: number, sum: number, counts: Uint32Array): void {
    const last = this.#length === 0 ? -Infinity : (this.#times[this.#head] ?? 0);
    if (Math.floor(at / this.resolutionMs) > Math.floor(last / this.resolutionMs)) this.#advance();
    this.#times[this.#head] = Math.max(at, last);
    this.#sums[this.#head] = sum;
    this.#counts.set(counts, this.#head * this.width);
  }

  /** Position of the last sample at or before `at`; -1 = before the first (value zero, unless {@link covers} denies it). */
  find(at: number): number {
    let low = 0;
    let high = this.#length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#times[this.#slot(middle)] ?? 0) <= at) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** False when samples of that time were overwritten. */
  covers(at: number): boolean {
    return !this.#lost || (this.#times[this.#slot(0)] ?? 0) <= at;
  }

  sumAt(position: number): number {
    return position < 0 ? 0 : (this.#sums[this.#slot(position)] ?? 0);
  }

  /** Count of one bucket at a position, modulo 2^32. */
  countAt(position: number, bucket: number): number {
    return position < 0 ? 0 : (this.#counts[this.#slot(position) * this.width + bucket] ?? 0);
  }

  get oldestTime(): number {
    return this.#length === 0 ? Infinity : (this.#times[this.#slot(0)] ?? Infinity);
  }

  #slot(position: number): number {
    const start = this.#head - this.#length + 1;
    const slot = start + position;
    return slot < 0 ? slot + this.#times.length : slot;
  }

  #advance(): void {
    if (this.#length === this.#times.length && !this.#grow()) this.#lost = true;
    else this.#length += 1;
    this.#head = (this.#head + 1) % this.#times.length;
  }

  /** Doubles the arrays and lays the samples out from 0; false when at the limit or the budget is spent. */
  #grow(): boolean {
    const capacity = this.#times.length;
    const wanted = Math.min(this.maxSamples, capacity * 2);
    if (wanted === capacity || !this.#reserve(this.#bytesOf(wanted) - this.#bytesOf(capacity))) return false;
    const times = new Float64Array(wanted);
    const sums = new Float64Array(wanted);
    const counts = new Uint32Array(wanted * this.width);
    for (let i = 0; i < this.#length; i++) {
      const slot = this.#slot(i);
      times[i] = this.#times[slot] ?? 0;
      sums[i] = this.#sums[slot] ?? 0;
      counts.set(this.#counts.subarray(slot * this.width, (slot + 1) * this.width), i * this.width);
    }
    this.#times = times;
    this.#sums = sums;
    this.#counts = counts;
    this.#head = this.#length - 1;
    return true;
  }

  #bytesOf(samples: number): number {
    return samples * (16 + 4 * this.width);
  }
}

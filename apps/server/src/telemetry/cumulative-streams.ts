// Turns what a proxy has counted since its start into increases, whatever restarts: the proxy's, the series', or ours.

import type { MetricPoint } from './stores.ts';

interface Stream {
  startMs: number;
  timeMs: number;
  seenAt: number;
  sum: number;
  counts: Float64Array | undefined;
}

export interface Increase {
  sum: number;
  counts: ArrayLike<number> | undefined;
}

/** A series that began so recently is new, not found again: clocks and export intervals differ by this much. */
const NEW_SERIES_MS = 5_000;
/** A stream silent for longer than this is forgotten; if it comes back it starts with a baseline. */
const FORGET_MS = 60 * 60_000;

export class CumulativeStreams {
  readonly #streams = new Map<string, Stream>();
  #sweptAt: number;
  /** Since when every stream that began is still known: proxies push only what changed, so a silent stream may come back. */
  #knownSince: number;

  /** `startedAt` = since when this store has been listening, Unix ms. */
  constructor(startedAt: number) {
    this.#sweptAt = startedAt;
    this.#knownSince = startedAt;
  }

  get size(): number {
    return this.#streams.size;
  }

  /** The increase a point brings; undefined when it brings none (a baseline, a repeat, a point out of order). */
  increase(key: string, point: MetricPoint, at: number): Increase | undefined {
    this.#sweep(at);
    const counts = point.buckets;
    if (point.delta) return isZero(point.value, counts) ? undefined : { sum: point.value, counts };
    const known = this.#streams.get(key);
    if (known === undefined) {
      this.#streams.set(key, {
        startMs: point.startMs,
        timeMs: point.timeMs,
        seenAt: at,
        sum: point.value,
        counts: counts === undefined ? undefined : Float64Array.from(counts),
      });
      // Counted before we listened: history of unknown age, which must not look like a burst now.
      const wholeLifeSeen = point.startMs > 0 && (point.startMs >= this.#knownSince || point.startMs >= at - NEW_SERIES_MS);
      return wholeLifeSeen && !isZero(point.value, counts) ? { sum: point.value, counts } : undefined;
    }
    known.seenAt = at;
    const sameRun = point.startMs === known.startMs;
    // A retried export may arrive after its successor; a new run may have an older clock, so only the same run is compared.
    if (sameRun && point.timeMs < known.timeMs) return undefined;
    const restarted = (!sameRun && point.startMs > known.startMs) || point.value < known.sum || decreased(known.counts, counts);
    const sum = restarted ? point.value : point.value - known.sum;
    const change = counts?.map((count, i) => (restarted ? count : count - (known.counts?.[i] ?? 0)));
    known.startMs = point.startMs;
    known.timeMs = point.timeMs;
    known.sum = point.value;
    if (counts !== undefined) known.counts = Float64Array.from(counts);
    return isZero(sum, change) ? undefined : { sum, counts: change };
  }

  #sweep(at: number): void {
    if (at - this.#sweptAt < FORGET_MS / 3) return;
    this.#sweptAt = at;
    for (const [key, stream] of this.#streams) {
      if (at - stream.seenAt <= FORGET_MS) continue;
      this.#streams.delete(key);
      this.#knownSince = Math.max(this.#knownSince, stream.seenAt + 1);
    }
  }
}

function decreased(before: Float64Array | undefined, after: readonly number[] | undefined): boolean {
  return before !== undefined && after !== undefined && after.some((count, i) => count < (before[i] ?? 0));
}

function isZero(sum: number, counts: readonly number[] | undefined): boolean {
  return sum === 0 && (counts === undefined || counts.every((count) => count === 0));
}

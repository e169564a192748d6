// Istio's standard metrics in memory: label sets interned once, values in typed arrays, everything inside a byte budget.

import type { EdgeStats } from '@weft/mesh-core/graph';
import { type Label, LABELS, METRIC } from '@weft/mesh-core/telemetry';
import { CumulativeStreams } from './cumulative-streams.ts';
import { MetricSeries } from './metric-series.ts';
import type { IncreaseQuery, MetricPoint, MetricStore, MetricStoreStats } from './stores.ts';

export interface EmbeddedMetricStoreOptions {
  /** Unix ms of now: what was counted before is not ours to show. */
  startedAt: number;
  /** Default 128 MiB of samples; when spent, histories get shorter rather than memory larger. */
  maxBytes?: number;
  /** Default 5,000; label sets beyond it are counted together under the label value `other`. */
  maxLabelSets?: number;
}

type Part = 'requests' | 'duration' | 'bytes' | 'connections';
const PARTS: Readonly<Record<string, Part>> = {
  [METRIC.requests]: 'requests',
  [METRIC.duration]: 'duration',
  [METRIC.requestBytes]: 'bytes',
  [METRIC.responseBytes]: 'bytes',
  [METRIC.tcpSent]: 'bytes',
  [METRIC.tcpReceived]: 'bytes',
  [METRIC.tcpOpened]: 'connections',
};

interface LabelSet {
  labels: Readonly<Record<string, string>>;
  series: Partial<Record<Part, MetricSeries>>;
  changedAt: number;
}

// Only Istio's labels are kept: a proxy must not be able to invent series by inventing labels.
const SEPARATOR = '\u001f';
/** Room for a label set and its stream beside the samples; measured roughly, it only has to bound. */
const SET_BYTES = 2_000;
/** A label set quiet for longer makes room for a new one. */
const EVICT_IDLE_MS = 10 * 60_000;

export class EmbeddedMetricStore implements MetricStore {
  readonly #sets = new Map<string, LabelSet>();
  readonly #streams: CumulativeStreams;
  readonly #maxBytes: number;
  readonly #maxLabelSets: number;
  #bytes = 0;
  #folded = 0;
  #ignored = 0;

  constructor(options: EmbeddedMetricStoreOptions) {
    this.#streams = new CumulativeStreams(options.startedAt);
    this.#maxBytes = options.maxBytes ?? 128 * 1024 * 1024;
    this.#maxLabelSets = options.maxLabelSets ?? 5_000;
  }

  append(points: readonly MetricPoint[], at: number): void {
    for (const point of points) {
      const part = PARTS[point.metric];
      if (part === undefined || !isSound(point, part)) {
        this.#ignored += 1;
        continue;
      }
      const key = LABELS.map((name) => valueOf(point.labels, name)).join(SEPARATOR);
      const increase = this.#streams.increase(`${point.metric}${SEPARATOR}${point.resource}${SEPARATOR}${key}`, point, at);
      const set = this.#set(key, point.labels, at);
      // Touched even without an increase: an idle edge is one that is still exported.
      set.changedAt = at;
      if (increase !== undefined) this.#series(set, part, point)?.add(at, increase.sum, part === 'duration' ? increase.counts : undefined);
    }
  }

  increases({ from, to, match, idleMs = 0, buckets = true }: IncreaseQuery): EdgeStats[] {
    const rows: EdgeStats[] = [];
    for (const { labels, series, changedAt } of this.#sets.values()) {
      if (match !== undefined && !match(labels)) continue;
      const row: EdgeStats = {
        labels,
        requests: series.requests?.increase(from, to) ?? 0,
        bytes: series.bytes?.increase(from, to) ?? 0,
        connections: series.connections?.increase(from, to) ?? 0,
      };
      const moved = row.requests + row.bytes + row.connections > 0;
      if (!moved && (idleMs === 0 || changedAt < to - idleMs)) continue;
      const duration = series.duration;
      const counts = buckets ? duration?.bucketIncrease(from, to) : undefined;
      if (counts !== undefined && duration?.bounds !== undefined) rows.push({ ...row, buckets: counts, bounds: duration.bounds });
      else rows.push(row);
    }
    return rows;
  }

  stats(): MetricStoreStats {
    return {
      labelSets: this.#sets.size,
      streams: this.#streams.size,
      bytes: this.#bytes + this.#sets.size * SET_BYTES,
      folded: this.#folded,
      ignored: this.#ignored,
    };
  }

  #set(key: string, labels: Readonly<Record<string, string>>, at: number): LabelSet {
    const known = this.#sets.get(key);
    if (known !== undefined) return known;
    if (this.#isFull() && !this.#evict(at)) {
      this.#folded += 1;
      return this.#folds(labels);
    }
    return this.#create(key, Object.fromEntries(LABELS.map((name) => [name, valueOf(labels, name)])), at);
  }

  #isFull(): boolean {
    return this.#sets.size >= this.#maxLabelSets || this.#bytes + this.#sets.size * SET_BYTES >= this.#maxBytes;
  }

  #folds(labels: Readonly<Record<string, string>>): LabelSet {
    const reporter = labels['reporter'] === 'destination' ? 'destination' : 'source';
    const key = `other${SEPARATOR}${reporter}`;
    return this.#sets.get(key) ?? this.#create(key, Object.fromEntries(LABELS.map((name) => [name, name === 'reporter' ? reporter : 'other'])), 0);
  }

  #create(key: string, labels: Readonly<Record<string, string>>, at: number): LabelSet {
    const set: LabelSet = { labels, series: {}, changedAt: at };
    this.#sets.set(key, set);
    return set;
  }

  /** Drops the label set that has been quiet the longest; false when all are in use. */
  #evict(at: number): boolean {
    let oldest: [string, LabelSet] | undefined;
    for (const entry of this.#sets) if (oldest === undefined || entry[1].changedAt < oldest[1].changedAt) oldest = entry;
    if (oldest === undefined || at - oldest[1].changedAt < EVICT_IDLE_MS) return false;
    for (const series of Object.values(oldest[1].series)) this.#bytes -= series.bytes;
    this.#sets.delete(oldest[0]);
    return true;
  }

  #series(set: LabelSet, part: Part, point: MetricPoint): MetricSeries | undefined {
    const known = set.series[part];
    if (known !== undefined) {
      const { bounds } = known;
      // Another layout of buckets cannot be added to this one.
      if (part === 'duration' && bounds !== undefined && bounds.length !== point.bounds?.length) {
        this.#ignored += 1;
        return undefined;
      }
      return known;
    }
    const reserve = (bytes: number): boolean => {
      // The first few samples are granted even beyond the budget (maxLabelSets bounds them): a series without any is useless.
      if (this.#bytes + bytes > this.#maxBytes && set.series[part] !== undefined) return false;
      this.#bytes += bytes;
      return true;
    };
    const series = new MetricSeries(part === 'duration' ? point.bounds : undefined, reserve);
    set.series[part] = series;
    return series;
  }
}

function valueOf(labels: Readonly<Record<string, string>>, name: Label): string {
  return labels[name] ?? 'unknown';
}

function isSound(point: MetricPoint, part: Part): boolean {
  if (!Number.isFinite(point.value) || point.value < 0) return false;
  return part !== 'duration' || (point.buckets !== undefined && point.bounds !== undefined && point.buckets.length === point.bounds.length + 1);
}

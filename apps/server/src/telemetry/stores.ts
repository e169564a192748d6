// What the server keeps of telemetry, as interfaces; `testing/*-contract.ts` says what every implementation must do.

import type { Span, Trace, TraceQuery, TraceSummary } from '@weft/mesh-core/api';
import type { EdgeStats } from '@weft/mesh-core/graph';

/** One data point of Istio's standard metrics. */
export interface MetricPoint {
  /** `istio_requests_total` */
  metric: string;
  /** Who counts: the same label set of two proxies are two counters. */
  resource: string;
  /** Istio's label names; what is missing is `unknown`. */
  labels: Readonly<Record<string, string>>;
  /** Unix ms since when it is counted, 0 = not told; and when it was read. */
  startMs: number;
  timeMs: number;
  /** True = counted since the previous point (delta temporality), false = since `startMs`. */
  delta: boolean;
  /** A counter's value, or a histogram's sum. */
  value: number;
  /** Count per bucket (not cumulative), one more than `bounds`. */
  buckets?: readonly number[];
  bounds?: readonly number[];
}

export interface IncreaseQuery {
  /** Unix ms; samples of `from` < time <= `to` count. */
  from: number;
  to: number;
  match?: (labels: Readonly<Record<string, string>>) => boolean;
  /** Also label sets that were touched in the last so many ms before `to` but not in the window. */
  idleMs?: number;
  /** False = leave out the latency buckets. */
  buckets?: boolean;
}

export interface MetricStoreStats {
  labelSets: number;
  streams: number;
  bytes: number;
  /** Points of label sets beyond the limit, counted as `other`. */
  folded: number;
  /** Points of metrics the store does not keep, or malformed ones. */
  ignored: number;
}

export interface MetricStore {
  /** `at` = the server's time of arrival, Unix ms: proxies' clocks may be wrong. */
  append(points: readonly MetricPoint[], at: number): void;
  /** Increase per label set over a window; windows older than the retention count what is left of them. */
  increases(query: IncreaseQuery): EdgeStats[];
  stats(): MetricStoreStats;
}

/** A span as it arrives: the API's span with its trace. */
export interface StoredSpan extends Span {
  traceId: string;
}

export interface TraceStoreStats {
  spans: number;
  bytes: number;
  /** Spans dropped to stay inside the budget since the start. */
  dropped: number;
}

export interface TraceStore {
  append(spans: readonly StoredSpan[]): void;
  /** Newest first. `total` counts all matches, `truncated` tells that `limit` cut them. */
  find(query: TraceQuery): { traces: TraceSummary[]; total: number; truncated: boolean };
  /** Spans by start time; undefined when nothing of the trace is (still) here. */
  get(traceId: string): Trace | undefined;
  services(): { name: string; operations: string[] }[];
  stats(): TraceStoreStats;
}

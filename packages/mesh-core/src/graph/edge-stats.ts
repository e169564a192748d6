// What one label set of Istio's standard metrics did during a window: the graph's only input about traffic.

/** Increase of the counters of one label set. Labels carry Istio's names (`source_workload`, `response_code`, ...). */
export interface EdgeStats {
  labels: Readonly<Record<string, string>>;
  /** istio_requests_total. */
  requests: number;
  /** Request duration per bucket (not cumulative), one more than `bounds`; absent = no histogram. */
  buckets?: ArrayLike<number>;
  /** Upper bounds of `buckets`, ms; the last bucket has none. */
  bounds?: readonly number[];
  /** Request and response bytes of HTTP, both directions of TCP. */
  bytes: number;
  /** istio_tcp_connections_opened_total. */
  connections: number;
}

/** A sum of histograms with the same bounds. */
export interface Histogram {
  bounds: readonly number[];
  counts: number[];
}

/** Adds a row's buckets; a histogram with other bounds cannot be merged and is left out. */
export function addBuckets(into: Histogram | undefined, row: Pick<EdgeStats, 'buckets' | 'bounds'>): Histogram | undefined {
  const { buckets, bounds } = row;
  if (buckets === undefined || bounds === undefined) return into;
  if (into === undefined) return { bounds, counts: Array.from(buckets) };
  if (into.bounds !== bounds && !(into.bounds.length === bounds.length && into.bounds.every((bound, i) => bound === bounds[i]))) return into;
  for (let i = 0; i < into.counts.length; i++) into.counts[i] = (into.counts[i] ?? 0) + (buckets[i] ?? 0);
  return into;
}

/** Quantile `q` (0-1) in ms as Prometheus' histogram_quantile interpolates it; -1 without samples. */
export function quantile(histogram: Histogram | undefined, q: number): number {
  if (histogram === undefined) return -1;
  const { bounds, counts } = histogram;
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return -1;
  const rank = q * total;
  let below = 0;
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i] ?? 0;
    if (count > 0 && below + count >= rank) {
      const upper = bounds[i];
      // Beyond the last bound nothing is known: Prometheus answers the bound itself.
      if (upper === undefined) return bounds.at(-1) ?? -1;
      const lower = i === 0 ? 0 : (bounds[i - 1] ?? 0);
      return lower + ((upper - lower) * Math.max(0, rank - below)) / count;
    }
    below += count;
  }
  return bounds.at(-1) ?? -1;
}

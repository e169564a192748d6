// Istio's metrics of a stock Envoy: scraped from its admin port, renamed, and pushed as the same OTLP every proxy pushes.

import { Agent } from 'node:http';
import { canonicalService } from '@weft/mesh-core/model';
import { LABELS, METRIC, type OtlpMetric, type OtlpPoint, encodeMetrics } from '@weft/mesh-core/telemetry';
import { type ProxySpec, nodeId } from '../proxy/config/proxy-spec.ts';
import { post } from '../proxy/telemetry/otlp-exporter.ts';

const INTERVAL_MS = 1_000;
/** What a scrape costs Envoy and us grows with the series, so there is a pause of this many times what the last one took. */
const REST = 2;
/** Counters are a line each; a histogram is twenty and more, so they have a pace of their own. In Envoy's names a dot may stand after `istio`. */
const SCRAPES = ['istio.[a-z_]+_total', 'istio.(request|response)_(duration_milliseconds|bytes)'];
/** Of an Envoy with many series on a busy machine. */
const SCRAPE_MS = 10_000;
const COUNTERS: ReadonlySet<string> = new Set([METRIC.requests, METRIC.tcpOpened, METRIC.tcpClosed, METRIC.tcpSent, METRIC.tcpReceived]);

/** Starts forwarding; returns the stop function, which sends what was counted last. A scrape that fails is left out: counters are cumulative. */
export function startStatsForwarder(spec: ProxySpec): () => Promise<void> {
  const agent = new Agent({ keepAlive: true });
  const startMs = Date.now();
  const resource = {
    'service.name': `${canonicalService(spec.labels, spec.workload)}.${spec.namespace}`,
    'weft.workload': spec.workload,
    'weft.namespace': spec.namespace,
    'weft.node_id': nodeId(spec),
  };
  const known: KnownTags = new Map();
  const forward = async (filter: string): Promise<void> => {
    const query = `usedonly&filter=${encodeURIComponent(filter)}`;
    try {
      const response = await fetch(`http://127.0.0.1:${spec.adminPort}/stats/prometheus?${query}`, { signal: AbortSignal.timeout(SCRAPE_MS) });
      const metrics = parseIstioStats(await response.text(), startMs, Date.now(), known);
      if (metrics.length > 0) await post(agent, `${spec.otlpEndpoint}/v1/metrics`, encodeMetrics([{ resource, metrics }]));
    } catch {
      // Envoy is starting, or gone: the next time tries again.
    }
  };
  const stops = SCRAPES.map((filter) => repeat(() => forward(filter)));
  return async () => {
    await Promise.all(stops.map((stop) => stop()));
    agent.destroy();
  };
}

/** Again and again, with pauses; the stop function does it once more. */
function repeat(work: () => Promise<void>): () => Promise<void> {
  let stopped = false;
  let timer: NodeJS.Timeout;
  let running: Promise<void> = Promise.resolve();
  const round = async (): Promise<void> => {
    const start = performance.now();
    await work();
    if (!stopped) schedule(pauseAfter(performance.now() - start));
  };
  const schedule = (pauseMs: number): void => {
    timer = setTimeout(() => void (running = round()), pauseMs);
  };
  schedule(INTERVAL_MS);
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await running;
    await work();
  };
}

/** Until the next scrape, of one that took so long. */
export function pauseAfter(tookMs: number): number {
  return Math.max(INTERVAL_MS - tookMs, REST * tookMs);
}

const LINE = /^(\w+)(?:\{(.*)\})? ([\d.eE+-]+|NaN)$/;
const TAG = /(\w+)="((?:[^"\\]|\\.)*)"/g;

interface Tags {
  labels: Record<string, string>;
  /** Names the series. */
  key: string;
  /** Bound of a bucket. */
  le: number;
}

/** By the text of a line between its braces: the same lines come every second, some twenty of each histogram. */
type KnownTags = Map<string, Tags>;
/** Forgotten when there are more: series come and go with what they name. */
const MAX_KNOWN = 100_000;

/** Envoy's `envoy_istio_*` lines as Istio's metrics; `-` (nothing to format) becomes `unknown`, but for the flags. */
export function parseIstioStats(text: string, startMs: number, timeMs: number, known: KnownTags = new Map()): OtlpMetric[] {
  if (known.size > MAX_KNOWN) known.clear();
  const counters = new Map<string, OtlpPoint[]>();
  const histograms = new Map<string, Map<string, { labels: Record<string, string>; buckets: { le: number; count: number }[]; sum: number; count: number }>>();
  for (const line of text.split('\n')) {
    const match = LINE.exec(line);
    const [, rawName = '', rawTags = '', rawValue = '0'] = match ?? [];
    if (match === null || !rawName.startsWith('envoy_istio_')) continue;
    const name = rawName.slice('envoy_'.length);
    let tags = known.get(rawTags);
    if (tags === undefined) known.set(rawTags, (tags = parseTags(rawTags)));
    const { labels, key, le } = tags;
    const value = Number(rawValue);
    if (COUNTERS.has(name)) {
      const points = counters.get(name) ?? [];
      counters.set(name, points);
      points.push({ attributes: labels, startMs, timeMs, value });
      continue;
    }
    const part = /^(.*)_(bucket|sum|count)$/.exec(name);
    const [, base = '', kind = ''] = part ?? [];
    if (part === null) continue;
    const series = histograms.get(base) ?? new Map();
    histograms.set(base, series);
    const histogram = series.get(key) ?? { labels, buckets: [], sum: 0, count: 0 };
    series.set(key, histogram);
    if (kind === 'sum') histogram.sum = value;
    else if (kind === 'count') histogram.count = value;
    else histogram.buckets.push({ le, count: value });
  }
  const result: OtlpMetric[] = [...counters].map(([name, points]) => ({
    name,
    unit: name.includes('_bytes_') ? 'By' : '1',
    kind: 'sum',
    temporality: 'cumulative',
    points,
  }));
  for (const [name, series] of histograms)
    result.push({
      name,
      unit: name.endsWith('milliseconds') ? 'ms' : 'By',
      kind: 'histogram',
      temporality: 'cumulative',
      points: [...series.values()].map(({ labels, buckets, sum, count }) => {
        const sorted = buckets.toSorted((a, b) => a.le - b.le);
        return {
          attributes: labels,
          startMs,
          timeMs,
          sum,
          count,
          bounds: sorted.filter((b) => Number.isFinite(b.le)).map((b) => b.le),
          bucketCounts: sorted.map((b, i) => b.count - (sorted[i - 1]?.count ?? 0)),
        };
      }),
    });
  return result;
}

function parseTags(text: string): Tags {
  const tags: Record<string, string> = {};
  for (const [, key = '', value = ''] of text.matchAll(TAG)) tags[key] = value.replaceAll('\\"', '"').replaceAll('\\\\', '\\');
  const labels = istioLabels(tags);
  return { labels, key: Object.values(labels).join('|'), le: tags['le'] === '+Inf' ? Infinity : Number(tags['le']) };
}

/** Istio's label set from Envoy's tags, and what a Telemetry has added; a label whose tag it took away is not there. */
function istioLabels({ le: _, ...tags }: Readonly<Record<string, string>>): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const label of new Set([...LABELS, ...Object.keys(tags)])) {
    // Connections have no status.
    if (tags['request_protocol'] === 'tcp' && (label === 'response_code' || label === 'grpc_response_status')) continue;
    if (tags[label] === undefined && label !== 'grpc_response_status') continue;
    const value = tags[label] ?? '';
    if (label === 'response_flags') labels[label] = value === '' ? '-' : value;
    else if (label === 'grpc_response_status') labels[label] = value === '-' ? '' : value;
    else if (label === 'connection_security_policy')
      labels[label] = value === 'unknown' ? 'unknown' : value.startsWith('TLS') || value === 'mutual_tls' ? 'mutual_tls' : 'none';
    else labels[label] = value === '' || value === '-' ? (label.endsWith('revision') ? 'latest' : 'unknown') : value;
  }
  return labels;
}

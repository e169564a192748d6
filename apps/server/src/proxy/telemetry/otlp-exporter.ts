// Pushes metrics every second and spans in batches over OTLP/HTTP. Bounded: spans that cannot be sent are dropped and counted;
// metrics are cumulative, so a push that fails is made up for by the next.

import type { Agent } from 'node:http';
import { type Attributes, type OtlpMetric, type OtlpSpan, encodeMetrics, encodeTraces } from '@weft/mesh-core/telemetry';
import { nodeHttp } from '../transport/node-http.ts';

const INTERVAL_MS = 1_000;
const MAX_SPANS = 4_096;
const MAX_BATCH = 512;

export interface TakenMetrics {
  metrics: OtlpMetric[];
  /** They could not be sent. */
  putBack(): void;
}

export interface MetricSource {
  hasChanged(): boolean;
  /** What changed since it was last taken, as cumulative values. */
  takeChanged(timeMs: number): TakenMetrics;
}

export function anyDirty(rows: Iterable<{ dirty: boolean }>): boolean {
  for (const { dirty } of rows) if (dirty) return true;
  return false;
}

/** {@link MetricSource.takeChanged} of rows that say whether they have changed. */
export function takeDirty<Row extends { dirty: boolean }>(rows: Iterable<Row>, toOtlp: (changed: readonly Row[]) => OtlpMetric[]): TakenMetrics {
  const changed = [...rows].filter((row) => row.dirty);
  for (const row of changed) row.dirty = false;
  return {
    metrics: changed.length === 0 ? [] : toOtlp(changed),
    putBack: () => {
      for (const row of changed) row.dirty = true;
    },
  };
}

export interface OtlpExporter {
  addSpan(span: OtlpSpan): void;
  droppedSpans(): number;
  /** Sends what is left; resolves when sent or failed. */
  stop(): Promise<void>;
}

export function startOtlpExporter(endpoint: string, resource: Attributes, sources: readonly MetricSource[], now: () => number): OtlpExporter {
  let agent: Agent | undefined;
  const spans: OtlpSpan[] = [];
  let dropped = 0;
  /** Whether what it pushes was taken. */
  let running: Promise<boolean> | undefined;

  const send = (path: string, body: Uint8Array): Promise<boolean> => {
    agent ??= new (nodeHttp().Agent)({ keepAlive: true, maxSockets: 2 });
    return post(agent, `${endpoint}${path}`, body);
  };
  const pushMetrics = async (): Promise<boolean> => {
    const taken = sources.map((source) => source.takeChanged(now()));
    const metrics = taken.flatMap((t) => t.metrics);
    if (metrics.length === 0) return true;
    const sent = await send('/v1/metrics', encodeMetrics([{ resource, metrics }]));
    if (!sent) for (const { putBack } of taken) putBack();
    return sent;
  };
  /** Goes on while there are `least`. */
  const pushSpans = async (least: number): Promise<boolean> => {
    if (spans.length === 0) return true;
    const batch = spans.splice(0, MAX_BATCH);
    const sent = await send('/v1/traces', encodeTraces([{ resource, spans: batch }]));
    if (!sent) dropped += batch.length;
    return sent && spans.length >= least ? pushSpans(least) : sent;
  };
  const push = (least = MAX_BATCH): Promise<boolean> =>
    (running ??= Promise.all([pushMetrics(), pushSpans(least)])
      .then((sent) => sent.every(Boolean))
      .finally(() => (running = undefined)));
  const timer = setInterval(() => {
    if (spans.length > 0 || sources.some((source) => source.hasChanged())) void push();
  }, INTERVAL_MS);
  return {
    addSpan(span) {
      if (spans.length >= MAX_SPANS) dropped += 1;
      else spans.push(span);
      if (spans.length >= MAX_BATCH) void push();
    },
    droppedSpans: () => dropped,
    async stop() {
      clearInterval(timer);
      // What is under way was taken before what has come since; who does not take that is not waited for again.
      if ((await running) !== false) await push(1);
      agent?.destroy();
    },
  };
}

/** True when the receiver took it. */
export function post(agent: Agent, url: string, body: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    const request = nodeHttp().request(
      url,
      { agent, method: 'POST', headers: { 'content-type': 'application/x-protobuf', 'content-length': body.length }, timeout: 3_000 },
      (response) => {
        response.resume();
        response.on('end', () => resolve((response.statusCode ?? 500) < 300));
        response.on('error', () => resolve(false));
      },
    );
    request.on('timeout', () => request.destroy());
    // A kept connection the receiver closed meanwhile says nothing about the receiver.
    request.on('error', (error: NodeJS.ErrnoException) => resolve(request.reusedSocket && error.code === 'ECONNRESET' ? post(agent, url, body) : false));
    request.end(body);
  });
}

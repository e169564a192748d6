// The telemetry room: OTLP in, stores, and the questions the API asks.

import type { GraphSnapshot, ProxyStatus, Series, SeriesQuery, Trace, TraceQuery, TraceSummary } from '@weft/mesh-core/api';
import type { MeshObject } from '@weft/mesh-core/model';
import { EmbeddedMetricStore } from './embedded-metric-store.ts';
import { EmbeddedTraceStore } from './embedded-trace-store.ts';
import { pointsOf, spansOf } from './ingest.ts';
import { createIntake, type Intake } from './intake.ts';
import {
  type Asked,
  type GraphQuery,
  graphOf,
  seriesOf,
  type ServiceStats,
  serviceStatsIn,
  type SplitQuery,
  splitStatsOf,
  type SubsetStats,
} from './questions.ts';
import { SilenceWatch } from './silence.ts';
import type { MetricStore, TraceStore } from './stores.ts';
import { createTraceExport } from './trace-export.ts';

export interface TelemetryOptions {
  /** Unix ms. */
  clock: () => number;
  objects: () => readonly MeshObject[];
  proxies: () => readonly ProxyStatus[];
  host: string;
  otlpHttpPort: number;
  otlpGrpcPort: number;
  log(message: string): void;
  /** Where spans are sent on to, besides being kept. */
  traceExport?: { kind: 'jaeger' | 'otlp'; endpoint: string };
  /** Bytes; defaults 128 MiB and 64 MiB. */
  metricBytes?: number;
  traceBytes?: number;
}

export interface Telemetry {
  readonly metrics: MetricStore;
  readonly traces: TraceStore;
  readonly intake: Intake;
  /** Opens the OTLP ports; throws IntakeListenError. */
  start(): Promise<void>;
  stop(): Promise<void>;
  graph(query: GraphQuery): Promise<GraphSnapshot>;
  splitStats(query: SplitQuery): SubsetStats[];
  series(query: SeriesQuery): Series;
  findTraces(query: TraceQuery): { traces: TraceSummary[]; total: number; truncated: boolean };
  trace(id: string): Trace | undefined;
  traceServices(): { name: string; operations: string[] }[];
  serviceStats(windowSec: number): (host: string) => ServiceStats;
}

/** Nothing listens until `start`. */
export function createTelemetry(options: TelemetryOptions): Telemetry {
  const startedAt = options.clock();
  const metrics = new EmbeddedMetricStore({ startedAt, ...(options.metricBytes === undefined ? {} : { maxBytes: options.metricBytes }) });
  const traces = new EmbeddedTraceStore({ clock: options.clock, ...(options.traceBytes === undefined ? {} : { maxBytes: options.traceBytes }) });
  const forward = options.traceExport === undefined ? undefined : createTraceExport({ ...options.traceExport, log: options.log });
  const silence = new SilenceWatch();
  const asked: Asked = { metrics, objects: options.objects, proxies: options.proxies, clock: options.clock, startedAt };
  // Envoys send once a second each, and to tell of all proxies is much work.
  const workloads = new Map<string, { workload: string; namespace: string }>();
  const workloadOf = (nodeId: string): { workload: string; namespace: string } | undefined => {
    const known = workloads.get(nodeId);
    if (known !== undefined) return known;
    const proxy = options.proxies().find(({ id }) => id === nodeId);
    if (proxy !== undefined) workloads.set(nodeId, { workload: proxy.workload, namespace: proxy.namespace });
    return proxy;
  };
  const intake = createIntake({
    host: options.host,
    httpPort: options.otlpHttpPort,
    grpcPort: options.otlpGrpcPort,
    log: options.log,
    metrics(resources) {
      const at = options.clock();
      silence.heard(resources, at);
      metrics.append(pointsOf(resources), at);
    },
    traces(resources) {
      traces.append(spansOf(resources, workloadOf));
      forward?.send(resources);
    },
  });
  return {
    metrics,
    traces,
    intake,
    start: () => intake.start(),
    async stop() {
      await intake.stop();
      await forward?.stop();
    },
    graph: (query) => graphOf(asked, query, silence.notes(options.proxies(), metrics, options.clock())),
    splitStats: (query) => splitStatsOf(asked, query),
    series: (query) => seriesOf(asked, query),
    findTraces: (query) => traces.find(query),
    trace: (id) => traces.get(id),
    traceServices: () => traces.services(),
    serviceStats: (windowSec) => serviceStatsIn(asked, windowSec),
  };
}

// Sends spans on, to a Jaeger by OpenTelemetry's Jaeger exporter or to anything that takes OTLP/HTTP.

import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import { type Attributes, encodeTraces, type OtlpResourceSpans, type OtlpSpan } from '@weft/mesh-core/telemetry';
import { TraceExportError } from './errors.ts';

export interface TraceExportOptions {
  /** `jaeger`: thrift over HTTP (`http://host:14268/api/traces`). `otlp`: protobuf (`http://host:4318`, `/v1/traces` is added). */
  kind: 'jaeger' | 'otlp';
  endpoint: string;
  log(message: string): void;
}

export interface TraceExport {
  /** Queues spans; the oldest are dropped (and told in the log) when the receiver does not keep up. */
  send(resources: readonly OtlpResourceSpans[]): void;
  /** Resolves when everything queued so far was sent or given up. */
  flush(): Promise<void>;
  /** Flushes and closes; `send` does nothing afterwards. */
  stop(): Promise<void>;
}

const MAX_QUEUED_SPANS = 20_000;
const SEND_TIMEOUT_MS = 10_000;

export function createTraceExport(options: TraceExportOptions): TraceExport {
  const deliver = options.kind === 'jaeger' ? jaegerDelivery(options.endpoint) : otlpDelivery(options.endpoint);
  let queue: OtlpResourceSpans[] = [];
  let queued = 0;
  let running: Promise<void> | undefined;
  let stopped = false;
  let complaint = '';

  const drain = async (): Promise<void> => {
    while (queue.length > 0) {
      const batch = queue;
      queue = [];
      queued = 0;
      try {
        await deliver.send(batch);
        complaint = '';
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        // A receiver that is down fails every second: say it once.
        if (message !== complaint) options.log(message);
        complaint = message;
      }
    }
    running = undefined;
  };
  return {
    send(resources) {
      if (stopped) return;
      for (const resource of resources) {
        queue.push(resource);
        queued += resource.spans.length;
      }
      while (queued > MAX_QUEUED_SPANS && queue.length > 1) {
        const dropped = queue.shift()?.spans.length ?? 0;
        queued -= dropped;
        options.log(`dropped ${dropped} spans: ${options.endpoint} does not keep up`);
      }
      running ??= drain();
    },
    async flush() {
      await running;
    },
    async stop() {
      stopped = true;
      await this.flush();
      await deliver.close();
    },
  };
}

interface Delivery {
  send(batch: readonly OtlpResourceSpans[]): Promise<void>;
  close(): Promise<void>;
}

function otlpDelivery(endpoint: string): Delivery {
  const url = endpoint.endsWith('/v1/traces') ? endpoint : `${endpoint.replace(/\/$/, '')}/v1/traces`;
  return {
    async send(batch) {
      const body = Buffer.from(encodeTraces(batch));
      const response = await fetch(url, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/x-protobuf' },
        signal: AbortSignal.timeout(SEND_TIMEOUT_MS),
      }).catch((error: unknown) => {
        throw new TraceExportError(url, error instanceof Error ? ((error.cause as Error | undefined)?.message ?? error.message) : String(error));
      });
      await response.arrayBuffer();
      if (!response.ok) throw new TraceExportError(url, `status ${response.status}`);
    },
    async close() {},
  };
}

/** The exporter takes the service from its first span, so each service gets one of its own. */
function jaegerDelivery(endpoint: string): Delivery {
  const exporters = new Map<string, SpanExporter>();
  const exporterOf = async (service: string): Promise<SpanExporter> => {
    const known = exporters.get(service);
    if (known !== undefined) return known;
    // Loaded only when asked for: thrift and its buffers cost memory nobody else needs.
    const { JaegerExporter } = await import('@opentelemetry/exporter-jaeger');
    const made: SpanExporter = new JaegerExporter({ endpoint });
    exporters.set(service, made);
    return made;
  };
  return {
    async send(batch) {
      for (const { resource, spans } of batch) {
        const exporter = await exporterOf(String(resource['service.name'] ?? 'unknown'));
        await new Promise<void>((resolve, reject) => {
          exporter.export(
            spans.map((span) => readable(span, resource)),
            ({ code, error }) => (code === 0 ? resolve() : reject(new TraceExportError(endpoint, error?.message ?? 'the exporter failed'))),
          );
        });
      }
    },
    async close() {
      for (const exporter of exporters.values()) await exporter.shutdown();
    },
  };
}

type Time = [number, number];
const time = (us: number): Time => [Math.floor(us / 1e6), Math.round((us % 1e6) * 1e3)];

/** One of our spans as OpenTelemetry's SDK hands it to exporters. */
function readable(span: OtlpSpan, resource: Attributes): ReadableSpan {
  const context = (spanId: string) => ({ traceId: span.traceId, spanId, traceFlags: 1, isRemote: false });
  return {
    name: span.name,
    // OTLP numbers kinds from 1 (0 = unspecified), the SDK from 0.
    kind: Math.max(0, span.kind - 1),
    spanContext: () => context(span.spanId),
    ...(span.parentSpanId === '' ? {} : { parentSpanContext: context(span.parentSpanId) }),
    startTime: time(span.startUs),
    endTime: time(span.endUs),
    duration: time(span.endUs - span.startUs),
    ended: true,
    status: { code: span.status },
    attributes: span.attributes,
    links: [],
    events: span.events.map((event) => ({ name: event.name, time: time(event.timeUs), attributes: event.attributes })),
    resource: { attributes: resource, merge: () => readable(span, resource).resource, getRawAttributes: () => Object.entries(resource) },
    instrumentationScope: { name: 'weft' },
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

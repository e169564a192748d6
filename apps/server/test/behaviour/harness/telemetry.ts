// What proxies report while the suite runs: metrics and spans by OTLP, access log lines from the file all proxies write.

import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import type { Attributes, OtlpResourceSpans, OtlpSpan } from '@weft/mesh-core/telemetry';
import { createIntake } from '../../../src/telemetry/intake.ts';

export interface Series {
  name: string;
  labels: Record<string, string>;
  /** Counter value, or the count of a histogram. */
  value: number;
  /** Node id of the proxy. */
  node: string;
}

export interface SpanSeen extends OtlpSpan {
  resource: Attributes;
}

export interface TelemetrySink {
  ports: { http: number; grpc: number };
  /** Latest value of each series whose destination is this service host. */
  metrics(destinationService: string): Series[];
  /** Spans of requests with these ids. */
  spans(requestIds: ReadonlySet<string>): SpanSeen[];
  logs(requestIds: ReadonlySet<string>): string[];
  stop(): Promise<void>;
}

export async function startTelemetrySink(accessLogFile: string): Promise<TelemetrySink> {
  /** By destination service. */
  const series = new Map<string, Map<string, Series>>();
  const spans = new Map<string, SpanSeen[]>();
  const logs = openLog(accessLogFile);
  const intake = createIntake({
    host: '127.0.0.1',
    httpPort: 0,
    grpcPort: 0,
    metrics(resources) {
      for (const { resource, metrics } of resources)
        for (const metric of metrics)
          for (const point of metric.points) {
            const labels = Object.fromEntries(Object.entries(point.attributes).map(([k, v]) => [k, String(v)]));
            const node = String(resource['weft.node_id']);
            const host = labels['destination_service'] ?? '';
            const ofHost = series.get(host) ?? new Map<string, Series>();
            series.set(host, ofHost);
            const key = JSON.stringify([node, metric.name, labels]);
            const before = metric.temporality === 'delta' ? (ofHost.get(key)?.value ?? 0) : 0;
            ofHost.set(key, { name: metric.name, labels, value: before + (point.value ?? point.count ?? 0), node });
          }
    },
    traces(resources: OtlpResourceSpans[]) {
      for (const { resource, spans: list } of resources)
        for (const span of list) {
          const id = sameId(String(span.attributes['guid:x-request-id']));
          spans.set(id, [...(spans.get(sameId(id)) ?? []), { ...span, resource }]);
        }
    },
    log: () => undefined,
  });
  await intake.start();
  return {
    ports: intake.ports,
    metrics: (host) => [...(series.get(host)?.values() ?? [])],
    spans: (ids) => [...ids].flatMap((id) => spans.get(sameId(id)) ?? []),
    logs,
    stop: () => intake.stop(),
  };
}

const ID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/;

/** Envoy writes the sampling decision into the version digit of a request id. */
const sameId = (id: string): string => `${id.slice(0, 14)}x${id.slice(15)}`;

/** Lines by the request id in them; reads on from where it was. */
function openLog(path: string): (ids: ReadonlySet<string>) => string[] {
  const lines = new Map<string, string[]>();
  let at = 0;
  let rest = '';
  const readOn = (): void => {
    if (!existsSync(path)) return;
    const bytes = Buffer.alloc(statSync(path).size - at);
    if (bytes.length === 0) return;
    const file = openSync(path, 'r');
    at += readSync(file, bytes, 0, bytes.length, at);
    closeSync(file);
    const whole = (rest + bytes.toString()).split('\n');
    rest = whole.pop() ?? '';
    for (const line of whole) {
      const id = sameId(ID.exec(line)?.[0] ?? '');
      lines.set(id, [...(lines.get(id) ?? []), line]);
    }
  };
  return (ids) => {
    readOn();
    return [...ids].flatMap((id) => lines.get(sameId(id)) ?? []);
  };
}

// The same rows at /stats/prometheus, rendered by prom-client from what the rows hold at scrape time.

import { BUCKET_BOUNDS, METRIC } from '@weft/mesh-core/telemetry';
import type { Registry } from 'prom-client';
import type { Histogram, MetricRow, RequestMetrics } from './request-metrics.ts';
import type { TcpMetrics, TcpRow } from './tcp-metrics.ts';

interface Value {
  value: number;
  labels: Record<string, string | number>;
  metricName?: string;
}

export type Scrape = () => Promise<{ type: string; body: string }>;

/** prom-client is loaded by the first scrape: a proxy nobody scrapes is smaller without it. */
export function createPrometheus(metrics: RequestMetrics, tcp: TcpMetrics): Scrape {
  let registry: Promise<Registry> | undefined;
  return async () => {
    const rows = await (registry ??= registryOf(metrics, tcp));
    return { type: rows.contentType, body: await rows.metrics() };
  };
}

/** `promtool check metrics` has one complaint: Istio counts duration in milliseconds. */
async function registryOf(metrics: RequestMetrics, tcp: TcpMetrics): Promise<Registry> {
  const { Registry } = await import('prom-client');
  const registry = new Registry();
  const register = (name: string, help: string, type: 'counter' | 'histogram', values: () => Value[]): void => {
    // prom-client renders anything with this shape; its own classes would hash labels on every request.
    registry.registerMetric({ name, help, type, get: () => ({ name, help, type, aggregator: 'sum', values: values() }) } as unknown as Parameters<
      Registry['registerMetric']
    >[0]);
  };
  const rowsFor = (name: string): MetricRow[] => [...metrics.rows()].filter((row) => row.metrics.has(name));
  register(METRIC.requests, 'Requests handled by the proxy', 'counter', () =>
    rowsFor(METRIC.requests).map((row) => ({ value: row.requests, labels: row.labels })),
  );
  const histogram = (name: string, help: string, pick: (row: MetricRow) => Histogram): void =>
    register(name, help, 'histogram', () => rowsFor(name).flatMap((row) => buckets(name, row, pick(row))));
  histogram(METRIC.duration, 'Request duration in milliseconds', (row) => row.duration);
  histogram(METRIC.requestBytes, 'Request size on the wire in bytes', (row) => row.requestBytes);
  histogram(METRIC.responseBytes, 'Response size on the wire in bytes', (row) => row.responseBytes);
  const messages = (name: string, help: string, side: 'request' | 'response'): void =>
    register(name, help, 'counter', () =>
      rowsFor(name).flatMap((row) => (row.messages === undefined ? [] : [{ value: row.messages[side], labels: row.labels }])),
    );
  messages(METRIC.requestMessages, 'gRPC messages from clients', 'request');
  messages(METRIC.responseMessages, 'gRPC messages to clients', 'response');
  const tcpCounter = (name: string, help: string, pick: (row: TcpRow) => number): void =>
    register(name, help, 'counter', () => [...tcp.rows()].filter((row) => row.metrics.has(name)).map((row) => ({ value: pick(row), labels: row.labels })));
  tcpCounter(METRIC.tcpOpened, 'TCP connections opened', (row) => row.opened);
  tcpCounter(METRIC.tcpClosed, 'TCP connections closed', (row) => row.closed);
  tcpCounter(METRIC.tcpSent, 'Bytes sent to the client of TCP connections', (row) => row.sent);
  tcpCounter(METRIC.tcpReceived, 'Bytes received from the client of TCP connections', (row) => row.received);
  return registry;
}

function buckets(name: string, row: MetricRow, histogram: Histogram): Value[] {
  let total = 0;
  const values: Value[] = [...BUCKET_BOUNDS, '+Inf'].map((le, i) => {
    total += histogram.counts[i] ?? 0;
    return { value: total, labels: { ...row.labels, le }, metricName: `${name}_bucket` };
  });
  values.push({ value: histogram.sum, labels: row.labels, metricName: `${name}_sum` }, { value: total, labels: row.labels, metricName: `${name}_count` });
  return values;
}

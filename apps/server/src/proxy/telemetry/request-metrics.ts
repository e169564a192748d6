// Istio's standard metrics, counted in rows whose labels are resolved once per destination or peer, never per request.

import { isGrpcContentType, toldGrpcStatus } from '@weft/mesh-core/model';
import {
  BUCKET_BOUNDS,
  type Labels,
  METRIC,
  type OtlpMetric,
  type OtlpPoint,
  type PeerLabels,
  UNKNOWN_PEER,
  labelsFor,
  parsePeerHeader,
} from '@weft/mesh-core/telemetry';
import type { ClusterConfig, Endpoint } from '../config/model.ts';
import type { HeaderValueSource } from '../http/header-values.ts';
import type { RequestRecord } from '../http/hooks.ts';
import { type ServiceName, endpointPeer, serviceOf, serviceOfOperation } from './destination.ts';
import { type MetricShape, type Shapes, requestShapes } from './metric-shapes.ts';
import { anyDirty, type MetricSource, takeDirty } from './otlp-exporter.ts';

export interface Histogram {
  counts: Float64Array;
  sum: number;
}

/** One label set. */
export interface MetricRow {
  labels: Labels;
  /** Which metrics it feeds. */
  metrics: MetricShape['metrics'];
  startMs: number;
  requests: number;
  duration: Histogram;
  requestBytes: Histogram;
  responseBytes: Histogram;
  /** Undefined where requests are not gRPC. */
  messages: { request: number; response: number } | undefined;
  /** Changed since it was last sent. */
  dirty: boolean;
}

/** What is common to all requests to one endpoint, or from one peer; cells by status, flags and gRPC status. */
interface Scope {
  source: PeerLabels;
  destination: PeerLabels;
  service: ServiceName | undefined;
  mutualTls: boolean;
  cells: Map<string, readonly MetricRow[]>;
  /** The cell of the request before: most end alike, and no key is made for them. */
  last: { status: number; flags: string; grpcStatus: string; grpc: boolean; rows: readonly MetricRow[] } | undefined;
  /** What the cells are made for; a manager with other shapes starts anew. */
  shapes: Shapes | undefined;
}

/** Label sets at most; what comes beyond is counted in one row with unknown peers, so that totals stay right. */
const MAX_ROWS = 5_000;
const MAX_PEERS = 1_000;
const NO_VALUES: readonly string[] = [];
const NOBODY = labelsFor({
  reporter: 'source',
  source: UNKNOWN_PEER,
  destination: UNKNOWN_PEER,
  service: undefined,
  protocol: 'http',
  code: 0,
  grpcStatus: '',
  flags: '-',
  mutualTls: false,
});
const UNKNOWN_ENDS = Object.fromEntries(Object.entries(NOBODY).filter(([label]) => label.startsWith('source_') || label.startsWith('destination_')));

export interface RequestMetrics extends MetricSource {
  /** `source` is looked at where tags differ from request to request. */
  onRequest(record: RequestRecord, source?: HeaderValueSource): void;
  rows(): Iterable<MetricRow>;
}

/** `self` is this workload; `now` gives Unix ms. */
export function createRequestMetrics(self: PeerLabels, now: () => number): RequestMetrics {
  const rows = new Map<string, MetricRow>();
  let overflow: MetricRow | undefined;
  const newRow = (labels: Labels, { metrics }: MetricShape, grpc: boolean): MetricRow => ({
    labels,
    metrics,
    startMs: now(),
    requests: 0,
    duration: histogram(),
    requestBytes: histogram(),
    responseBytes: histogram(),
    messages: grpc ? { request: 0, response: 0 } : undefined,
    dirty: true,
  });
  const outbound = new WeakMap<Endpoint, Scope>();
  const outboundNoEndpoint = new WeakMap<ClusterConfig, Scope>();
  const noCluster = scopeOf({ source: self, destination: UNKNOWN_PEER, service: undefined, mutualTls: false });
  const peers = new Map<string, Scope>();

  /** A request to a host the mesh does not know, under the names Istio gives such destinations. */
  const unknownScope = (record: RequestRecord, name: 'PassthroughCluster' | 'BlackHoleCluster'): Scope => {
    const key = `${name}|${record.authority}`;
    const known = peers.get(key);
    if (known !== undefined) return known;
    const host = peers.size < MAX_PEERS ? record.authority : name;
    const scope = scopeOf({ source: self, destination: UNKNOWN_PEER, service: { host, name, namespace: 'unknown' }, mutualTls: false });
    if (peers.size < MAX_PEERS) peers.set(key, scope);
    return scope;
  };

  const outboundScope = (record: RequestRecord): Scope => {
    const { cluster, endpoint } = record;
    if (cluster === undefined) return record.route?.name === 'block_all' ? unknownScope(record, 'BlackHoleCluster') : noCluster;
    if (cluster.name === 'PassthroughCluster') return unknownScope(record, 'PassthroughCluster');
    const known = endpoint === undefined ? outboundNoEndpoint.get(cluster) : outbound.get(endpoint);
    if (known !== undefined) return known;
    const destination = endpoint === undefined ? UNKNOWN_PEER : endpointPeer(endpoint);
    const scope = scopeOf({ source: self, destination, service: serviceOf(cluster), mutualTls: false });
    if (endpoint === undefined) outboundNoEndpoint.set(cluster, scope);
    else outbound.set(endpoint, scope);
    return scope;
  };

  /** Peers call again and again: no key is made for the one that called last. */
  let last: { operation: string; principal: string; header: string | undefined; scope: Scope } | undefined;
  const inboundScope = (record: RequestRecord): Scope => {
    const { header, principal = '' } = record.peer;
    const operation = record.route?.operation ?? '';
    if (last === undefined || last.header !== header || last.operation !== operation || last.principal !== principal)
      last = { operation, principal, header, scope: peerScope(record, operation, principal) };
    return last.scope;
  };

  const peerScope = (record: RequestRecord, operation: string, principal: string): Scope => {
    // The header is believed only when TLS proved the peer; the runtime drops it otherwise.
    const key = `${operation}|${principal}|${record.peer.header ?? ''}`;
    const known = peers.get(key);
    if (known !== undefined) return known;
    const source = peers.size < MAX_PEERS ? parsePeerHeader(record.peer.header, principal) : UNKNOWN_PEER;
    const scope = scopeOf({ source, destination: self, service: serviceOfOperation(record.route?.operation), mutualTls: principal !== '' });
    if (peers.size < MAX_PEERS) peers.set(key, scope);
    return scope;
  };

  const cell = (scope: Scope, record: RequestRecord, key: string, values: readonly string[]): readonly MetricRow[] => {
    const grpc = isGrpcContentType(record.contentType);
    const labels = labelsFor({
      reporter: record.direction === 'inbound' ? 'destination' : 'source',
      source: scope.source,
      destination: scope.destination,
      service: scope.service,
      protocol: grpc ? 'grpc' : 'http',
      code: record.status,
      grpcStatus: grpc ? toldGrpcStatus(record.grpcStatus, record.status) : '',
      flags: record.responseFlags,
      mutualTls: scope.mutualTls,
    });
    const found = (scope.shapes?.list ?? []).map((shape) => rowOf(shape.label(labels, values), shape, grpc));
    // Tags may have any number of values.
    if (scope.cells.size >= MAX_ROWS) scope.cells.clear();
    scope.cells.set(key, found);
    return found;
  };
  const rowsOf = (scope: Scope, record: RequestRecord, values: readonly string[]): readonly MetricRow[] => {
    const { status, responseFlags: flags, grpcStatus } = record;
    const grpc = isGrpcContentType(record.contentType);
    const { last } = scope;
    const same = last !== undefined && last.status === status && last.flags === flags && last.grpcStatus === grpcStatus && last.grpc === grpc;
    if (same && values === NO_VALUES) return last.rows;
    const key = `${status}|${flags}|${grpcStatus}|${grpc}|${values.join('|')}`;
    const found = scope.cells.get(key) ?? cell(scope, record, key, values);
    if (values === NO_VALUES) scope.last = { status, flags, grpcStatus, grpc, rows: found };
    return found;
  };
  const rowOf = (labels: Labels, shape: MetricShape, grpc: boolean): MetricRow => {
    // A new endpoint object with the same labels goes on in the same row.
    const rowKey = [...shape.metrics, ...Object.entries(labels).flat()].join('|');
    const known = rows.get(rowKey);
    if (known !== undefined) return known;
    const full = rows.size >= MAX_ROWS;
    const row = full ? (overflow ??= newRow({ ...labels, ...UNKNOWN_ENDS }, shape, grpc)) : newRow(labels, shape, grpc);
    rows.set(full ? '' : rowKey, row);
    return row;
  };

  return {
    onRequest(record, source) {
      const scope = record.direction === 'inbound' ? inboundScope(record) : outboundScope(record);
      const shapes = requestShapes(record.manager);
      if (scope.shapes !== shapes) {
        scope.shapes = shapes;
        scope.cells.clear();
        scope.last = undefined;
      }
      const values = shapes.values === undefined || source === undefined ? NO_VALUES : shapes.values(source);
      for (const row of rowsOf(scope, record, values)) {
        row.requests += 1;
        row.dirty = true;
        if (row.messages !== undefined) {
          row.messages.request += record.requestMessages;
          row.messages.response += record.responseMessages;
        }
        observe(row.duration, record.durationMs);
        observe(row.requestBytes, record.requestHeaderBytes + record.requestBodyBytes);
        observe(row.responseBytes, record.responseHeaderBytes + record.responseBodyBytes);
      }
    },
    rows: () => rows.values(),
    hasChanged: () => anyDirty(rows.values()),
    takeChanged: (timeMs) => takeDirty(rows.values(), (changed) => toOtlp(changed, timeMs)),
  };
}

function scopeOf(ends: Pick<Scope, 'source' | 'destination' | 'service' | 'mutualTls'>): Scope {
  return { ...ends, cells: new Map(), last: undefined, shapes: undefined };
}

function histogram(): Histogram {
  return { counts: new Float64Array(BUCKET_BOUNDS.length + 1), sum: 0 };
}

/** Bucket of values up to 2,048 by twice the value: all bounds are multiples of a half. */
const SMALL = Uint8Array.from({ length: 4_097 }, (_, i) => bucketOf(i / 2));

function bucketOf(value: number): number {
  let bucket = 0;
  while (bucket < BUCKET_BOUNDS.length && value > (BUCKET_BOUNDS[bucket] ?? Infinity)) bucket += 1;
  return bucket;
}

function observe(into: Histogram, value: number): void {
  const bucket = SMALL[Math.ceil(value * 2)] ?? bucketOf(value);
  into.counts[bucket] = (into.counts[bucket] ?? 0) + 1;
  into.sum += value;
}

/** The rows as cumulative OTLP. */
function toOtlp(rows: readonly MetricRow[], timeMs: number): OtlpMetric[] {
  const rowsFor = (name: string): readonly MetricRow[] => rows.filter((row) => row.metrics.has(name));
  const histogramMetric = (name: string, unit: string, pick: (row: MetricRow) => Histogram): OtlpMetric => ({
    name,
    unit,
    kind: 'histogram',
    temporality: 'cumulative',
    points: rowsFor(name).map((row): OtlpPoint => {
      const { counts, sum } = pick(row);
      return { attributes: row.labels, startMs: row.startMs, timeMs, count: row.requests, sum, bounds: BUCKET_BOUNDS, bucketCounts: Array.from(counts) };
    }),
  });
  const counter = (name: string, of: readonly MetricRow[], pick: (row: MetricRow) => number): OtlpMetric => ({
    name,
    unit: '1',
    kind: 'sum',
    temporality: 'cumulative',
    points: of.map((row) => ({ attributes: row.labels, startMs: row.startMs, timeMs, value: pick(row) })),
  });
  const messages = (name: string, side: 'request' | 'response'): OtlpMetric[] => {
    const grpc = rowsFor(name).filter((row) => row.messages !== undefined);
    return grpc.length === 0 ? [] : [counter(name, grpc, (row) => row.messages?.[side] ?? 0)];
  };
  return [
    counter(METRIC.requests, rowsFor(METRIC.requests), (row) => row.requests),
    histogramMetric(METRIC.duration, 'ms', (row) => row.duration),
    histogramMetric(METRIC.requestBytes, 'By', (row) => row.requestBytes),
    histogramMetric(METRIC.responseBytes, 'By', (row) => row.responseBytes),
    ...messages(METRIC.requestMessages, 'request'),
    ...messages(METRIC.responseMessages, 'response'),
  ];
}

// Istio's TCP metrics: connections and bytes per destination or peer. Bytes count while a connection is open.

import { type Label, METRIC, type OtlpMetric, type PeerLabels, UNKNOWN_PEER, labelsFor, parsePeerHeader } from '@weft/mesh-core/telemetry';
import type { TcpRecord } from '../http/hooks.ts';
import { tcpSource } from '../access-log/format.ts';
import { type ServiceName, endpointPeer, serviceOf } from './destination.ts';
import { connectionShapes } from './metric-shapes.ts';
import { anyDirty, type MetricSource, takeDirty } from './otlp-exporter.ts';

type TcpLabels = Omit<Record<Label, string>, 'response_code' | 'grpc_response_status'>;

export interface TcpRow {
  labels: TcpLabels;
  /** Which metrics it feeds. */
  metrics: ReadonlySet<string>;
  startMs: number;
  opened: number;
  closed: number;
  sent: number;
  received: number;
  dirty: boolean;
}

export interface TcpMetrics extends MetricSource {
  onTcp(record: TcpRecord): void;
  rows(): Iterable<TcpRow>;
}

/** What comes beyond is counted in one row with unknown ends, so that totals stay right. */
const MAX_ROWS = 1_000;
const OVERFLOW = '';

/** `self` is this workload; `now` gives Unix ms. */
export function createTcpMetrics(self: PeerLabels, now: () => number): TcpMetrics {
  const rows = new Map<string, TcpRow>();

  const rowsOf = (record: TcpRecord): readonly TcpRow[] => {
    const inbound = record.direction === 'inbound';
    const principal = record.peer.principal ?? '';
    const {
      response_code: _code,
      grpc_response_status: _status,
      ...labels
    } = labelsFor({
      reporter: inbound ? 'destination' : 'source',
      source: inbound ? parsePeerHeader(record.peer.header, principal) : self,
      destination: inbound ? self : record.endpoint === undefined ? UNKNOWN_PEER : endpointPeer(record.endpoint),
      service: serviceBehind(record),
      protocol: 'tcp',
      code: 0,
      grpcStatus: '',
      flags: record.responseFlags,
      mutualTls: principal !== '',
    });
    const { list, values } = connectionShapes(record.proxy);
    const own = values?.(tcpSource(record)) ?? [];
    return list.map((shape) => rowFor(shape.label(labels, own), shape.metrics));
  };
  const rowFor = (labels: TcpLabels, metrics: ReadonlySet<string>): TcpRow => {
    const key = [...metrics, ...Object.entries(labels).flat()].join('|');
    const known = rows.get(key) ?? (rows.size >= MAX_ROWS ? rows.get(OVERFLOW) : undefined);
    if (known !== undefined) return known;
    const full = rows.size >= MAX_ROWS;
    const row = { labels: full ? unknownEnds(labels) : labels, metrics, startMs: now(), opened: 0, closed: 0, sent: 0, received: 0, dirty: true };
    rows.set(full ? OVERFLOW : key, row);
    return row;
  };

  return {
    onTcp(record) {
      // It has never been open.
      if (record.phase === 'refused') return;
      for (const row of rowsOf(record)) {
        row.dirty = true;
        if (record.phase === 'opened') row.opened += 1;
        if (record.phase === 'closed') row.closed += 1;
        row.sent += record.newSentBytes;
        row.received += record.newReceivedBytes;
      }
    },
    rows: () => rows.values(),
    hasChanged: () => anyDirty(rows.values()),
    takeChanged: (timeMs) => takeDirty(rows.values(), (changed) => toOtlp(changed, timeMs)),
  };
}

/** Istio's names for what leads out of the mesh, or nowhere. */
function serviceBehind({ cluster }: TcpRecord): ServiceName | undefined {
  if (cluster?.name === 'PassthroughCluster' || cluster?.name === 'BlackHoleCluster') return { host: '', name: cluster.name, namespace: '' };
  return cluster === undefined ? undefined : serviceOf(cluster);
}

function unknownEnds(labels: TcpLabels): TcpLabels {
  const unknown = Object.keys(labels).filter((label) => label.startsWith('source_') || label.startsWith('destination_'));
  return { ...labels, ...Object.fromEntries(unknown.map((label) => [label, 'unknown'])) };
}

function toOtlp(rows: readonly TcpRow[], timeMs: number): OtlpMetric[] {
  const counter = (name: string, unit: string, pick: (row: TcpRow) => number, of = rows): OtlpMetric => ({
    name,
    unit,
    kind: 'sum',
    temporality: 'cumulative',
    points: of.filter((row) => row.metrics.has(name)).map((row) => ({ attributes: row.labels, startMs: row.startMs, timeMs, value: pick(row) })),
  });
  return [
    counter(
      METRIC.tcpOpened,
      '1',
      (row) => row.opened,
      // Connections that never had an upstream have a row too.
      rows.filter((row) => row.opened > 0),
    ),
    counter(METRIC.tcpClosed, '1', (row) => row.closed),
    counter(METRIC.tcpSent, 'By', (row) => row.sent),
    counter(METRIC.tcpReceived, 'By', (row) => row.received),
  ].filter(({ points }) => points.length > 0);
}

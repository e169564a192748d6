import type { GraphSnapshot, Span } from '@weft/mesh-core/api';
import { expect, test } from 'vitest';
import { edgeTable, spanTable, statTable } from './observe-tables.ts';

const node = { namespace: 'shop', badges: [], inMesh: true, proxies: [] };
const GRAPH: GraphSnapshot = {
  ...{ at: 0, windowSec: 30, graphType: 'workload', boxes: [], notes: [] },
  nodes: [
    { ...node, id: 'gw:edge/gate', kind: 'gateway', namespace: 'edge', label: 'gate', workload: 'gate' },
    { ...node, id: 'wl:shop/reviews-v1', kind: 'workload', label: 'v1', workload: 'reviews-v1' },
    { ...node, id: 'ext:db.test', kind: 'external', namespace: '', label: 'db.test', inMesh: false },
    { ...node, id: 'unknown', kind: 'unknown', namespace: '', label: 'unknown', inMesh: false },
  ],
  edges: [
    { id: 'a', source: 'gw:edge/gate', target: 'wl:shop/reviews-v1', protocol: 'http' },
    { id: 'b', source: 'wl:shop/reviews-v1', target: 'ext:db.test', protocol: 'tcp' },
  ],
  nodeRows: [
    [0, 0, 8, 0.25, 4, 50.4, 99, 0, 4],
    [8, 0.25, 0, 0, 4, 50.4, 99, 0, 4],
    [0, 0, 0, 0, -1, -1, -1, 120, 2],
    [0, 0, 0, 0, -1, -1, -1, 0, 0],
  ],
  edgeRows: [
    [0.033, 0.25, 4, 50.4, 99, -1, -1, 1, 900, 4],
    [0, 0, -1, -1, -1, -1, -1, -1, 120, 2],
  ],
};

test('figures of workloads: a gateway by what it passes on, no figure where there is none', () => {
  expect(statTable(GRAPH).rows).toEqual([
    ['gate', 'edge', 'yes', 'failing', '75.00 %', '8.0', '4.0 ms', '50 ms', '99 ms'],
    ['reviews-v1', 'shop', 'yes', 'failing', '75.00 %', '8.0', '4.0 ms', '50 ms', '99 ms'],
    ['db.test', '-', 'no', 'healthy', '-', '120 B/s', '-', '-', '-'],
  ]);
  expect(statTable(GRAPH, 'shop').rows.map(([name]) => name)).toEqual(['reviews-v1']);
});

test('who calls whom: of TCP its bytes', () => {
  expect(edgeTable(GRAPH).rows).toEqual([
    ['gate.edge', 'reviews-v1.shop', 'http', '0.03', '75.00 %', '4.0 ms', '50 ms', '100.00 %'],
    ['reviews-v1.shop', 'db.test', 'tcp', '120 B/s', '-', '-', '-', '-'],
  ]);
});

test('a trace is a tree in the order of beginnings; a span whose parent is not there is a root', () => {
  const span = (spanId: string, parentId: string, startUs: number, more: Partial<Span> = {}): Span => ({
    ...{ spanId, parentId, startUs, service: 's', name: spanId, kind: 'client', durationUs: 500, error: false, attributes: {}, resource: {}, events: [] },
    ...more,
  });
  const spans = [
    span('late', 'root', 3_000, { error: true, attributes: { 'http.status_code': '503', response_flags: 'UF' } }),
    span('root', '', 1_000),
    span('early', 'root', 2_000),
    span('under', 'early', 2_500),
    span('lost', 'gone', 9_000),
  ];
  expect(spanTable({ traceId: 'x', spans }).rows).toEqual([
    ['s root', 'client', '0.0 ms', '0.5 ms', '-', '-'],
    ['  s early', 'client', '1.0 ms', '0.5 ms', '-', '-'],
    ['    s under', 'client', '1.5 ms', '0.5 ms', '-', '-'],
    ['  s late', 'client', '2.0 ms', '0.5 ms', '503 error', 'UF'],
    ['s lost', 'client', '8.0 ms', '0.5 ms', '-', '-'],
  ]);
});

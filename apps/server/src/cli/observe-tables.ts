// What the mesh is doing, as lines of text: golden figures, who calls whom, requests, traces.

import {
  EDGE_COLUMNS,
  type GraphNode,
  type GraphSnapshot,
  HEALTH,
  NODE_COLUMNS,
  type RecordedRequest,
  type Span,
  type Trace,
  type TraceSummary,
} from '@weft/mesh-core/api';
import type { Table } from './proxy-config.ts';

type Row<C extends readonly string[]> = Record<C[number], number>;

function named<C extends readonly string[]>(columns: C, row: readonly number[] | undefined): Row<C> {
  return Object.fromEntries(columns.map((name, i) => [name, row?.[i] ?? -1])) as Row<C>;
}

/** A line for each node that gets requests, or could: success, rate, quantiles. The graph of a namespace has its neighbours too; they are no lines. */
export function statTable({ nodes, nodeRows }: GraphSnapshot, namespace = ''): Table {
  return {
    head: ['NAME', 'NAMESPACE', 'MESHED', 'HEALTH', 'SUCCESS', 'RPS', 'P50', 'P95', 'P99'],
    rows: nodes.flatMap((node, i) => {
      if (node.kind === 'unknown' || (namespace !== '' && node.namespace !== namespace)) return [];
      const { inRps, inErrors, outRps, outErrors, p50, p95, p99, tcpBytes, health } = named(NODE_COLUMNS, nodeRows[i]);
      // A gateway is asked from outside: what it passes on is what it got.
      const [rps, errors] = node.kind === 'gateway' ? [outRps, outErrors] : [inRps, inErrors];
      const success = rps > 0 ? percent(1 - errors) : '-';
      const traffic = rps <= 0 && tcpBytes > 0 ? `${tcpBytes.toFixed(0)} B/s` : perSecond(rps);
      return [[nameOf(node), node.namespace || '-', node.inMesh ? 'yes' : 'no', HEALTH[health] ?? 'unknown', success, traffic, ...[p50, p95, p99].map(millis)]];
    }),
  };
}

/** A line for each pair that talks. */
export function edgeTable({ nodes, edges, edgeRows }: GraphSnapshot): Table {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const end = (id: string): string => {
    const node = byId.get(id);
    if (node === undefined) return id;
    return node.namespace === '' ? nameOf(node) : `${nameOf(node)}.${node.namespace}`;
  };
  return {
    head: ['SOURCE', 'DESTINATION', 'PROTOCOL', 'RPS', 'SUCCESS', 'P50', 'P95', 'MTLS'],
    rows: edges.map(({ source, target, protocol }, i) => {
      const { rps, errors, p50, p95, mtls, bytes } = named(EDGE_COLUMNS, edgeRows[i]);
      const tcp = protocol === 'tcp';
      return [
        end(source),
        end(target),
        protocol,
        tcp ? `${bytes.toFixed(0)} B/s` : perSecond(rps),
        tcp || rps <= 0 ? '-' : percent(1 - errors),
        ...[p50, p95].map(millis),
        mtls < 0 ? '-' : percent(mtls),
      ];
    }),
  };
}

/** One line, as it stands in an access log. */
export function requestLine(request: RecordedRequest): string {
  const { atUs, durationUs, method, url, protocol, code, grpcStatus, flags, from = '-', workload, traceId } = request;
  const time = new Date(atUs / 1_000).toISOString();
  return `${time} "${method} ${url} ${protocol}" ${code || '-'}${grpcStatus === '' ? '' : ` grpc-status=${grpcStatus}`} ${flags || '-'} ${millis(durationUs / 1_000)} ${from} -> ${workload || '(not reached)'} ${traceId}`;
}

export function tracesTable(traces: readonly TraceSummary[]): Table {
  return {
    head: ['TRACE', 'START', 'DURATION', 'SPANS', 'ERRORS', 'ROOT'],
    rows: traces.map((t) => [
      t.traceId,
      new Date(t.startUs / 1_000).toISOString(),
      millis(t.durationUs / 1_000),
      String(t.spans),
      `${t.errors}${t.recovered ? ' (recovered)' : ''}`,
      `${t.rootService} ${t.name}`,
    ]),
  };
}

/** The spans as a tree: under each what it caused, in the order of their beginnings. `OFFSET` is from the first of all. */
export function spanTable({ spans }: Trace): Table {
  const children = new Map(spans.map((s): [string, Span[]] => [s.spanId, []]));
  const roots: Span[] = [];
  for (const span of spans.toSorted((a, b) => a.startUs - b.startUs)) (children.get(span.parentId) ?? roots).push(span);
  const first = Math.min(...spans.map((s) => s.startUs));
  const rows: string[][] = [];
  const add = (span: Span, depth: number): void => {
    const status = String(span.attributes['http.status_code'] ?? span.attributes['grpc.status_code'] ?? '-');
    const flags = String(span.attributes['response_flags'] ?? '-');
    rows.push([
      `${'  '.repeat(depth)}${span.service} ${span.name}`,
      span.kind,
      millis((span.startUs - first) / 1_000),
      millis(span.durationUs / 1_000),
      span.error ? `${status} error` : status,
      flags,
    ]);
    for (const child of children.get(span.spanId) ?? []) add(child, depth + 1);
  };
  for (const root of roots) add(root, 0);
  return { head: ['SPAN', 'KIND', 'OFFSET', 'DURATION', 'STATUS', 'FLAGS'], rows };
}

/** In the graph a version is called by its number alone: its box says of what. */
function nameOf({ workload, label }: GraphNode): string {
  return workload ?? label;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

/** -1 = no sample. */
function millis(ms: number): string {
  return ms < 0 ? '-' : `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
}

/** What is not nothing does not read as nothing. */
function perSecond(value: number): string {
  if (value >= 0.1 || value <= 0) return value.toFixed(1);
  return value < 0.01 ? '<0.01' : value.toFixed(2);
}

import type { GraphNode, GraphSnapshot } from '@weft/mesh-core/api';
import type { ReactElement } from 'react';
import { edgeFigures } from '../../data/graph-figures.ts';
import { useGraph } from '../../data/hooks.ts';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { millis, percent, traffic } from '../../ui/format.ts';
import { WorkloadLink } from '../../ui/links.tsx';
import { State } from '../../ui/state.tsx';
import { Transport } from '../../ui/transport.tsx';

interface Hop {
  id: string;
  other: GraphNode;
  own: GraphNode;
  rps: number;
  errors: number;
  p95: number;
  mtls: number;
  tcpBytes: number;
}

const columns = (title: string, end: string | undefined): readonly Column<Hop>[] => [
  { title, sort: (h) => h.other.label, cell: (h) => <NodeLink node={h.other} /> },
  ...(end === undefined ? [] : [{ title: end, sort: (h: Hop) => h.own.label, cell: (h: Hop) => <span className="t2">{h.own.workload ?? h.own.label}</span> }]),
  { title: 'Namespace', sort: (h) => h.other.namespace, cell: (h) => h.other.namespace },
  { title: 'Transport', sort: (h) => h.mtls, cell: (h) => <Transport share={h.mtls} /> },
  { title: 'Requests', right: true, sort: (h) => h.rps, cell: (h) => traffic(h.rps, h.tcpBytes) },
  { title: 'Errors', right: true, sort: (h) => h.errors, cell: (h) => (h.rps > 0 ? percent(h.errors) : '–') },
  { title: 'p95', right: true, sort: (h) => h.p95, cell: (h) => millis(h.p95) },
];

/** Who calls the nodes `belongs` picks, and whom they call. */
export function Neighbours({ belongs }: { belongs(node: GraphNode): boolean }): ReactElement {
  const graph = useGraph('workload');
  if (graph.data === undefined) return <State error={graph.error} />;
  const own = new Set(graph.data.nodes.filter(belongs).map((n) => n.id));
  const callers = hops(graph.data, own, 'target', 'source');
  const called = hops(graph.data, own, 'source', 'target');
  return (
    <div className="charts tables">
      <section className="card">
        <div className="h">Called by</div>
        <DataTable
          rows={callers}
          columns={columns('Caller', own.size > 1 ? 'Called' : undefined)}
          rowKey={(h) => h.id}
          label="callers"
          empty="Nobody called it in this range."
        />
      </section>
      <section className="card">
        <div className="h">Calls</div>
        <DataTable
          rows={called}
          columns={columns('Called', own.size > 1 ? 'Caller' : undefined)}
          rowKey={(h) => h.id}
          label="called"
          empty="It called nobody in this range."
        />
      </section>
    </div>
  );
}

function hops(graph: GraphSnapshot, own: ReadonlySet<string>, end: 'source' | 'target', other: 'source' | 'target'): Hop[] {
  return graph.edges.flatMap((edge, i) => {
    const node = graph.nodes.find((n) => n.id === edge[other]);
    const mine = graph.nodes.find((n) => n.id === edge[end]);
    if (!own.has(edge[end]) || node === undefined || mine === undefined) return [];
    const { rps, errors, p95, mtls, bytes } = edgeFigures(graph.edgeRows[i]);
    return [{ id: edge.id, other: node, own: mine, rps, errors, p95, mtls, tcpBytes: edge.protocol === 'tcp' ? bytes : 0 }];
  });
}

/** A workload by its page; what has none by name. */
function NodeLink({ node }: { node: GraphNode }): ReactElement {
  if (node.workload === undefined) return <>{node.label}</>;
  return <WorkloadLink namespace={node.namespace} name={node.workload} />;
}

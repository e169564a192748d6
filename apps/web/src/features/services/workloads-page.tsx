import { type GraphNode, HEALTH, type Health } from '@weft/mesh-core/api';
import type { ReactElement } from 'react';
import { nodeFigures, ownTraffic } from '../../data/graph-figures.ts';
import { useGraph } from '../../data/hooks.ts';
import { useInNamespace } from '../../data/settings.ts';
import { nodeWords } from '../../graph-canvas/badge-words.ts';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { millis, percent, traffic } from '../../ui/format.ts';
import { HealthChip } from '../../ui/health-chip.tsx';
import { WorkloadLink } from '../../ui/links.tsx';
import { State } from '../../ui/state.tsx';
import { ListTabs } from './list-tabs.tsx';

interface Row {
  node: GraphNode;
  health: Health;
  rps: number;
  errors: number;
  p95: number;
  tcpBytes: number;
}

const COLUMNS: readonly Column<Row>[] = [
  {
    title: 'Workload',
    sort: (r) => r.node.workload ?? '',
    cell: ({ node }) => <WorkloadLink namespace={node.namespace} name={node.workload ?? node.label} className="b brk" />,
  },
  { title: 'Namespace', sort: (r) => r.node.namespace, cell: (r) => r.node.namespace },
  { title: 'App', sort: (r) => r.node.app ?? '', cell: (r) => r.node.app ?? '' },
  { title: 'Version', sort: (r) => r.node.version ?? '', cell: (r) => r.node.version ?? '' },
  { title: 'Health', sort: (r) => HEALTH.indexOf(r.health), cell: (r) => <HealthChip health={r.health} /> },
  {
    title: 'Policies',
    cell: ({ node }) => <span className="t2">{nodeWords(node).join(', ')}</span>,
  },
  { title: 'Requests', right: true, sort: (r) => r.rps, cell: (r) => traffic(r.rps, r.tcpBytes) },
  { title: 'Errors', right: true, sort: (r) => r.errors, cell: (r) => (r.rps > 0 ? percent(r.errors) : '–') },
  { title: 'p95', right: true, sort: (r) => r.p95, cell: (r) => millis(r.p95) },
];

/** All workloads, gateways included. */
export function WorkloadsPage(): ReactElement {
  const graph = useGraph('workload');
  const inNamespace = useInNamespace();
  const rows = graph.data?.nodes.flatMap((node, i): Row[] => {
    if (node.workload === undefined || !inNamespace(node.namespace)) return [];
    const figures = nodeFigures(graph.data.nodeRows[i]);
    return [{ node, health: figures.health, p95: figures.p95, tcpBytes: figures.tcpBytes, ...ownTraffic(node, figures) }];
  });
  return (
    <div className="page">
      <div className="card wll">
        {rows === undefined ? (
          <State error={graph.error} />
        ) : (
          <DataTable
            rows={rows}
            columns={COLUMNS}
            rowKey={(r) => r.node.id}
            label="workloads"
            text={({ node, health }) => `${node.workload} ${node.namespace} ${node.app} ${node.version} ${health}`}
            empty="No workloads here yet."
            tools={<ListTabs />}
          />
        )}
      </div>
    </div>
  );
}

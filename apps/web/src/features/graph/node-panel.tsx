import type { GraphNode, GraphSnapshot } from '@weft/mesh-core/api';
import { refKey } from '@weft/mesh-core/model';
import { Link } from '@tanstack/react-router';
import { type ReactElement, useState } from 'react';
import { edgeFigures, nodeFigures, ownTraffic } from '../../data/graph-figures.ts';
import { useSeries, useService } from '../../data/hooks.ts';
import { serviceOfNode, tracedName } from '../../data/node-names.ts';
import { nodeWords } from '../../graph-canvas/badge-words.ts';
import { byteRate, millis, percent, rate, traffic } from '../../ui/format.ts';
import { HealthChip } from '../../ui/health-chip.tsx';
import { ObjectLink, ServiceLink, WorkloadLink } from '../../ui/links.tsx';
import { State } from '../../ui/state.tsx';
import { Tabs } from '../../ui/tabs.tsx';
import { TimeChart } from '../../ui/time-chart.tsx';
import { isMutualTls } from '../../ui/transport.tsx';
import { SplitPanel } from '../traffic-split/split-panel.tsx';
import { useSplitControl } from '../traffic-split/use-split-control.ts';
import { nodeTraffic } from './node-traffic.ts';
import { PanelHead } from './panel-head.tsx';

const TABS = ['Traffic', 'Hops', 'Config'] as const;

/** Figures, split, charts, hops and configuration of one node. */
export function NodePanel({ graph, node, close }: { graph: GraphSnapshot; node: GraphNode; close(): void }): ReactElement {
  const [tab, setTab] = useState<(typeof TABS)[number]>('Traffic');
  const figures = nodeFigures(graph.nodeRows[graph.nodes.indexOf(node)]);
  const tcp = figures.tcpBytes > 0;
  const words = nodeWords(node);
  const service = serviceOfNode(node);
  return (
    <aside className="panel" aria-label={`Details of ${node.label}`}>
      <PanelHead
        title={node.workload ?? node.label}
        chip={<HealthChip health={figures.health} />}
        figures={{
          ...nodeTraffic(node, figures),
          Transport: transportOf(graph, node),
        }}
        close={close}
      />
      <div className="plinks">
        {node.workload !== undefined && (
          <WorkloadLink namespace={node.namespace} name={node.workload}>
            Workload
          </WorkloadLink>
        )}
        {service && <ServiceLink {...service}>Service</ServiceLink>}
        <Link to="/traces" search={{ service: tracedName(node) }}>
          Traces
        </Link>
        {node.proxies[0] !== undefined && (
          <Link to="/proxies" search={{ proxy: node.proxies[0] }}>
            Proxy
          </Link>
        )}
      </div>
      {(node.badges.length > 0 || !node.inMesh) && (
        <div className="pbadges">
          {words.map((word) => (
            <span className="chip" key={word}>
              {word}
            </span>
          ))}
        </div>
      )}
      <Tabs of={TABS} on={tab} label={`About ${node.label}`} onChange={setTab} />
      {tab === 'Traffic' && (
        <>
          {service && <Split {...service} />}
          {(!tcp || ownTraffic(node, figures).rps > 0) && <Charts id={node.id} />}
          {tcp && <TcpChart id={node.id} />}
        </>
      )}
      {tab === 'Hops' && <Hops graph={graph} node={node} />}
      {tab === 'Config' && (service ? <Objects {...service} /> : <State>No service stands for this node.</State>)}
    </aside>
  );
}

/** How requests reach it; a gateway is told by how it sends them on. */
function transportOf(graph: GraphSnapshot, node: GraphNode): string {
  const end = node.kind === 'gateway' ? 'source' : 'target';
  const shares = graph.edges.flatMap((e, i) => (e[end] === node.id ? [edgeFigures(graph.edgeRows[i]).mtls] : [])).filter((share) => share >= 0);
  if (shares.length === 0) return '–';
  return isMutualTls(Math.min(...shares)) ? 'mTLS' : Math.max(...shares) > 0.01 ? 'partly mTLS' : 'plaintext';
}

function Split({ namespace, name }: { namespace: string; name: string }): ReactElement {
  return <SplitPanel control={useSplitControl(namespace, name)} />;
}

function Charts({ id }: { id: string }): ReactElement {
  const charts = [
    ['Requests /s', useSeries('rps', id, 'version').data, rate],
    ['Failed', useSeries('errors', id, 'version').data, percent],
    ['Latency p95', useSeries('p95', id, 'version').data, millis],
  ] as const;
  return (
    <div className="sec pcharts">
      {charts.map(([title, series, unit]) => (
        <section key={title}>
          <div className="h">{title}</div>
          <TimeChart series={series} label={title} unit={unit} height={96} />
        </section>
      ))}
    </div>
  );
}

function TcpChart({ id }: { id: string }): ReactElement {
  return (
    <div className="sec pcharts">
      <section>
        <div className="h">TCP traffic</div>
        <TimeChart series={useSeries('tcpBytes', id, 'source').data} label="Bytes per second by caller" unit={byteRate} height={96} />
      </section>
    </div>
  );
}

function Hops({ graph, node }: { graph: GraphSnapshot; node: GraphNode }): ReactElement {
  const label = (id: string): string => {
    const n = graph.nodes.find((x) => x.id === id);
    return n === undefined ? id : (n.workload ?? n.label);
  };
  const rows = graph.edges.flatMap((e, i) =>
    e.target === node.id || e.source === node.id ? [{ e, figures: edgeFigures(graph.edgeRows[i]), other: e.target === node.id ? e.source : e.target }] : [],
  );
  if (rows.length === 0) return <State>Nobody called it, and it called nobody, in this range.</State>;
  return (
    <div className="sec">
      <table>
        <thead>
          <tr>
            <th>Hop</th>
            <th className="r">Requests</th>
            <th className="r">Errors</th>
            <th className="r">p95</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ e, figures, other }) => (
            <tr key={e.id}>
              <td>
                <Link to="/graph" search={(held) => ({ ...held, node: undefined, edge: e.id })} className="brk">
                  {e.target === node.id ? `from ${label(other)}` : `to ${label(other)}`}
                </Link>
              </td>
              <td className="r">{traffic(figures.rps, e.protocol === 'tcp' ? figures.bytes : 0)}</td>
              <td className="r">{figures.rps > 0 ? percent(figures.errors) : '–'}</td>
              <td className="r">{millis(figures.p95)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Objects({ namespace, name }: { namespace: string; name: string }): ReactElement {
  const detail = useService(namespace, name);
  if (detail.data === undefined) return <State error={detail.error} />;
  return (
    <div className="sec">
      <table>
        <tbody>
          {detail.data.objects.map(({ ref, errors, warnings }) => (
            <tr key={refKey(ref)}>
              <td className="t2">{ref.kind}</td>
              <td>
                <ObjectLink of={ref}>{ref.name}</ObjectLink>
              </td>
              <td className={`r ${errors > 0 ? 'errt' : warnings > 0 ? 'warnt' : 'muted'}`}>
                {errors > 0 ? `${errors} errors` : warnings > 0 ? `${warnings} warnings` : 'valid'}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

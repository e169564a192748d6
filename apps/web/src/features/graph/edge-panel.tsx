import type { GraphEdge, GraphSnapshot } from '@weft/mesh-core/api';
import { Link } from '@tanstack/react-router';
import type { ReactElement } from 'react';
import { edgeFigures } from '../../data/graph-figures.ts';
import { useSeries } from '../../data/hooks.ts';
import { tracedName } from '../../data/node-names.ts';
import { byteRate, codeColor, millis, percent, rate } from '../../ui/format.ts';
import { HealthChip } from '../../ui/health-chip.tsx';
import { TimeChart } from '../../ui/time-chart.tsx';
import { transportWords } from '../../ui/transport.tsx';
import { PanelHead } from './panel-head.tsx';

/** Rates, codes, latency and transport of one edge. */
export function EdgePanel({ graph, edge, close }: { graph: GraphSnapshot; edge: GraphEdge; close(): void }): ReactElement {
  const { rps, errors, p50, p95, p99, share, intended, mtls, bytes, health } = edgeFigures(graph.edgeRows[graph.edges.indexOf(edge)]);
  const codes = useSeries('rps', `edge:${edge.id}`, 'code').data;
  const latency = useSeries('p95', `edge:${edge.id}`, 'none').data;
  const sent = useSeries('tcpBytes', `edge:${edge.id}`, 'none').data;
  const tcp = edge.protocol === 'tcp';
  const end = (id: string): string => {
    const n = graph.nodes.find((x) => x.id === id);
    return n === undefined ? id : tracedName(n);
  };
  const name = (id: string): ReactElement => {
    const n = graph.nodes.find((x) => x.id === id);
    return (
      <Link to="/graph" search={(held) => ({ ...held, edge: undefined, node: id })} className="brk">
        {n?.workload ?? n?.label ?? id}
      </Link>
    );
  };
  const facts: [string, string][] = [
    ['Protocol', edge.protocol],
    ...(tcp
      ? []
      : ([
          ['p50', millis(p50)],
          ['p99', millis(p99)],
        ] as [string, string][])),
    ...(share < 0
      ? []
      : ([
          ['Share', percent(share)],
          ['Share intended', intended < 0 ? 'not set' : percent(intended)],
        ] as [string, string][])),
    ['Transport', transportWords(mtls)],
  ];
  return (
    <aside className="panel" aria-label="Traffic details">
      <PanelHead
        title={
          <>
            {name(edge.source)} → {name(edge.target)}
          </>
        }
        chip={<HealthChip health={health} />}
        figures={tcp ? { Traffic: byteRate(bytes) } : { Requests: rate(rps), Errors: percent(errors), p95: millis(p95) }}
        close={close}
      />
      <div className="sec">
        <table>
          <tbody>
            {facts.map(([word, value]) => (
              <tr key={word}>
                <td className="t2">{word}</td>
                <td className="r">{value}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {tcp ? (
        <div className="sec pcharts">
          <section>
            <div className="h">Traffic</div>
            <TimeChart series={sent} label="Bytes per second" unit={byteRate} height={96} />
          </section>
        </div>
      ) : (
        <div className="sec pcharts">
          <section>
            <div className="h">Requests by code</div>
            <TimeChart series={codes} label="Requests by code" unit={rate} color={codeColor} height={96} />
          </section>
          <section>
            <div className="h">Latency p95</div>
            <TimeChart series={latency} label="Latency p95" unit={millis} height={96} />
          </section>
        </div>
      )}
      <div className="sec">
        <Link className="btn" to="/traces" search={{ from: end(edge.source), to: end(edge.target) }}>
          Open traces
        </Link>
      </div>
    </aside>
  );
}

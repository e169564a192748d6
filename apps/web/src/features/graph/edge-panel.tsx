import type { GraphEdge, GraphSnapshot } from '@weft/mesh-core/api';
import { Link } from '@tanstack/react-router';
import type { ReactElement } from 'react';
import { useSeries } from '../../data/hooks.ts';
import { millis, percent, rate } from '../../ui/format.ts';
import { SparkChart } from '../../ui/spark-chart.tsx';
import { PanelHead } from './panel-head.tsx';

/** Rates, codes, latency and transport of one edge. */
export function EdgePanel({ graph, edge, close }: { graph: GraphSnapshot; edge: GraphEdge; close(): void }): ReactElement {
  const [rps = 0, errors = 0, p50 = -1, p95 = -1, p99 = -1, share = -1, intended = -1, mtls = -1] = graph.edgeRows[graph.edges.indexOf(edge)] ?? [];
  const codes = useSeries('rps', `edge:${edge.id}`, 'code').data;
  const end = (id: string): string => {
    const n = graph.nodes.find((x) => x.id === id);
    return n === undefined ? id : `${n.app ?? n.label}.${n.namespace}`;
  };
  return (
    <aside className="panel" aria-label="Traffic details">
      <PanelHead
        title={
          <>
            {end(edge.source)} → {end(edge.target)}
          </>
        }
        figures={{
          Requests: rate(rps),
          Errors: percent(errors),
          p95: millis(p95),
          Transport: mtls < 0 ? 'unknown' : mtls > 0.99 ? 'mTLS' : mtls > 0 ? `${percent(mtls)} mTLS` : 'plain',
        }}
        close={close}
      />
      <div className="sec">
        <table>
          <tbody>
            <tr>
              <td className="t2">p50 / p99</td>
              <td className="r">
                {millis(p50)} / {millis(p99)}
              </td>
            </tr>
            {share >= 0 && (
              <tr>
                <td className="t2">Share, intended</td>
                <td className="r">
                  {percent(share)}, {intended < 0 ? '–' : percent(intended)}
                </td>
              </tr>
            )}
          </tbody>
        </table>
      </div>
      <div className="sec">
        {codes && codes.lines.length > 0 && (
          <>
            <div className="h">
              Requests /s by code<span className="muted">{codes.lines.map((l) => l.name).join(', ')}</span>
            </div>
            <SparkChart series={codes} label="Requests by code" />
          </>
        )}
      </div>
      <div className="sec">
        <Link className="btn" to="/traces" search={{ from: end(edge.source), to: end(edge.target) }}>
          Open traces
        </Link>
      </div>
    </aside>
  );
}

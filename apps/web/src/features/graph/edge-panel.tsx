import type { GraphEdge, GraphSnapshot } from '@weft/mesh-core/api';
import { Link } from '@tanstack/react-router';
import type { ReactElement } from 'react';
import { useSeries } from '../../data/hooks.ts';
import { millis, percent, rate } from '../../ui/format.ts';
import { SparkChart } from '../../ui/spark-chart.tsx';

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
      <div className="ph">
        <div className="r1">
          <h2>
            {end(edge.source)} → {end(edge.target)}
          </h2>
          <span style={{ flex: 1 }} />
          <button type="button" className="btn ghost icon sm" aria-label="Close" onClick={close}>
            ×
          </button>
        </div>
        <div className="kv">
          <div>
            <span>Requests</span>
            <b>{rate(rps)}</b>
          </div>
          <div>
            <span>Errors</span>
            <b>{percent(errors)}</b>
          </div>
          <div>
            <span>p95</span>
            <b>{millis(p95)}</b>
          </div>
          <div>
            <span>Transport</span>
            <b>{mtls < 0 ? 'unknown' : mtls > 0.99 ? 'mTLS' : mtls > 0 ? `${percent(mtls)} mTLS` : 'plain'}</b>
          </div>
        </div>
      </div>
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

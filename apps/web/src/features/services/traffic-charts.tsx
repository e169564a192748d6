import type { ReactElement } from 'react';
import type { Series } from '@weft/mesh-core/api';
import { type Metric, useSeries } from '../../data/hooks.ts';
import { byteRate, codeColor, millis, percent, rate } from '../../ui/format.ts';
import { TimeChart } from '../../ui/time-chart.tsx';

/** Bytes of a node of the graph that speaks TCP. */
export function TcpChart({ of }: { of: string }): ReactElement {
  return (
    <section className="card">
      <div className="h">TCP traffic by caller</div>
      <TimeChart series={useSeries('tcpBytes', of, 'source').data} label="Bytes per second by caller" unit={byteRate} />
    </section>
  );
}

/** Requests by code, failures and latency of a node of the graph, an edge (`edge:<id>`), or of '', the whole mesh. */
export function GoldenCharts({ of }: { of: string }): ReactElement {
  const requests = useSeries('rps', of, 'code').data;
  const errors = useSeries('errors', of, 'none').data;
  const p50 = useSeries('p50', of, 'none').data;
  const p95 = useSeries('p95', of, 'none').data;
  const p99 = useSeries('p99', of, 'none').data;
  const latency = together({ p50, p95, p99 });
  return (
    <div className="charts">
      <section className="card">
        <div className="h">Requests by code</div>
        <TimeChart series={requests} label="Requests per second by code" unit={rate} color={codeColor} />
      </section>
      <section className="card">
        <div className="h">Failed</div>
        <TimeChart series={errors} label="Share of requests that failed" unit={percent} color={() => 'var(--g-err)'} />
      </section>
      <section className="card">
        <div className="h">Latency</div>
        <TimeChart series={latency} label="Latency" unit={millis} />
      </section>
    </div>
  );
}

const SPLITS = [
  ['version', 'version'],
  ['source', 'caller'],
] as const;
const FIGURES: readonly (readonly [Metric, string, (value: number) => string])[] = [
  ['rps', 'Requests', rate],
  ['errors', 'Failed', percent],
  ['p95', 'p95', millis],
];

/** The same figures by version of the destination and by caller. */
export function BreakdownCharts({ of }: { of: string }): ReactElement {
  return (
    <>
      {SPLITS.map(([by, word]) => (
        <div className="charts" key={by}>
          {FIGURES.map(([metric, title, unit]) => (
            <Breakdown key={metric} of={of} metric={metric} by={by} title={`${title} by ${word}`} unit={unit} />
          ))}
        </div>
      ))}
    </>
  );
}

function Breakdown({
  of,
  metric,
  by,
  title,
  unit,
}: {
  of: string;
  metric: Metric;
  by: 'version' | 'source';
  title: string;
  unit: (v: number) => string;
}): ReactElement {
  return (
    <section className="card">
      <div className="h">{title}</div>
      <TimeChart series={useSeries(metric, of, by).data} label={title} unit={unit} />
    </section>
  );
}

/** One chart of several answers with one line each; those still on their way are left out. */
function together(parts: Readonly<Record<string, Series | undefined>>): Series | undefined {
  const there = Object.entries(parts).flatMap(([name, series]) => (series === undefined ? [] : [{ name, series }]));
  const [first] = there;
  if (first === undefined) return undefined;
  const { times } = first.series;
  return {
    times,
    lines: there.flatMap(({ name, series }) => {
      const values = series.lines[0]?.values;
      return values === undefined ? [] : [{ name, values: values.slice(-times.length) }];
    }),
  };
}

import { extent, line, max, scaleLinear } from 'd3';
import type { Series } from '@weft/mesh-core/api';
import type { ReactElement } from 'react';
import { seriesColor } from './format.ts';

const WIDTH = 343;
const HEIGHT = 71;

/** Lines over time with three grid lines; gaps stay gaps. */
export function SparkChart({ series, label }: { series: Series; label: string }): ReactElement {
  const x = scaleLinear()
    .domain(extent(series.times) as [number, number])
    .range([30, WIDTH - 4]);
  const top = max(series.lines, (l) => max(l.values, (v) => v ?? 0)) ?? 0;
  const y = scaleLinear()
    .domain([0, top || 1])
    .nice(2)
    .range([55, 10]);
  const path = line<number | null>()
    .defined((v) => v !== null)
    .x((_, i) => x(series.times[i] ?? 0))
    .y((v) => y(v ?? 0));
  const ticks = y.ticks(2);
  return (
    <svg width={WIDTH} height={HEIGHT} role="img" aria-label={label}>
      {ticks.map((t) => (
        <g key={t}>
          <path d={`M30,${y(t)}H${WIDTH - 4}`} stroke="var(--grid)" />
          <text className="axis" x="24" y={y(t) + 4} textAnchor="end">
            {t}
          </text>
        </g>
      ))}
      {series.lines.map((l, i) => (
        <path key={l.name} d={path(l.values) ?? ''} fill="none" stroke={seriesColor(i)} strokeWidth="1.5" />
      ))}
      {x
        .ticks(3)
        .filter((t) => x(t) < WIDTH - 18)
        .map((t) => (
          <text key={t} className="axis" x={x(t)} y="69" textAnchor="middle">
            {new Date(t).toTimeString().slice(0, 5)}
          </text>
        ))}
    </svg>
  );
}

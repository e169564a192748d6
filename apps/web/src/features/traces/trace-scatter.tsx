import { scaleLinear, scaleLog } from 'd3';
import type { TraceSummary } from '@weft/mesh-core/api';
import { type ReactElement, useEffect, useRef, useState } from 'react';
import { clock, millis } from '../../ui/format.ts';

const HEIGHT = 148;
const LEFT = 64;
const RIGHT = 20;
const BASE = 122;

/** Traces by when they began and how long they took (logarithmic); failed ones are diamonds. A dot opens its trace. */
export function TraceScatter({
  traces,
  selected,
  onSelect,
}: {
  traces: readonly TraceSummary[];
  selected: string | undefined;
  onSelect(id: string): void;
}): ReactElement {
  const host = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (host.current === null) return;
    const observer = new ResizeObserver(([entry]) => setWidth(entry?.contentRect.width ?? 0));
    observer.observe(host.current);
    return () => observer.disconnect();
  }, []);
  const starts = traces.map((t) => t.startUs / 1_000);
  const durations = traces.map((t) => Math.max(0.05, t.durationUs / 1_000));
  const x = scaleLinear()
    .domain([Math.min(...starts), Math.max(...starts, Math.min(...starts) + 1)])
    .range([LEFT + 8, Math.max(LEFT + 9, width - RIGHT - 8)]);
  const y = scaleLog()
    .domain([Math.min(...durations) * 0.8, Math.max(...durations) * 1.25])
    .range([BASE - 6, 12]);
  return (
    <div className="sc" ref={host}>
      {width > 0 && traces.length > 0 && (
        <svg width={width} height={HEIGHT} role="group" aria-label={`${traces.length} traces by start time and duration`}>
          {readable(y.ticks(), y).map((t) => (
            <g key={t}>
              <path d={`M${LEFT},${y(t)}H${width - RIGHT}`} stroke="var(--grid)" />
              <text className="axis" x={LEFT - 8} y={y(t) + 4} textAnchor="end">
                {millis(t)}
              </text>
            </g>
          ))}
          <path d={`M${LEFT},${BASE}H${width - RIGHT}`} stroke="var(--border)" />
          {x.ticks(Math.max(2, Math.floor(width / 180))).map((t) => (
            <text key={t} className="axis" x={x(t)} y={HEIGHT - 8} textAnchor="middle">
              {clock(t)}
            </text>
          ))}
          {traces.map((t) => {
            const cx = x(t.startUs / 1_000);
            const cy = y(Math.max(0.05, t.durationUs / 1_000));
            const label = `${t.name}, ${millis(t.durationUs / 1_000)}, ${clock(t.startUs / 1_000)}${t.errors > 0 ? `, ${t.errors} errors` : ''}`;
            return (
              <g key={t.traceId} className="dotg" onClick={() => onSelect(t.traceId)} aria-label={label} role="button">
                <title>{label}</title>
                {t.traceId === selected && (
                  <>
                    <path d={`M${cx},6V${BASE}`} stroke="var(--accent)" strokeDasharray="3 3" />
                    <circle cx={cx} cy={cy} r={9} fill="var(--surface)" stroke="var(--accent)" strokeWidth="1.5" />
                  </>
                )}
                {t.errors > 0 ? (
                  <path d={`M${cx},${cy - 6}l6,6l-6,6l-6,-6z`} fill="var(--g-err)" />
                ) : (
                  <circle
                    cx={cx}
                    cy={cy}
                    r={Math.min(6, 2.5 + Math.sqrt(t.spans) * 0.6)}
                    fill="var(--accent)"
                    fillOpacity={t.traceId === selected ? 1 : 0.34}
                  />
                )}
              </g>
            );
          })}
        </svg>
      )}
    </div>
  );
}

/** Ticks far enough apart to be read. */
function readable(ticks: readonly number[], y: (value: number) => number): number[] {
  const kept: number[] = [];
  for (const t of ticks) {
    if (!/^[13]/.test(String(t * 1_000).replaceAll('0', '')) && ticks.length > 6) continue;
    const last = kept.at(-1);
    if (last === undefined || Math.abs(y(last) - y(t)) >= 18) kept.push(t);
  }
  return kept;
}

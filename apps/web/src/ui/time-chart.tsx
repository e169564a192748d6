import { bisector, extent, line, max, scaleLinear } from 'd3';
import type { Series } from '@weft/mesh-core/api';
import { type PointerEvent, type ReactElement, useEffect, useRef, useState } from 'react';
import { clock, seriesColor } from './format.ts';
import { timeTicks } from './time-ticks.ts';

interface Props {
  series: Series | undefined;
  label: string;
  /** A value for people: `12.0 /s`. */
  unit: (value: number) => string;
  height?: number;
  /** Colour by name of a line; by place unless told. */
  color?: (name: string, index: number) => string;
}
const LEFT = 52;
const RIGHT = 6;
const BOTTOM = 18;
const nearest = bisector((time: number) => time).center;

/** Lines over time: axes, a reading under the pointer, and a legend that hides lines by a click. Gaps stay gaps. */
export function TimeChart({ series, label, unit, height = 132, color = (_, i) => seriesColor(i) }: Props): ReactElement {
  const host = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(343);
  const [at, setAt] = useState<number>();
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  useEffect(() => {
    if (host.current === null || typeof ResizeObserver === 'undefined') return;
    const observer = new ResizeObserver(([entry]) => entry && setWidth(Math.max(160, entry.contentRect.width)));
    observer.observe(host.current);
    return () => observer.disconnect();
  }, []);
  const lines = series?.lines.map((l, i) => ({ ...l, color: color(l.name, i) })) ?? [];
  const shown = lines.filter((l) => !hidden.has(l.name));
  const times = series?.times ?? [];
  const x = scaleLinear()
    .domain(times.length > 0 ? (extent(times) as [number, number]) : [0, 1])
    .range([LEFT, width - RIGHT]);
  const top = max(shown, (l) => max(l.values, (v) => v ?? 0)) ?? 0;
  const y = scaleLinear()
    .domain([0, top > 0 ? top : 1])
    .nice(3)
    .range([height - BOTTOM, 8]);
  const path = line<number | null>()
    .defined((v) => v !== null)
    .x((_, i) => x(times[i] ?? 0))
    .y((v) => y(v ?? 0));
  const move = (event: PointerEvent<SVGSVGElement>): void => {
    const box = event.currentTarget.getBoundingClientRect();
    setAt(times.length === 0 ? undefined : nearest(times, x.invert(event.clientX - box.left)));
  };
  const last = (values: readonly (number | null)[]): string => {
    const value = values.findLast((v) => v !== null);
    return value == null ? '–' : unit(value);
  };
  const empty = lines.every((l) => l.values.every((v) => v === null));
  const reading = at === undefined ? undefined : times[at];
  const toggle = (name: string): void => setHidden((held) => (held.has(name) ? new Set([...held].filter((n) => n !== name)) : new Set([...held, name])));
  return (
    <div className="tc" ref={host}>
      {empty ? (
        <div className="tce muted" style={{ height }}>
          {series === undefined ? 'Loading…' : 'No samples in this range'}
        </div>
      ) : (
        <svg
          width={width}
          height={height}
          role="img"
          aria-label={`${label}: ${lines.map((l) => `${l.name} ${last(l.values)}`).join(', ')}`}
          onPointerMove={move}
          onPointerLeave={() => setAt(undefined)}
        >
          {y.ticks(3).map((t) => (
            <g key={t}>
              <path d={`M${LEFT},${y(t)}H${width - RIGHT}`} stroke="var(--grid)" />
              <text className="axis" x={LEFT - 6} y={y(t) + 4} textAnchor="end">
                {unit(t).replace(/\.0+(?= |$)/, '')}
              </text>
            </g>
          ))}
          {times.length > 0 &&
            timeTicks(times[0] ?? 0, times.at(-1) ?? 0, Math.max(2, Math.floor(width / 110)))
              .filter(({ at: t }) => x(t) < width - 22 && x(t) > LEFT + 8)
              .map(({ at: t, label: text }) => (
                <text key={t} className="axis" x={x(t)} y={height - 3} textAnchor="middle">
                  {text}
                </text>
              ))}
          {shown.map((l) => (
            <path key={l.name} d={path(l.values) ?? ''} fill="none" stroke={l.color} strokeWidth="1.6" strokeLinejoin="round" />
          ))}
          {reading !== undefined && at !== undefined && (
            <>
              <path d={`M${x(reading)},8V${height - BOTTOM}`} stroke="var(--border-strong)" strokeDasharray="3 3" />
              {shown.map((l) => {
                const value = l.values[at];
                return value == null ? null : <circle key={l.name} cx={x(reading)} cy={y(value)} r="3" fill={l.color} />;
              })}
            </>
          )}
        </svg>
      )}
      {reading !== undefined && at !== undefined && (
        <div className="tct" style={x(reading) > width / 2 ? { right: width - x(reading) + 10 } : { left: x(reading) + 10 }}>
          <b className="num">{clock(reading)}</b>
          {shown.map((l) => {
            const value = l.values[at];
            return (
              <span key={l.name}>
                <i style={{ background: l.color }} />
                {l.name}
                <b className="num">{value == null ? '–' : unit(value)}</b>
              </span>
            );
          })}
        </div>
      )}
      {lines.length > 0 && !empty && !(lines.length === 1 && lines[0]?.name === 'all') && (
        <div className="tcl">
          {lines.map((l) => (
            <button type="button" key={l.name} aria-pressed={!hidden.has(l.name)} title={hidden.has(l.name) ? 'Show' : 'Hide'} onClick={() => toggle(l.name)}>
              <i style={{ background: l.color }} />
              {l.name} <b className="num">{last(l.values)}</b>
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

import type { Span, Trace } from '@weft/mesh-core/api';
import { IconAlertOctagon, IconCheck, IconChevronDown, IconChevronRight, IconCopy, IconDownload, IconHierarchy } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { type CSSProperties, type KeyboardEvent, type ReactElement, type ReactNode, useMemo, useState } from 'react';
import { TRACE_VIEWS } from '../../app/pages.ts';
import { clock, millis, shortOperation } from '../../ui/format.ts';
import { criticalPath } from './critical-path.ts';
import { TraceTable } from './trace-table.tsx';
import { type SpanRow, waterfallRows } from './waterfall.ts';

interface Props {
  trace: Trace;
  selected: string | undefined;
  view: (typeof TRACE_VIEWS)[number];
  color(service: string): string;
  onSelect(spanId: string | undefined): void;
  onView(view: (typeof TRACE_VIEWS)[number]): void;
  onCompare(): void;
}
const TICKS = [0, 0.25, 0.5, 0.75];

/** A trace as a tree of bars over time, with what it waited for underlined. Keys: j k select, h l fold, e next error. */
export function WaterfallView({ trace, selected, view, color, onSelect, onView, onCompare }: Props): ReactElement {
  const [folded, setFolded] = useState<ReadonlySet<string>>(new Set());
  const rows = useMemo(() => waterfallRows(trace.spans, folded), [trace, folded]);
  const critical = useMemo(() => criticalPath(trace.spans), [trace]);
  const start = Math.min(...trace.spans.map((s) => s.startUs));
  const total = Math.max(1, ...trace.spans.map((s) => s.startUs + s.durationUs - start));
  const services = [...new Set(trace.spans.map((s) => s.service))];
  const short = shortNames(services);
  const place = (fromUs: number, us: number): CSSProperties => ({ left: `${((fromUs - start) / total) * 100}%`, width: `${(us / total) * 100}%` });
  const fold = (id: string, on: boolean): void => setFolded((held) => new Set(on ? [...held, id] : [...held].filter((x) => x !== id)));
  const onKey = (event: KeyboardEvent): void => {
    const at = rows.findIndex((r) => r.span.spanId === selected);
    const current = rows[at]?.span.spanId;
    const next =
      event.key === 'j' || event.key === 'ArrowDown'
        ? rows[Math.min(rows.length - 1, at + 1)]
        : event.key === 'k' || event.key === 'ArrowUp'
          ? rows[Math.max(0, at - 1)]
          : event.key === 'e'
            ? (rows.slice(at + 1).find((r) => r.span.error) ?? rows.find((r) => r.span.error))
            : undefined;
    if (next !== undefined) onSelect(next.span.spanId);
    else if (current !== undefined && (event.key === 'h' || event.key === 'l')) fold(current, event.key === 'h');
    else return;
    event.preventDefault();
  };
  return (
    <div className="wfv">
      <Head trace={trace} rows={rows} start={start} total={total} services={services.length}>
        <span className="seg sm" role="group" aria-label="View">
          {TRACE_VIEWS.map((v) => (
            <button type="button" key={v} className={v === view ? 'on' : ''} aria-pressed={v === view} onClick={() => onView(v)}>
              {v}
            </button>
          ))}
        </span>
        <button type="button" className="btn sm" onClick={onCompare}>
          Compare
        </button>
      </Head>
      {view === 'Table' ? (
        <TraceTable trace={trace} color={color} />
      ) : (
        <>
          <div className="mini" aria-hidden="true">
            {rows.map(({ span }, i) => (
              <i
                key={span.spanId}
                style={{ ...place(span.startUs, span.durationUs), top: `${6 + (i / Math.max(8, rows.length)) * 84}%`, background: color(span.service) }}
              />
            ))}
          </div>
          <div className="wfa" aria-hidden="true">
            <span>Span</span>
            <span className="tk">
              {TICKS.map((t) => (
                <em key={t} style={{ left: `${t * 100}%` }}>
                  {t === 0 ? '0 ms' : millis((t * total) / 1_000).replace(/ ms$/, '')}
                </em>
              ))}
            </span>
          </div>
          <div className="wfl" role="tree" aria-label="Spans" tabIndex={0} onKeyDown={onKey}>
            {rows.map((row) => {
              const { span } = row;
              const end = (span.startUs + span.durationUs - start) / total;
              const pieces = critical.get(span.spanId) ?? [];
              return (
                <div
                  key={span.spanId}
                  role="treeitem"
                  tabIndex={-1}
                  aria-level={row.depth + 1}
                  aria-selected={span.spanId === selected}
                  {...(row.below > 0 ? { 'aria-expanded': !folded.has(span.spanId) } : {})}
                  data-testid="span-row"
                  className={`wf ${span.spanId === selected ? 'on' : ''}`}
                  onClick={() => onSelect(span.spanId)}
                >
                  <span className="lb">
                    {row.guides.map((on, i) => (
                      <i key={i} className={i === row.guides.length - 1 ? (on ? 'gd tee' : 'gd end') : on ? 'gd' : 'gd no'} />
                    ))}
                    {row.below > 0 ? (
                      <button
                        type="button"
                        aria-label={folded.has(span.spanId) ? `Show ${row.below} spans` : 'Fold'}
                        onClick={(event) => {
                          event.stopPropagation();
                          fold(span.spanId, !folded.has(span.spanId));
                        }}
                      >
                        {folded.has(span.spanId) ? <IconChevronRight size={11} /> : <IconChevronDown size={11} />}
                      </button>
                    ) : (
                      <i className="nob" />
                    )}
                    <i className="sq" style={{ background: color(span.service) }} />
                    <span className="nm" title={`${span.service} ${span.name}`}>
                      <b>{short(span.service)}</b> {shortOperation(span.name)}
                      {folded.has(span.spanId) && <span className="muted"> +{row.below}</span>}
                    </span>
                  </span>
                  <span className="tk">
                    {TICKS.map((t) => (
                      <u key={t} style={{ left: `${t * 100}%` }} />
                    ))}
                    <i
                      className={`br ${span.kind === 'client' ? 'cl' : ''}`}
                      style={{ ...place(span.startUs, span.durationUs), '--c': color(span.service) } as CSSProperties}
                    />
                    {pieces.map((p) => (
                      <i key={p.startUs} className="cp" style={place(p.startUs, p.endUs - p.startUs)} />
                    ))}
                    {span.error && <i className="er" style={{ left: `${end * 100}%` }} />}
                    <em style={{ left: `${end * 100}%` }}>{millis(span.durationUs / 1_000)}</em>
                  </span>
                </div>
              );
            })}
          </div>
        </>
      )}
      <footer className="sv">
        {services.map((s) => (
          <span key={s}>
            <i style={{ background: color(s) }} />
            {s}
          </span>
        ))}
        <span className="cpl">
          <i />
          Critical path
        </span>
      </footer>
    </div>
  );
}

function Head({
  trace,
  rows,
  start,
  total,
  services,
  children,
}: {
  trace: Trace;
  rows: SpanRow[];
  start: number;
  total: number;
  services: number;
  children: ReactNode;
}): ReactElement {
  const [copied, setCopied] = useState(false);
  const root: Span | undefined = rows[0]?.span;
  const errors = trace.spans.filter((s) => s.error).length;
  return (
    <header>
      <div className="r1">
        <h2 title={root?.name}>{root === undefined ? trace.traceId : shortOperation(root.name)}</h2>
        {errors > 0 && (
          <span className="chip err">
            <IconAlertOctagon size={12} aria-hidden="true" />
            {errors} {errors === 1 ? 'error' : 'errors'}
            {root?.error === false && ', recovered'}
          </span>
        )}
        <span style={{ flex: 1 }} />
        {children}
        <a
          className="btn icon sm"
          aria-label="Download as JSON"
          title="Download as JSON"
          download={`trace-${trace.traceId}.json`}
          href={`data:application/json;charset=utf-8,${encodeURIComponent(JSON.stringify(trace, undefined, 2))}`}
        >
          <IconDownload size={14} />
        </a>
        <Link className="btn sm" to="/graph" search={{ trace: trace.traceId }}>
          <IconHierarchy size={14} aria-hidden="true" />
          Show on graph
        </Link>
      </div>
      <p className="meta">
        <b className="num">{millis(total / 1_000)}</b>
        <span>
          <b className="num">{trace.spans.length}</b> spans
        </span>
        <span>
          <b className="num">{services}</b> services
        </span>
        <span className="num">{clock(start / 1_000, true)}</span>
        <button
          type="button"
          className="mono id"
          aria-label="Copy the trace id"
          onClick={() => void navigator.clipboard?.writeText(trace.traceId).then(() => setCopied(true))}
        >
          {trace.traceId.slice(0, 16)}
          {copied ? <IconCheck size={12} /> : <IconCopy size={12} />}
        </button>
      </p>
    </header>
  );
}

/** Service names without their namespace where that leaves them apart. */
function shortNames(services: readonly string[]): (service: string) => string {
  const cut = (service: string): string => service.split('.')[0] ?? service;
  const seen = services.map(cut);
  return (service) => (seen.filter((name) => name === cut(service)).length === 1 ? cut(service) : service);
}

import type { TraceSummary } from '@weft/mesh-core/api';
import { IconAlertOctagon } from '@tabler/icons-react';
import { type KeyboardEvent, type ReactElement, useState } from 'react';
import { clock, millis, shortOperation } from '../../ui/format.ts';

export type TraceOrder = 'newest' | 'slowest' | 'spans';
const MIX_WIDTH = 72;

interface Props {
  traces: readonly TraceSummary[];
  total: number;
  order: TraceOrder;
  selected: string | undefined;
  color(service: string): string;
  onOrder(order: TraceOrder): void;
  onSelect(traceId: string): void;
}

/** Traces one under the other; the bar of each is its time by service, as long as the trace against the longest. */
export function TraceList({ traces, total, order, selected, color, onOrder, onSelect }: Props): ReactElement {
  const [at, setAt] = useState<string>();
  const failed = traces.filter((t) => t.errors > 0).length;
  const longest = Math.max(1, ...traces.map((t) => t.durationUs));
  const sorted =
    order === 'newest'
      ? traces.toSorted((a, b) => b.startUs - a.startUs)
      : order === 'slowest'
        ? traces.toSorted((a, b) => b.durationUs - a.durationUs)
        : traces.toSorted((a, b) => b.spans - a.spans);
  const stop = sorted.find((t) => t.traceId === at) ?? sorted.find((t) => t.traceId === selected) ?? sorted[0];
  return (
    <section className="ls" aria-label="Traces">
      <div className="lh">
        <b className="num">{total > traces.length ? `${traces.length} of ${total}` : `${total} ${total === 1 ? 'trace' : 'traces'}`}</b>
        {failed > 0 && (
          <span className="chip err">
            <IconAlertOctagon size={12} aria-hidden="true" />
            {failed} failed
          </span>
        )}
        <span style={{ flex: 1 }} />
        <select className="bare" aria-label="Order" value={order} onChange={(e) => onOrder(e.target.value as TraceOrder)}>
          <option value="newest">Newest</option>
          <option value="slowest">Slowest</option>
          <option value="spans">Most spans</option>
        </select>
      </div>
      <div className="lb2" onKeyDown={step}>
        {sorted.map((t) => {
          const self = t.services.reduce((sum, s) => sum + s.selfUs, 0) || 1;
          const width = Math.max(6, MIX_WIDTH * Math.sqrt(t.durationUs / longest));
          return (
            <button
              type="button"
              key={t.traceId}
              data-testid="trace-row"
              tabIndex={t === stop ? 0 : -1}
              aria-current={t.traceId === selected}
              className={`it ${t.traceId === selected ? 'on' : ''}`}
              onFocus={() => setAt(t.traceId)}
              onClick={() => onSelect(t.traceId)}
            >
              <span className="l1">
                <b title={t.name}>{shortOperation(t.name)}</b>
                <span className="num">{millis(t.durationUs / 1_000)}</span>
              </span>
              <span className="l2">
                <span className="num">{clock(t.startUs / 1_000)}</span>
                <span className="num">
                  {t.spans} {t.spans === 1 ? 'span' : 'spans'}
                </span>
                {t.errors > 0 && (
                  <span className="ee">
                    <IconAlertOctagon size={12} aria-hidden="true" />
                    {t.errors} {t.errors === 1 ? 'error' : 'errors'}
                  </span>
                )}
                <span className="mix" aria-hidden="true">
                  {t.services.map((s) => (
                    <i key={s.service} style={{ width: Math.max(2, (s.selfUs / self) * width), background: color(s.service) }} />
                  ))}
                </span>
              </span>
            </button>
          );
        })}
      </div>
    </section>
  );
}

/** Tab stops at one of the list, the last one that was used; from there arrows go on. */
function step(event: KeyboardEvent): void {
  const { activeElement: row } = document;
  const to = { ArrowDown: row?.nextElementSibling, ArrowUp: row?.previousElementSibling }[event.key];
  if (!(to instanceof HTMLElement)) return;
  to.focus();
  event.preventDefault();
}

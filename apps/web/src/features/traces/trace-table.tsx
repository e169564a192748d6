import type { Trace } from '@weft/mesh-core/api';
import { useQuery } from '@tanstack/react-query';
import { IconX } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import { traceSchema } from '@weft/mesh-core/api';
import { request } from '../../data/client.ts';
import { DataTable } from '../../ui/data-table.tsx';
import { clock, millis, shortOperation } from '../../ui/format.ts';
import { State } from '../../ui/state.tsx';
import { type OperationPair, type OperationStats, compareTraces, operationStats } from './trace-stats.ts';

const ms = (us: number | undefined): string => (us === undefined ? '–' : millis(us / 1_000));

/** Spans of a trace by operation: how often, how long, and how much of that their own. */
export function TraceTable({ trace, color }: { trace: Trace; color(service: string): string }): ReactElement {
  return (
    <div className="tt">
      <DataTable<OperationStats>
        rows={operationStats(trace.spans)}
        rowKey={(s) => `${s.service} ${s.name}`}
        label="operations"
        empty="No spans."
        columns={[
          { title: 'Service', sort: (s) => s.service, cell: (s) => <Service name={s.service} color={color} /> },
          { title: 'Operation', sort: (s) => s.name, cell: (s) => <span className="brk">{shortOperation(s.name)}</span> },
          { title: 'Spans', right: true, sort: (s) => s.spans, cell: (s) => s.spans },
          { title: 'Errors', right: true, sort: (s) => s.errors, cell: (s) => (s.errors > 0 ? <span className="errt">{s.errors}</span> : 0) },
          { title: 'Total', right: true, sort: (s) => s.totalUs, cell: (s) => ms(s.totalUs) },
          { title: 'Longest', right: true, sort: (s) => s.longestUs, cell: (s) => ms(s.longestUs) },
          { title: 'Own time', right: true, sort: (s) => s.selfUs, cell: (s) => <b>{ms(s.selfUs)}</b> },
        ]}
      />
    </div>
  );
}

/** Two traces by operation, and what changed from one to the other. */
export function TraceCompare({ trace, other, color, close }: { trace: Trace; other: string; color(service: string): string; close(): void }): ReactElement {
  const second = useQuery({ queryKey: ['trace', other], queryFn: () => request(traceSchema, `/traces/${other}`), retry: false });
  const change = (p: OperationPair): number => (p.b?.totalUs ?? 0) - (p.a?.totalUs ?? 0);
  return (
    <div className="wfv tt">
      <header>
        <div className="r1">
          <h2>Compare</h2>
          <span style={{ flex: 1 }} />
          <button type="button" className="btn sm" onClick={close}>
            <IconX size={14} aria-hidden="true" />
            End comparison
          </button>
        </div>
        <p className="meta">
          <span>
            A <Name trace={trace} />
          </span>
          {second.data !== undefined && (
            <span>
              B <Name trace={second.data} />
            </span>
          )}
        </p>
      </header>
      {other === trace.traceId ? (
        <State>Now choose the other trace, in the list or above.</State>
      ) : second.data === undefined ? (
        <State error={second.error} />
      ) : (
        <DataTable<OperationPair>
          rows={compareTraces(trace.spans, second.data.spans)}
          rowKey={(p) => `${p.service} ${p.name}`}
          label="operations"
          empty="No spans."
          columns={[
            { title: 'Service', sort: (p) => p.service, cell: (p) => <Service name={p.service} color={color} /> },
            { title: 'Operation', sort: (p) => p.name, cell: (p) => <span className="brk">{shortOperation(p.name)}</span> },
            { title: 'Spans A', right: true, sort: (p) => p.a?.spans ?? 0, cell: (p) => p.a?.spans ?? '–' },
            { title: 'Spans B', right: true, sort: (p) => p.b?.spans ?? 0, cell: (p) => p.b?.spans ?? '–' },
            { title: 'Total A', right: true, sort: (p) => p.a?.totalUs ?? -1, cell: (p) => ms(p.a?.totalUs) },
            { title: 'Total B', right: true, sort: (p) => p.b?.totalUs ?? -1, cell: (p) => ms(p.b?.totalUs) },
            {
              title: 'Change',
              right: true,
              sort: change,
              cell: (p) =>
                p.a === undefined ? (
                  <span className="warnt">only in B</span>
                ) : p.b === undefined ? (
                  <span className="warnt">only in A</span>
                ) : (
                  <b
                    className={change(p) > 0 ? 'errt' : change(p) < 0 ? 'okt' : ''}
                  >{`${change(p) > 0 ? '+' : change(p) < 0 ? '−' : ''}${ms(Math.abs(change(p)))}`}</b>
                ),
            },
          ]}
        />
      )}
    </div>
  );
}

function Name({ trace }: { trace: Trace }): ReactElement {
  const start = Math.min(...trace.spans.map((s) => s.startUs));
  const end = Math.max(...trace.spans.map((s) => s.startUs + s.durationUs));
  return (
    <>
      <b className="num">{ms(end - start)}</b> <span className="num">{clock(start / 1_000, true)}</span>{' '}
      <span className="mono">{trace.traceId.slice(0, 16)}</span>
    </>
  );
}

function Service({ name, color }: { name: string; color(service: string): string }): ReactElement {
  return (
    <span style={{ display: 'inline-flex', alignItems: 'center', gap: 6 }}>
      <i className="sq" style={{ background: color(name) }} />
      {name}
    </span>
  );
}

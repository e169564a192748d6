import type { RecordedRequest } from '@weft/mesh-core/api';
import { recordedRequestListSchema } from '@weft/mesh-core/api';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { type ReactElement, useState } from 'react';
import { request } from '../../data/client.ts';
import { TRACE_SETTLE_MS } from '../../data/hooks.ts';
import { useSettings } from '../../data/settings.ts';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { clock, millis } from '../../ui/format.ts';
import { State } from '../../ui/state.tsx';
import { flagWords, grpcWord } from '../traces/span-words.ts';

const COLUMNS: readonly Column<RecordedRequest>[] = [
  {
    title: 'Time',
    sort: (r) => r.atUs,
    cell: (r) => (
      <Link to="/traces" search={{ trace: r.traceId, span: r.spanId }} className="num" title="Open its trace">
        {clock(r.atUs / 1_000, true)}
      </Link>
    ),
  },
  { title: 'From', sort: (r) => r.from ?? '', cell: (r) => <span className="t2 brk">{r.from ?? (r.userAgent || '–')}</span> },
  { title: 'Workload', sort: (r) => r.workload, cell: (r) => <span className={r.workload === '' ? 'warnt' : 't2 brk'}>{r.workload || 'not reached'}</span> },
  {
    title: 'Request',
    sort: (r) => r.url,
    cell: (r) => (
      <span className="mono any sm2" title={`${r.url} ${r.protocol}`}>
        {r.method} {r.url.replace(/^https?:\/\/[^/]*/, '')}
      </span>
    ),
  },
  {
    title: 'Answer',
    sort: (r) => r.code,
    cell: (r) => (
      <>
        <span className={`chip ${r.error ? 'err' : r.code.startsWith('4') ? 'warn' : 'ok'}`}>{r.code || 'none'}</span>
        {r.grpcStatus !== '' && <span className={`sm2 ${r.grpcStatus === '0' ? 't2' : 'errt'}`}> {grpcWord(r.grpcStatus)}</span>}
        {r.flags !== '' && <span className="errt sm2"> {flagWords(r.flags)}</span>}
      </>
    ),
  },
  { title: 'Duration', right: true, sort: (r) => r.durationUs, cell: (r) => millis(r.durationUs / 1_000) },
  { title: 'Bytes', right: true, sort: (r) => r.responseBytes, cell: (r) => r.responseBytes },
];

/** The last requests, as an access log has them; each leads to its trace. */
export function RequestLog({ service, workload }: { service: string; workload?: string }): ReactElement {
  const { windowSec, paused } = useSettings();
  const [status, setStatus] = useState<'any' | 'error' | 'ok'>('any');
  const log = useQuery({
    queryKey: ['requests', service, workload, status, windowSec],
    placeholderData: keepPreviousData,
    refetchInterval: paused ? false : 5_000,
    queryFn: ({ signal }) => {
      const query = new URLSearchParams({
        service,
        status,
        limit: '100',
        start: String(Date.now() - windowSec * 1_000),
        end: String(Date.now() - TRACE_SETTLE_MS),
      });
      if (workload !== undefined) query.set('workload', workload);
      return request(recordedRequestListSchema, `/requests?${query}`, { signal });
    },
  });
  if (log.data === undefined) return <State error={log.error} />;
  return (
    <DataTable
      rows={log.data.items}
      columns={workload === undefined ? COLUMNS : COLUMNS.filter((c) => c.title !== 'Workload')}
      rowKey={(r) => `${r.traceId}/${r.spanId}`}
      label="requests"
      text={(r) => `${r.from ?? ''} ${r.workload} ${r.method} ${r.url} ${r.code} ${r.flags} ${r.traceId}`}
      empty="No traced requests in this range. Widen the range, or raise --trace-sampling."
      tools={
        <>
          <b>Last requests</b>
          <select className="pill" aria-label="Answer" value={status} onChange={(e) => setStatus(e.target.value as typeof status)}>
            <option value="any">All answers</option>
            <option value="error">Failed</option>
            <option value="ok">Without errors</option>
          </select>
        </>
      }
    />
  );
}

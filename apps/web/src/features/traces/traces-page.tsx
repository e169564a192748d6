import { traceListSchema, traceSchema, traceServicesSchema } from '@weft/mesh-core/api';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { type ReactElement, useState } from 'react';
import { request } from '../../data/client.ts';
import { TRACE_SETTLE_MS } from '../../data/hooks.ts';
import { useSettings } from '../../data/settings.ts';
import { seriesColor } from '../../ui/format.ts';
import { State } from '../../ui/state.tsx';
import { SpanDetail } from './span-detail.tsx';
import { TraceFilters } from './trace-filters.tsx';
import { TraceList, type TraceOrder } from './trace-list.tsx';
import { TraceScatter } from './trace-scatter.tsx';
import { TraceCompare } from './trace-table.tsx';
import './traces.css';
import { WaterfallView } from './waterfall-view.tsx';

/** Traces by filter, one trace as a waterfall, one span in detail. The address holds filters and selection. */
export function TracesPage(): ReactElement {
  const search = useSearch({ from: '/traces' });
  const navigate = useNavigate({ from: '/traces' });
  const { windowSec, paused, namespace } = useSettings();
  const [order, setOrder] = useState<TraceOrder>('newest');
  const services = useQuery({ queryKey: ['trace-services'], queryFn: () => request(traceServicesSchema, '/trace-services'), refetchInterval: 15_000 });
  const list = useQuery({
    queryKey: ['traces', search.service, search.operation, search.status, search.min, search.max, search.tags, search.from, search.to, windowSec],
    queryFn: ({ signal }) => {
      const query = new URLSearchParams({ limit: '200', start: String(Date.now() - windowSec * 1_000), end: String(Date.now() - TRACE_SETTLE_MS) });
      for (const key of ['service', 'operation', 'status', 'tags', 'from', 'to'] as const) if (search[key] !== undefined) query.set(key, search[key]);
      if (search.min !== undefined) query.set('minMs', String(search.min));
      if (search.max !== undefined) query.set('maxMs', String(search.max));
      return request(traceListSchema, `/traces?${query}`, { signal });
    },
    placeholderData: keepPreviousData,
    refetchInterval: paused || search.trace !== undefined ? false : 5_000,
  });
  const trace = useQuery({
    queryKey: ['trace', search.trace],
    enabled: search.trace !== undefined,
    queryFn: () => request(traceSchema, `/traces/${search.trace}`),
  });
  const names = (services.data?.services ?? []).map((s) => s.name).filter((n) => namespace === '' || n.endsWith(`.${namespace}`));
  const palette = [...new Set([...names, ...(trace.data?.spans.map((s) => s.service) ?? [])])].toSorted();
  const color = (service: string): string => seriesColor(Math.max(0, palette.indexOf(service)));
  const go = (change: Partial<typeof search>): void => void navigate({ search: (held) => ({ ...held, ...change }) });
  // While two are compared, a click chooses the second.
  const choose = (id: string): void => go(search.with === undefined ? { trace: id, span: undefined } : { with: id });
  const traces = (list.data?.traces ?? []).filter((t) => namespace === '' || t.services.some((s) => s.service.endsWith(`.${namespace}`)));
  const span = trace.data?.spans.find((s) => s.spanId === search.span);
  return (
    <div className={`t ${span === undefined ? 'nospan' : ''}`}>
      <TraceFilters search={search} services={services.data?.services ?? []} onChange={go} />
      <TraceScatter traces={traces} selected={search.trace} onSelect={choose} />
      {list.data === undefined ? (
        <div className="ls">
          <State error={list.error} />
        </div>
      ) : traces.length === 0 ? (
        <div className="ls">
          <State>No traces in this range. Widen the range, or drop a filter.</State>
        </div>
      ) : (
        <TraceList
          traces={traces}
          total={namespace === '' ? list.data.total : traces.length}
          order={order}
          selected={search.trace}
          color={color}
          onOrder={setOrder}
          onSelect={choose}
        />
      )}
      <section className="wfs" aria-label="Waterfall">
        {search.trace === undefined ? (
          <State>Choose a trace, or a dot above.</State>
        ) : trace.data === undefined ? (
          <State error={trace.error} />
        ) : search.with !== undefined ? (
          <TraceCompare trace={trace.data} other={search.with} color={color} close={() => go({ with: undefined })} />
        ) : (
          <WaterfallView
            key={search.trace}
            trace={trace.data}
            selected={search.span}
            view={search.view ?? 'Timeline'}
            color={color}
            onSelect={(id) => go({ span: id })}
            onView={(view) => go({ view })}
            onCompare={() => go({ with: search.trace, span: undefined })}
          />
        )}
      </section>
      {trace.data !== undefined && span !== undefined && (
        <aside aria-label="Span">
          <SpanDetail trace={trace.data} span={span} color={color} close={() => go({ span: undefined })} />
        </aside>
      )}
    </div>
  );
}

import { type Trace, traceListSchema, traceSchema, traceServicesSchema } from '@weft/mesh-core/api';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import type { ReactElement } from 'react';
import { request } from '../../data/client.ts';
import { useSettings } from '../../data/settings.ts';
import { millis, seriesColor } from '../../ui/format.ts';
import { State } from '../../ui/state.tsx';
import { waterfallRows } from './waterfall.ts';

/** Traces by service, one trace as a waterfall, one span in detail. The address holds the selection. */
export function TracesPage(): ReactElement {
  const search = useSearch({ from: '/traces' });
  const navigate = useNavigate({ from: '/traces' });
  const { windowSec, paused } = useSettings();
  const services = useQuery({ queryKey: ['trace-services'], queryFn: () => request(traceServicesSchema, '/trace-services') });
  const list = useQuery({
    queryKey: ['traces', search.service, search.from, search.to, windowSec],
    queryFn: ({ signal }) => {
      const query = new URLSearchParams({ limit: '100', start: String(Date.now() - windowSec * 1_000) });
      for (const key of ['service', 'from', 'to'] as const) if (search[key]) query.set(key, search[key]);
      return request(traceListSchema, `/traces?${query}`, { signal });
    },
    refetchInterval: paused ? false : 5_000,
  });
  const trace = useQuery({
    queryKey: ['trace', search.trace],
    enabled: search.trace !== undefined,
    queryFn: () => request(traceSchema, `/traces/${search.trace}`),
  });
  const span = trace.data?.spans.find((s) => s.spanId === search.span);
  return (
    <div className="tr-grid">
      <section aria-label="Traces">
        <div style={{ padding: 12 }}>
          <select
            className="pill"
            aria-label="Service"
            value={search.service ?? ''}
            onChange={(e) => void navigate({ search: { service: e.target.value || undefined } })}
          >
            <option value="">All services</option>
            {services.data?.services.map((s) => (
              <option key={s.name}>{s.name}</option>
            ))}
          </select>
          {search.from && (
            <div className="muted">
              {search.from} → {search.to}
            </div>
          )}
        </div>
        {list.data === undefined ? (
          <State error={list.error} />
        ) : list.data.traces.length === 0 ? (
          <State>No traces in this range.</State>
        ) : (
          list.data.traces.map((t) => (
            <button
              type="button"
              key={t.traceId}
              data-testid="trace-row"
              className={`tr-item ${t.traceId === search.trace ? 'on' : ''}`}
              onClick={() => void navigate({ search: { ...search, trace: t.traceId, span: undefined } })}
            >
              <b>{t.name}</b>{' '}
              <span className="num" style={{ float: 'right' }}>
                {millis(t.durationUs / 1_000)}
              </span>
              <div className="muted">
                {t.rootService} · {t.spans} spans{t.errors > 0 && <span style={{ color: 'var(--err)' }}> · {t.errors} errors</span>}
              </div>
            </button>
          ))
        )}
      </section>
      <section aria-label="Waterfall">
        {search.trace === undefined ? (
          <State>Choose a trace.</State>
        ) : trace.data === undefined ? (
          <State error={trace.error} />
        ) : (
          <Waterfall trace={trace.data} selected={search.span} onSelect={(id) => void navigate({ search: { ...search, span: id } })} />
        )}
      </section>
      <aside aria-label="Span">
        {span === undefined ? (
          <State>Choose a span.</State>
        ) : (
          <div style={{ padding: 16 }} data-testid="span-detail">
            <b>{span.name}</b>
            <div className="muted">
              {span.service} · {span.kind} · {millis(span.durationUs / 1_000)}
            </div>
            <MatchedRoute config={span.attributes['weft.route_config']} route={span.attributes['weft.route']} />
            <dl className="attr" style={{ marginTop: 12 }}>
              {Object.entries({ ...span.attributes, ...span.resource }).map(([k, v]) => [
                <dt key={k}>{k}</dt>,
                <dd key={`${k}=`} className="mono">
                  {String(v)}
                </dd>,
              ])}
            </dl>
          </div>
        )}
      </aside>
    </div>
  );
}

/** The object whose rule decided, as the proxy recorded it: `/apis/<group>/<version>/namespaces/<ns>/virtual-service/<name>`. */
function MatchedRoute({ config, route }: { config: unknown; route: unknown }): ReactElement | null {
  const match = typeof config === 'string' ? /namespaces\/([^/]+)\/(virtual-service|services)\/([^/]+)$/.exec(config) : null;
  const [, namespace, type, name] = match ?? [];
  if (namespace === undefined || name === undefined) return null;
  const kind = type === 'services' ? 'Service' : 'VirtualService';
  return (
    <div style={{ marginTop: 12 }}>
      <div className="h">Matched route</div>
      <Link to="/config" search={{ object: `${kind}/${namespace}/${name}` }}>
        {kind} {name}
      </Link>{' '}
      <span className="muted">{typeof route === 'string' ? route : ''}</span>
    </div>
  );
}

function Waterfall({ trace, selected, onSelect }: { trace: Trace; selected: string | undefined; onSelect(id: string): void }): ReactElement {
  const start = Math.min(...trace.spans.map((s) => s.startUs));
  const total = Math.max(1, ...trace.spans.map((s) => s.startUs + s.durationUs - start));
  const services = [...new Set(trace.spans.map((s) => s.service))].sort();
  return (
    <div style={{ padding: '12px 0' }}>
      {waterfallRows(trace.spans).map(({ span, depth, critical }) => (
        <button
          type="button"
          key={span.spanId}
          data-testid="span-row"
          className={`wf ${span.spanId === selected ? 'on' : ''}`}
          onClick={() => onSelect(span.spanId)}
        >
          <span className="lb" style={{ paddingLeft: depth * 12 }}>
            {span.error && <b style={{ color: 'var(--err)' }}>◆ </b>}
            <b>{span.service}</b> {span.name}
          </span>
          <span className="tk" style={{ marginRight: 56 }}>
            <i
              style={{
                left: `${((span.startUs - start) / total) * 100}%`,
                width: `${(span.durationUs / total) * 100}%`,
                background: seriesColor(services.indexOf(span.service)),
              }}
            />
            {critical && <i className="cp" style={{ left: `${((span.startUs - start) / total) * 100}%`, width: `${(span.durationUs / total) * 100}%` }} />}
            <em style={{ left: `${((span.startUs + span.durationUs - start) / total) * 100}%` }}>{millis(span.durationUs / 1_000)}</em>
          </span>
        </button>
      ))}
    </div>
  );
}

import type { Span, Trace } from '@weft/mesh-core/api';
import { IconAlertOctagon, IconArrowsSplit, IconChevronRight, IconX } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import { millis, shortOperation } from '../../ui/format.ts';
import { ObjectLink } from '../../ui/links.tsx';
import { matchedRoute } from './matched-route.ts';
import { failureOf } from './span-words.ts';
import { timeSplit } from './time-split.ts';

const UNLISTED = new Set(['weft.route_config', 'weft.route']);

/** One span: why it failed, where its time went, the rule that decided, and everything it carries. */
export function SpanDetail({ trace, span, color, close }: { trace: Trace; span: Span; color(service: string): string; close(): void }): ReactElement {
  const start = Math.min(...trace.spans.map((s) => s.startUs));
  const parts = timeSplit(trace.spans, span);
  const attributes = Object.entries({ ...span.attributes, ...span.resource }).filter(([key]) => !UNLISTED.has(key));
  const retried = trace.spans.some(
    (s) => s.parentId === span.parentId && s !== span && s.startUs > span.startUs && s.name === span.name && s.service === span.service,
  );
  return (
    <div data-testid="span-detail" className="sd">
      <header>
        <div className="r1">
          <h2 title={span.name}>{shortOperation(span.name)}</h2>
          <button type="button" className="btn ghost icon sm" aria-label="Close span" onClick={close}>
            <IconX size={14} />
          </button>
        </div>
        <p className="meta">
          <i className="sq" style={{ background: color(span.service) }} />
          <span>{span.service}</span>
          <span>{span.kind}</span>
          <span className="num">{millis(span.durationUs / 1_000)}</span>
          <span className="num">at {millis((span.startUs - start) / 1_000)}</span>
        </p>
      </header>
      {span.error && (
        <section>
          <div className="note err" role="note">
            <IconAlertOctagon size={16} aria-hidden="true" />
            <span>
              <b>{failureOf(span)}.</b> {retried && 'The proxy tried again.'}
            </span>
          </div>
        </section>
      )}
      <section>
        <div className="h">
          Where the time went<span className="num t2">{millis(span.durationUs / 1_000)}</span>
        </div>
        <div className="bk" aria-hidden="true">
          {parts.map((p) => (
            <i key={p.name} style={{ flexGrow: p.us, background: p.own ? 'var(--g-idle)' : color(p.name) }} />
          ))}
        </div>
        <div className="bl2">
          {parts.map((p) => (
            <span key={p.name}>
              <i style={{ background: p.own ? 'var(--g-idle)' : color(p.name) }} />
              {p.own ? 'Itself' : p.name.split('.')[0]} <b className="num">{millis(p.us / 1_000)}</b>
            </span>
          ))}
        </div>
      </section>
      <MatchedRoute config={span.attributes['weft.route_config']} route={span.attributes['weft.route']} />
      <section>
        <div className="h">
          Attributes<span className="chip line num">{attributes.length}</span>
        </div>
        <table className="at">
          <tbody>
            {attributes.map(([key, value]) => (
              <tr key={key}>
                <td>{key}</td>
                <td className={`mono ${isBad(span, key) ? 'bad' : ''}`}>{String(value)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {span.events.length > 0 && (
        <section>
          <div className="h">
            Events<span className="chip line num">{span.events.length}</span>
          </div>
          <div className="ev">
            {span.events.map((event, i) => [
              <span className="mono" key={`${i}t`}>
                +{((event.atUs - start) / 1_000).toFixed(1)}
              </span>,
              <span key={i}>{event.name}</span>,
            ])}
          </div>
        </section>
      )}
    </div>
  );
}

function isBad(span: Span, key: string): boolean {
  return span.error && (key === 'http.status_code' || key === 'response_flags' || key === 'grpc.status_code');
}

function MatchedRoute({ config, route }: { config: unknown; route: unknown }): ReactElement | null {
  const match = matchedRoute(config, route);
  if (match === undefined) return null;
  const { title, rule, object } = match;
  const text = (
    <>
      <IconArrowsSplit size={16} aria-hidden="true" />
      <span>
        <b>{title}</b>
        <br />
        <span className="t2">{rule}</span>
      </span>
    </>
  );
  return (
    <section>
      <div className="h">Matched route</div>
      {object === undefined ? (
        <span className="rt">{text}</span>
      ) : (
        <ObjectLink of={object} className="rt">
          {text}
          <IconChevronRight size={16} aria-hidden="true" />
        </ObjectLink>
      )}
    </section>
  );
}

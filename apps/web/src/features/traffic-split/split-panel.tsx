import { type TrafficSplit, proxyName } from '@weft/mesh-core/api';
import type { ObjectRef } from '@weft/mesh-core/model';
import type { ReactElement } from 'react';
import { millis, percent, seriesColor } from '../../ui/format.ts';
import { ObjectLink } from '../../ui/links.tsx';
import { State } from '../../ui/state.tsx';
import { SplitSlider } from './split-slider.tsx';
import { spreadText } from './spread-text.ts';
import type { SplitControl } from './use-split-control.ts';
import './split.css';

type Destination = TrafficSplit['destinations'][number];
const PRESETS = [0, 5, 10, 25, 50, 100];
const COMPARED: readonly [title: string, figure: (of: Destination) => string][] = [
  ['Errors', (d) => (d.rps > 0 ? percent(d.errors) : '–')],
  ['p50', (d) => millis(d.p50)],
  ['p95', (d) => millis(d.p95)],
];
const MARK = { pending: '…', sent: 'sent', acked: 'ACK', nacked: 'NACK', disconnected: 'gone' } as const;

/** Weights of a service's versions: set, compare with what is observed, and see who has taken them over. */
export function SplitPanel({ control }: { control: SplitControl }): ReactElement {
  const { split, weights } = control;
  if (split === undefined) return <State error={control.error} />;
  const disabled = split.blocked !== undefined || control.busy;
  const canary = split.destinations.find((d) => d.canary) ?? split.destinations[1];
  // Without versions there is nothing to share out or to compare.
  if (split.destinations.length === 0)
    return (
      <section className="sec" aria-label="Traffic split">
        <Head routes={split.virtualService} />
        <p className="muted sm" role="status" style={{ padding: '6px 0' }}>
          {split.blocked ?? 'It has no versions.'}
        </p>
      </section>
    );
  return (
    <>
      <section className="sec" aria-label="Traffic split">
        <Head routes={split.virtualService} />
        <div className="muted" style={{ fontSize: 11.5, marginTop: 8 }}>
          Intended
        </div>
        <div className="split">
          {split.destinations.map((d, i) => (
            <i
              key={d.subset}
              data-testid={`split-intended-${d.subset}`}
              data-value={weights[d.subset]}
              style={{ width: `${weights[d.subset] ?? 0}%`, background: seriesColor(i) }}
            />
          ))}
        </div>
        <div className="muted" style={{ fontSize: 11.5 }}>
          Observed, last {Math.round(split.windowSec)} s
        </div>
        <div className="split obs">
          {split.destinations.map((d, i) => (
            <i key={d.subset} style={{ width: `${Math.max(0, d.observed)}%`, background: seriesColor(i) }} />
          ))}
        </div>
        {split.destinations.map((d, i) => (
          <div key={d.subset}>
            <div className="row">
              <i className="d" style={{ background: seriesColor(i) }} />
              <span className="nm2">
                {d.subset}
                {d.canary && <span className="chip can">canary</span>}
              </span>
              <SplitSlider
                subset={d.subset}
                value={weights[d.subset] ?? 0}
                color={seriesColor(i)}
                disabled={disabled}
                onChange={(v) => control.drag(d.subset, v)}
                onCommit={() => void control.apply()}
              />
              <input
                className="inp"
                type="number"
                min={0}
                max={100}
                disabled={disabled}
                aria-label={`Weight of ${d.subset} in percent`}
                value={weights[d.subset] ?? 0}
                onChange={(e) => control.drag(d.subset, Number(e.target.value))}
              />
            </div>
            <div className="muted num" style={{ fontSize: 11.5, paddingLeft: 22, marginTop: -8 }}>
              observed <span data-testid={`split-observed-${d.subset}`}>{d.observed < 0 ? '–' : `${d.observed.toFixed(1)} %`}</span> · {d.rps.toFixed(1)} /s
            </div>
          </div>
        ))}
        {canary && (
          <div className="pre" role="group" aria-label={`Share of ${canary.subset}`} style={{ marginTop: 10 }}>
            {PRESETS.map((p) => (
              <button
                type="button"
                key={p}
                disabled={disabled}
                className={weights[canary.subset] === p ? 'on' : ''}
                onClick={() => control.drag(canary.subset, p)}
              >
                {p} %
              </button>
            ))}
          </div>
        )}
        {split.blocked && (
          <div className="note" role="status">
            {split.blocked}
          </div>
        )}
        {control.error && (
          <div className="note" role="alert" style={{ color: 'var(--err)', background: 'var(--err-soft)' }}>
            {control.error}
          </div>
        )}
        {control.conflict && (
          <div className="note" role="alert" style={{ flexDirection: 'column' }}>
            <b>Somebody else changed these weights.</b>
            <span>
              Yours: {weightWords(control.conflict.mine)}. Theirs: {weightWords(control.conflict.theirs)}.
            </span>
            <span className="act">
              <button type="button" className="btn sm" onClick={() => void control.apply(control.conflict?.mine)}>
                Apply mine
              </button>
              <button type="button" className="btn sm" onClick={control.discard}>
                Keep theirs
              </button>
            </span>
          </div>
        )}
        <div className="act">
          <button
            type="button"
            className="btn"
            data-testid="split-undo"
            disabled={control.undoable === undefined || control.busy}
            onClick={() => void control.undo()}
          >
            Undo
          </button>
          <button type="button" className="btn" disabled={!control.dirty} onClick={control.discard}>
            Discard
          </button>
          <button
            type="button"
            className={`btn pri ${control.dirty ? '' : 'off'}`}
            data-testid="split-apply"
            disabled={!control.dirty || control.busy}
            onClick={() => void control.apply()}
          >
            {control.busy ? 'Applying…' : 'Apply'}
          </button>
        </div>
      </section>
      <hr />
      {split.propagation && (
        <section className="sec" aria-label="Propagation">
          <div className="h">
            Revision {split.propagation.revision}
            <span className="muted" style={{ fontWeight: 400 }}>
              {spreadText(split.propagation)}
            </span>
          </div>
          <table style={{ marginTop: 6 }}>
            <tbody>
              {split.propagation.proxies.map((p) => (
                <tr key={p.proxyId} data-testid="propagation-row">
                  <td>{proxyName(p.proxyId)}</td>
                  <td className="muted">{p.types.join(', ')}</td>
                  <td className="r">
                    <span className={`chip ${p.state === 'acked' ? 'ok' : p.state === 'nacked' ? 'err' : 'warn'}`} title={p.error}>
                      {MARK[p.state]}
                    </span>
                  </td>
                  <td className="r">{p.answeredMs === undefined ? '' : `${Math.round(p.answeredMs)} ms`}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      <section className="sec" aria-label="Versions compared">
        <table>
          <thead>
            <tr>
              <th>Compare</th>
              {split.destinations.map((d, i) => (
                <th key={d.subset} className="r">
                  <i className="d" style={{ background: seriesColor(i) }} /> {d.subset}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {COMPARED.map(([title, figure]) => (
              <tr key={title}>
                <td className="t2">{title}</td>
                {split.destinations.map((d) => (
                  <td key={d.subset} className="r">
                    {figure(d)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </>
  );
}

function Head({ routes }: { routes: ObjectRef | undefined }): ReactElement {
  return (
    <div className="h">
      Traffic split
      {routes && <ObjectLink of={routes} />}
    </div>
  );
}

function weightWords(weights: Readonly<Record<string, number>>): string {
  return Object.entries(weights)
    .map(([subset, weight]) => `${subset} ${weight}`)
    .join(', ');
}

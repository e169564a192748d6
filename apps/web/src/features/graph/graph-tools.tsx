import type { GraphSnapshot } from '@weft/mesh-core/api';
import { IconAdjustments, IconAlertTriangle, IconInfoCircle } from '@tabler/icons-react';
import { type ReactElement, useId } from 'react';
import { EDGE_LABELS, GRAPH_TYPES } from '../../app/pages.ts';
import type { LabelKind } from '../../graph-canvas/scene.ts';
import { type Expression, FIND_HELP } from './find-expression.ts';
import { LoadControl } from './load-control.tsx';

const TYPES = { versionedApp: 'Versions', app: 'Apps', service: 'Services', workload: 'Workloads' } as const;
const LABELS = { rate: 'Requests /s', errors: 'Errors', p95: 'p95', share: 'Share' } as const;

export interface GraphView {
  type: GraphSnapshot['graphType'];
  label: LabelKind;
  find: string;
  hide: string;
}
export interface Display {
  idle: boolean;
  motion: boolean;
}

/** What is drawn, and which of it. */
export function GraphTools({
  view,
  display,
  found,
  hidden,
  matches,
  onView,
  onDisplay,
}: {
  view: GraphView;
  display: Display;
  found: Expression;
  hidden: Expression;
  matches: number | undefined;
  onView(change: Partial<GraphView>): void;
  onDisplay(change: Partial<Display>): void;
}): ReactElement {
  return (
    <div className="gt">
      <span className="seg" role="group" aria-label="Graph type">
        {GRAPH_TYPES.map((type) => (
          <button type="button" key={type} className={view.type === type ? 'on' : ''} aria-pressed={view.type === type} onClick={() => onView({ type })}>
            {TYPES[type]}
          </button>
        ))}
      </span>
      <select className="pill" aria-label="Label" value={view.label} onChange={(e) => onView({ label: e.target.value as LabelKind })}>
        {EDGE_LABELS.map((label) => (
          <option key={label} value={label}>
            {LABELS[label]}
          </option>
        ))}
      </select>
      <details className="pop">
        <summary className="btn">
          <IconAdjustments size={14} aria-hidden="true" />
          Display
        </summary>
        <div>
          <label>
            <input type="checkbox" checked={display.idle} onChange={(e) => onDisplay({ idle: e.target.checked })} />
            What is idle
          </label>
          <label>
            <input type="checkbox" checked={display.motion} onChange={(e) => onDisplay({ motion: e.target.checked })} />
            Moving requests
          </label>
        </div>
      </details>
      <LoadControl />
      <span style={{ flex: 1 }} />
      <span className="fnds">
        <Field name="Find" value={view.find} expression={found} note={matches === undefined ? '' : `${matches} found`} onChange={(find) => onView({ find })} />
        <Field name="Hide" value={view.hide} expression={hidden} note="" onChange={(hide) => onView({ hide })} />
      </span>
    </div>
  );
}

function Field({
  name,
  value,
  expression,
  note,
  onChange,
}: {
  name: string;
  value: string;
  expression: Expression;
  note: string;
  onChange(value: string): void;
}): ReactElement {
  const id = useId();
  return (
    <span className="fnd">
      <input
        className={`field ${expression.error === undefined ? '' : 'bad'}`}
        placeholder={name === 'Find' ? 'Find: err > 1 %' : 'Hide: idle'}
        aria-label={name}
        aria-invalid={expression.error !== undefined}
        aria-describedby={id}
        title={FIND_HELP}
        value={value}
        onChange={(e) => onChange(e.target.value)}
        onKeyDown={(e) => {
          if (e.key !== 'Escape') return;
          if (value === '') e.currentTarget.blur();
          else onChange('');
        }}
      />
      <span id={id} role="status" className={expression.error === undefined ? 'fn muted num' : 'fn errt'}>
        {expression.error ?? note}
      </span>
    </span>
  );
}

/** What is missing from the picture, and why. */
export function GraphNotes({ notes }: { notes: readonly string[] }): ReactElement | null {
  if (notes.length === 0) return null;
  return (
    <div className="gnotes" role="status">
      {notes.slice(0, 3).map((note) => (
        <span key={note}>
          <IconAlertTriangle size={14} aria-hidden="true" />
          {note}
        </span>
      ))}
      {notes.length > 3 && (
        <span title={notes.slice(3).join('\n')}>
          <IconInfoCircle size={14} aria-hidden="true" />
          and {notes.length - 3} more
        </span>
      )}
    </div>
  );
}

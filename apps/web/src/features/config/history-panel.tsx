import { revisionSchema } from '@weft/mesh-core/api';
import { refKey } from '@weft/mesh-core/model';
import { useQuery } from '@tanstack/react-query';
import { type ReactElement, useState } from 'react';
import { request } from '../../data/client.ts';
import { useRevisions } from '../../data/hooks.ts';
import { clock } from '../../ui/format.ts';
import { State } from '../../ui/state.tsx';
import { DiffView } from './diff-view.tsx';

/** The journal: who changed what, the difference, and its undo. */
export function HistoryPanel({ onUndo }: { onUndo(revision: string): void }): ReactElement {
  const revisions = useRevisions();
  const [open, setOpen] = useState<string>();
  const one = useQuery({
    queryKey: ['revision', open],
    enabled: open !== undefined,
    staleTime: Infinity,
    queryFn: () => request(revisionSchema, `/revisions/${open}`),
  });
  if (revisions.data === undefined) return <State error={revisions.error} />;
  return (
    <div className="hist" aria-label="History">
      {revisions.data.items.map((r) => (
        <div key={r.revision} className="hr">
          <div className="hl">
            <span className="chip line num">{r.revision}</span>
            <button type="button" className="ms" aria-expanded={open === r.revision} onClick={() => setOpen(open === r.revision ? undefined : r.revision)}>
              {r.summary}
            </button>
            <span className="muted num">
              {clock(r.at)} · {r.actor}
            </span>
            <button type="button" className="btn sm" onClick={() => onUndo(r.revision)}>
              Undo
            </button>
          </div>
          {open === r.revision &&
            one.data?.changes.map((c) => (
              <DiffView
                key={refKey(c.ref)}
                names={[`${c.ref.kind} ${c.ref.name}, before`, c.verb === 'delete' ? 'deleted' : 'after']}
                before={c.before ?? ''}
                after={c.after ?? ''}
              />
            ))}
        </div>
      ))}
    </div>
  );
}

import { findKind, KINDS, refusesWrite } from '@weft/mesh-core/model';
import { IconHistory, IconTrash } from '@tabler/icons-react';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { type ReactElement, useRef, useState } from 'react';
import { useConfigList, useProblems, useProxies } from '../../data/hooks.ts';
import { useInNamespace, useSettings } from '../../data/settings.ts';
import { MOD } from '../../ui/mod-key.ts';
import { State } from '../../ui/state.tsx';
import './config.css';
import { DiffView } from './diff-view.tsx';
import { EffectPanel } from './effect-panel.tsx';
import { HistoryPanel } from './history-panel.tsx';
import { template } from './new-object.ts';
import { ObjectTree, homeOf } from './object-tree.tsx';
import { ProblemList } from './problem-list.tsx';
import { ProblemsPanel } from './problems-panel.tsx';
import { useDraft } from './use-draft.ts';
import { type EditorHandle, YamlEditor } from './yaml-editor.tsx';

const NEW = 'new/object/';
const MODES = ['Editor', 'Inline diff', 'Side by side'] as const;

/** Objects of the mesh as YAML: checked while typed, with the effect before it is applied. */
export function ConfigPage(): ReactElement {
  const { object } = useSearch({ from: '/config' });
  const navigate = useNavigate({ from: '/config' });
  const { namespace } = useSettings();
  const inNamespace = useInNamespace();
  const list = useConfigList();
  const proxies = useProxies().data?.length ?? 0;
  const draft = useDraft(object);
  const editor = useRef<EditorHandle>(null);
  const [mode, setMode] = useState<(typeof MODES)[number]>('Inline diff');
  const [history, setHistory] = useState(false);
  const isNew = object?.startsWith(NEW) === true;
  const errors = draft.check?.problems.filter(refusesWrite).length ?? 0;
  const changed = draft.dirty || isNew;
  const stored = draft.held?.yaml ?? '';
  const open = (id: string | undefined): void => {
    setHistory(false);
    void navigate({ search: { object: id } });
  };
  const apply = async (force = false): Promise<void> => {
    if (!changed || errors > 0) return;
    const id = await draft.apply(force);
    if (id !== undefined && id !== object) open(id);
  };
  const begin = (kindName: string): void => {
    const kind = findKind(kindName);
    if (kind === undefined) return;
    draft.begin(template(kind, namespace === '' ? 'bookinfo' : namespace));
  };
  const items = list.data?.items.filter((i) => inNamespace(homeOf(i.ref))) ?? [];
  return (
    <div className="cf">
      {list.data === undefined ? (
        <nav className="tree" aria-label="Objects">
          <State error={list.error} />
        </nav>
      ) : (
        <ObjectTree items={items} selected={object} drafts={draft.drafts} onSelect={open} onNew={() => open(NEW)} />
      )}
      <section className="ed" aria-label="Editor">
        <div className="eh">
          <h2 title={draft.held?.ref.name}>{history ? 'History' : isNew ? 'New object' : (draft.held?.ref.name ?? 'Config')}</h2>
          {!history && draft.held !== undefined && <span className="chip line">{draft.held.ref.kind}</span>}
          {!history && draft.dirty && <span className="chip acc">Draft</span>}
          {!history && isNew && (
            <select className="pill" aria-label="Kind" defaultValue="" onChange={(e) => begin(e.target.value)}>
              <option value="" disabled>
                Choose a kind
              </option>
              {KINDS.map((k) => (
                <option key={k.kind}>{k.kind}</option>
              ))}
            </select>
          )}
          <span style={{ flex: 1 }} />
          {!history && draft.held !== undefined && (
            <>
              <span className="seg sm" role="group" aria-label="View">
                {MODES.map((m) => (
                  <button type="button" key={m} className={m === mode ? 'on' : ''} aria-pressed={m === mode} onClick={() => setMode(m)}>
                    {m}
                  </button>
                ))}
              </span>
              <button
                type="button"
                className="btn icon sm"
                aria-label="Delete"
                title="Delete this object"
                onClick={() => void draft.remove().then((gone) => gone && open(undefined))}
              >
                <IconTrash size={14} />
              </button>
            </>
          )}
          <button type="button" className={`btn sm ${history ? 'pri' : ''}`} aria-pressed={history} onClick={() => setHistory(!history)}>
            <IconHistory size={14} aria-hidden="true" />
            History
          </button>
        </div>
        {!history && draft.failure !== undefined && <Refusal draft={draft} onForce={() => void apply(true)} />}
        {history ? (
          <HistoryPanel onUndo={(revision) => void draft.undo(revision)} />
        ) : object === undefined ? (
          <Start />
        ) : draft.text === undefined ? (
          <State error={draft.error}>{isNew ? 'Choose a kind above.' : 'Loading…'}</State>
        ) : (
          <>
            {mode === 'Side by side' && !isNew ? (
              <DiffView names={['Stored', 'Draft']} before={stored} after={draft.text} />
            ) : (
              <YamlEditor
                key={`${object}@${draft.held?.resourceVersion}@${draft.generation}`}
                initial={draft.text}
                original={stored}
                diff={mode === 'Inline diff' && !isNew}
                problems={draft.check?.problems ?? []}
                ref={editor}
                onChange={draft.edit}
                onApply={() => void apply()}
                onCheck={draft.recheck}
              />
            )}
            <ProblemsPanel
              problems={draft.check?.problems ?? []}
              checkedMs={draft.check?.checkedMs}
              onGo={(p) => editor.current?.goTo(p)}
              onFix={(p) => editor.current?.fix(p)}
            />
          </>
        )}
      </section>
      <aside className="ef" aria-label="Effect preview">
        <div className="efh">
          <h2>Effect preview</h2>
          <span className="muted">against now</span>
        </div>
        <div className="efb">
          {draft.check === undefined || draft.text === undefined ? (
            <State>Nothing to check.</State>
          ) : (
            <EffectPanel check={draft.check} totalProxies={proxies} />
          )}
        </div>
        <div className="ea">
          <button type="button" className="btn" disabled={!draft.dirty} onClick={draft.discard}>
            Discard
          </button>
          <button type="button" className="btn" disabled={draft.text === undefined} title={`Check again (${MOD}S)`} onClick={draft.recheck}>
            Dry run
          </button>
          <button
            type="button"
            className={`btn pri ${!changed || errors > 0 || draft.text === undefined ? 'off' : ''}`}
            data-testid="config-apply"
            disabled={!changed || errors > 0 || draft.text === undefined || draft.busy || !draft.checkedNow}
            onClick={() => void apply()}
          >
            {errors > 0 ? `Fix ${errors} ${errors === 1 ? 'error' : 'errors'} to apply` : draft.busy ? 'Applying…' : `Apply ${MOD}↵`}
          </button>
        </div>
      </aside>
    </div>
  );
}

/** Before an object is chosen: what is wrong with all of them. */
function Start(): ReactElement {
  const inNamespace = useInNamespace();
  const problems = useProblems();
  const wrong = problems.data?.items.filter((p) => inNamespace(p.ref?.namespace));
  return (
    <div className="cst">
      <p className="muted">Choose an object on the left, or make a new one with +.</p>
      <div className="h">Problems of all objects</div>
      {wrong === undefined ? (
        <State error={problems.error} />
      ) : wrong.length === 0 ? (
        <State>None. Every object is valid, and every proxy took it.</State>
      ) : (
        <ProblemList problems={wrong} />
      )}
    </div>
  );
}

/** Why the server refused; on a conflict both texts, to choose from. */
function Refusal({ draft, onForce }: { draft: ReturnType<typeof useDraft>; onForce(): void }): ReactElement | null {
  const { failure } = draft;
  if (failure === undefined) return null;
  const theirs = failure.status === 409 ? failure.current?.yaml : undefined;
  return (
    <div role="alert" className="refused">
      <div className="note err">
        <span style={{ flex: 1 }}>
          <b>{failure.message}</b> {failure.fix}
        </span>
        {failure.status === 409 && (
          <>
            <button type="button" className="btn sm" onClick={draft.discard}>
              Take theirs
            </button>
            <button type="button" className="btn sm" onClick={onForce}>
              Apply mine
            </button>
          </>
        )}
      </div>
      {theirs !== undefined && <DiffView names={['Theirs, as stored now', 'Mine']} before={theirs} after={draft.text ?? ''} />}
    </div>
  );
}

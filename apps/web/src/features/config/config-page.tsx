import { configApplySchema, configCheckSchema, configObjectSchema } from '@weft/mesh-core/api';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { type ReactElement, useEffect, useState } from 'react';
import { ApiFailure, request } from '../../data/client.ts';
import { useConfigList, useRevisions } from '../../data/hooks.ts';
import { useSettings } from '../../data/settings.ts';
import { State } from '../../ui/state.tsx';
import { YamlEditor } from './yaml-editor.tsx';

/** Objects of the mesh as YAML: checked while typed, with the effect before it is applied. */
export function ConfigPage(): ReactElement {
  const { object } = useSearch({ from: '/config' });
  const navigate = useNavigate({ from: '/config' });
  const queries = useQueryClient();
  const { namespace, toast } = useSettings();
  const list = useConfigList();
  const revisions = useRevisions().data?.items ?? [];
  const held = useQuery({
    queryKey: ['object', object],
    enabled: object !== undefined,
    queryFn: () => request(configObjectSchema, `/config/${object}`),
    staleTime: Infinity,
  });
  const [draft, setDraft] = useState<{ object: string | undefined; text: string | undefined }>();
  // A draft belongs to the object it was begun on.
  const text = draft?.object === object ? draft?.text : undefined;
  const setText = (next: string | undefined): void => setDraft({ object, text: next });
  const [checked, setChecked] = useState<string>();
  const [failure, setFailure] = useState<ApiFailure>();
  const shown = text ?? held.data?.yaml;
  useEffect(() => {
    const wait = setTimeout(() => setChecked(shown), 250);
    return () => clearTimeout(wait);
  }, [shown]);
  const check = useQuery({
    queryKey: ['check', checked],
    enabled: checked !== undefined,
    queryFn: () => request(configCheckSchema, '/config/check', { method: 'POST', body: { yaml: checked } }),
  });
  const problems = check.data?.problems ?? [];
  const apply = async (force = false): Promise<void> => {
    if (shown === undefined || held.data === undefined) return;
    try {
      const done = await request(configApplySchema, '/config/apply', {
        method: 'POST',
        body: { yaml: shown, resourceVersions: force || object === undefined ? {} : { [object]: held.data.resourceVersion } },
      });
      setFailure(undefined);
      setText(undefined);

      toast({ text: `Applied as revision ${done.revision}`, action: { label: 'Undo', run: () => void undo(done.revision) } });
      await queries.invalidateQueries();
    } catch (error) {
      if (error instanceof ApiFailure) setFailure(error);
    }
  };
  const undo = async (revision: string): Promise<void> => {
    try {
      await request(configApplySchema, `/revisions/${revision}/undo`, { method: 'POST', body: {} });
      await queries.invalidateQueries();
    } catch (error) {
      toast({ text: error instanceof Error ? error.message : String(error) });
    }
  };
  const items = list.data?.items.filter((i) => namespace === '' || i.ref.namespace === namespace) ?? [];
  return (
    <div className="cf">
      <nav aria-label="Objects">
        {list.data === undefined ? (
          <State error={list.error} />
        ) : (
          [...new Set(items.map((i) => i.ref.kind))].sort().map((kind) => (
            <div key={kind}>
              <h6>{kind}</h6>
              {items
                .filter((i) => i.ref.kind === kind)
                .map((i) => {
                  const id = `${i.ref.kind}/${i.ref.namespace}/${i.ref.name}`;
                  return (
                    <button type="button" key={id} className={`ti ${id === object ? 'on' : ''}`} onClick={() => void navigate({ search: { object: id } })}>
                      <span style={{ flex: 1 }}>{i.ref.name}</span>
                      {i.errors > 0 && <span className="chip err">{i.errors}</span>}
                      {i.warnings > 0 && <span className="chip warn">{i.warnings}</span>}
                    </button>
                  );
                })}
            </div>
          ))
        )}
      </nav>
      <section className="ed" aria-label="Editor">
        <div className="edbar">
          <b>{object ?? 'No object chosen'}</b>
          <span style={{ flex: 1 }} />
          <button
            type="button"
            className="btn sm"
            disabled={text === undefined}
            onClick={() => {
              setText(undefined);
              void queries.resetQueries({ queryKey: ['object', object] });
            }}
          >
            Discard
          </button>
          <button
            type="button"
            className="btn sm pri"
            data-testid="config-apply"
            disabled={text === undefined || problems.some((p) => p.severity === 'error')}
            onClick={() => void apply()}
          >
            Apply ⌘↵
          </button>
        </div>
        {failure && (
          <div className="note" role="alert">
            <span>
              <b>{failure.message}</b> {failure.fix}
            </span>
            {failure.status === 409 && (
              <>
                <details>
                  <summary>Theirs</summary>
                  <pre className="mono">{failure.current?.yaml}</pre>
                </details>
                <button type="button" className="btn sm" onClick={() => void apply(true)}>
                  Apply mine
                </button>
              </>
            )}
          </div>
        )}
        {object === undefined ? (
          <State>Choose an object on the left.</State>
        ) : held.data === undefined ? (
          <State error={held.error} />
        ) : (
          <YamlEditor
            key={`${object}@${held.data.resourceVersion}`}
            initial={held.data.yaml}
            problems={problems}
            onChange={setText}
            onApply={() => void apply()}
          />
        )}
        {problems.map((p, i) => (
          <div className="prob" key={i} data-testid="problem-row">
            <span className={`chip ${p.severity === 'error' ? 'err' : 'warn'}`}>{p.line ?? '–'}</span> {p.message}
          </div>
        ))}
      </section>
      <aside aria-label="Effect" style={{ padding: 16 }}>
        <div className="h">Effect</div>
        {check.data === undefined ? (
          <State error={check.error}>Nothing to check.</State>
        ) : (
          <>
            <p className="muted">
              {check.data.proxies.length} proxies would change · checked in {check.data.checkedMs.toFixed(0)} ms
            </p>
            {check.data.traffic.map((t) => (
              <div key={t.host}>
                <b>{t.host}</b>
                {t.destinations.map((d) => (
                  <div key={d.subset} className="num">
                    {d.subset}: {d.before} % → {d.after} %
                  </div>
                ))}
              </div>
            ))}
            {check.data.proxies.map((p) => (
              <div key={p.proxyId}>
                {p.workload} <span className="muted">{p.types.join(', ')}</span>
              </div>
            ))}
          </>
        )}
        <hr />
        <div className="h" style={{ marginTop: 12 }}>
          History
        </div>
        {revisions.map((r) => (
          <div key={r.revision} style={{ display: 'flex', gap: 8, padding: '4px 0' }}>
            <span className="muted num">{r.revision}</span>
            <span style={{ flex: 1 }}>{r.summary}</span>
            <button type="button" className="btn sm" onClick={() => void undo(r.revision)}>
              Undo
            </button>
          </div>
        ))}
      </aside>
    </div>
  );
}

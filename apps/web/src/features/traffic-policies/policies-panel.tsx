import { configCheckSchema, configObjectSchema } from '@weft/mesh-core/api';
import { refKey, refusesWrite } from '@weft/mesh-core/model';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { type ReactElement, type ReactNode, useDeferredValue, useState } from 'react';
import { useApply } from '../../data/apply.ts';
import { ApiFailure, request } from '../../data/client.ts';
import { useLiveSplit, useProxies, useService } from '../../data/hooks.ts';
import { State } from '../../ui/state.tsx';
import '../config/config.css';
import { DiffView } from '../config/diff-view.tsx';
import { EffectPanel } from '../config/effect-panel.tsx';
import { ProblemList } from '../config/problem-list.tsx';
import { type PolicyForm, readPolicies, writePolicies } from './policy-form.ts';
import { PolicyFields } from './policy-fields.tsx';
import './policies.css';

interface Held {
  yaml: string;
  resourceVersion: string;
  key: string;
}

/** Timeouts, retries, faults, mirrors, routes by header, pools and ejection of a service, as forms with a preview of what they write. */
export function PoliciesPanel({ namespace, name, children }: { namespace: string; name: string; children: ReactNode }): ReactElement {
  const { split, error } = useLiveSplit(namespace, name);
  const detail = useService(namespace, name);
  const own = detail.data?.objects.find(({ ref, role }) => role === 'policy' && ref.kind === 'DestinationRule')?.ref;
  const route = split?.virtualService;
  const virtualService = useObject(split === undefined ? undefined : route && refKey(route), split !== undefined);
  const destinationRule = useObject(own && refKey(own), detail.data !== undefined);
  const failed = virtualService.error ?? destinationRule.error ?? detail.error ?? error;
  if (split === undefined || virtualService.data === undefined || destinationRule.data === undefined)
    return (
      <>
        {children}
        <State error={failed} />
      </>
    );
  const version = `${virtualService.data?.resourceVersion}/${destinationRule.data?.resourceVersion}`;
  return (
    <Forms
      key={version}
      service={{ namespace, name }}
      subsets={split.destinations.map((d) => d.subset)}
      virtualService={virtualService.data ?? undefined}
      destinationRule={destinationRule.data ?? undefined}
    >
      {children}
    </Forms>
  );
}

/** The object as stored; null = there is none. */
function useObject(id: string | undefined, known: boolean) {
  return useQuery({
    queryKey: ['policy-object', id ?? 'none'],
    enabled: known,
    retry: false,
    refetchInterval: 5_000,
    queryFn: async ({ signal }): Promise<Held | null> => {
      if (id === undefined) return null;
      const { yaml, resourceVersion } = await request(configObjectSchema, `/config/${id}`, { signal });
      return { yaml, resourceVersion, key: id };
    },
  });
}

interface FormsProps {
  service: { namespace: string; name: string };
  subsets: readonly string[];
  virtualService: Held | undefined;
  destinationRule: Held | undefined;
  children: ReactNode;
}
/** One draft of the forms; another version of the objects begins another. */
function Forms({ service, subsets, virtualService, destinationRule, children }: FormsProps): ReactElement {
  const texts = { virtualService: virtualService?.yaml, destinationRule: destinationRule?.yaml };
  const before = readPolicies(texts);
  const [form, setForm] = useState(before);
  const [failure, setFailure] = useState<string>();
  const [busy, setBusy] = useState(false);
  const apply = useApply();
  const total = useProxies().data?.length ?? 0;
  const after = writePolicies(texts, before, form, service);
  const drafts = [
    { kind: 'VirtualService', held: virtualService, text: after.virtualService },
    { kind: 'DestinationRule', held: destinationRule, text: after.destinationRule },
  ].flatMap(({ kind, held, text }) =>
    text === undefined || text === held?.yaml ? [] : [{ kind, held, text, key: held?.key ?? refKey({ kind, ...service }) }],
  );
  const yaml = useDeferredValue(drafts.map((d) => d.text).join('---\n'));
  const check = useQuery({
    queryKey: ['check', yaml],
    enabled: yaml !== '',
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => request(configCheckSchema, '/config/check', { method: 'POST', body: { yaml }, signal }),
  });
  const problems = check.data?.problems ?? [];
  const broken = problems.some(refusesWrite);
  const write = async (): Promise<void> => {
    setBusy(true);
    setFailure(undefined);
    try {
      await apply(drafts.map((d) => d.text).join('---\n'), Object.fromEntries(drafts.map((d) => [d.key, d.held?.resourceVersion ?? ''])));
    } catch (error) {
      setFailure(error instanceof ApiFailure ? `${error.message}${error.fix === undefined ? '' : ` ${error.fix}`}` : String(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="pol">
      {children}
      <form
        aria-label="Traffic policies"
        onSubmit={(event) => {
          event.preventDefault();
          if (drafts.length > 0 && !broken) void write();
        }}
      >
        <PolicyFields form={form} subsets={subsets} onChange={(change: Partial<PolicyForm>) => setForm((held) => ({ ...held, ...change }))} />
        {failure !== undefined && (
          <div className="note err" role="alert">
            {failure}
          </div>
        )}
        <div className="act">
          <button type="button" className="btn" disabled={drafts.length === 0} onClick={() => setForm(before)}>
            Discard
          </button>
          <button
            type="submit"
            className={`btn pri ${drafts.length === 0 || broken ? 'off' : ''}`}
            data-testid="policies-apply"
            disabled={drafts.length === 0 || broken || busy}
          >
            {busy ? 'Applying…' : broken ? 'Fix the errors to apply' : 'Apply'}
          </button>
        </div>
      </form>
      <section className="card cf prv" aria-label="Preview">
        <div className="h">What this writes</div>
        {drafts.length === 0 ? (
          <State>Change something: the difference, and what it does to proxies, appears here.</State>
        ) : (
          <>
            {problems.length > 0 && <ProblemList problems={problems} />}
            {drafts.map((d) => (
              <DiffView key={d.key} names={[d.held === undefined ? 'not there yet' : `${d.key}, stored`, 'then']} before={d.held?.yaml ?? ''} after={d.text} />
            ))}
            {check.data !== undefined && (
              <div className="efb">
                <EffectPanel check={check.data} totalProxies={total} />
              </div>
            )}
          </>
        )}
      </section>
    </div>
  );
}

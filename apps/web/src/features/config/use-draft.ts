import { type ConfigCheck, type ConfigObject, configCheckSchema, configObjectSchema } from '@weft/mesh-core/api';
import { findKind, refKey } from '@weft/mesh-core/model';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { useApply, useUndo } from '../../data/apply.ts';
import { ApiFailure, request } from '../../data/client.ts';
import { useConfigList } from '../../data/hooks.ts';
import { useSettings } from '../../data/settings.ts';
import { deleteObject } from './delete-object.ts';

export interface Draft {
  held: ConfigObject | undefined;
  error: Error | null;
  /** The draft, else what is stored; undefined while loading. */
  text: string | undefined;
  dirty: boolean;
  check: ConfigCheck | undefined;
  /** The check is of the text as it is now. */
  checkedNow: boolean;
  failure: ApiFailure | undefined;
  busy: boolean;
  /** Ids of objects with a draft. */
  drafts: ReadonlySet<string>;
  /** Changes whenever the text is replaced by something else than typing. */
  generation: number;
  /** Replaces the text. */
  begin(text: string): void;
  edit(text: string): void;
  discard(): void;
  recheck(): void;
  /** `force` writes over what somebody else wrote meanwhile. Answers the id of the (first) object written, if it was. */
  apply(force?: boolean): Promise<string | undefined>;
  undo(revision: string): Promise<void>;
  remove(): Promise<boolean>;
}

/** Drafts of configuration objects, kept per object while the page is open: checked while typed, applied whole, conflicts kept for a decision. */
export function useDraft(object: string | undefined): Draft {
  const queries = useQueryClient();
  const toast = useSettings((s) => s.toast);
  const isNew = object?.startsWith('new/') === true;
  const held = useQuery({
    queryKey: ['object', object],
    enabled: object !== undefined && !isNew,
    queryFn: () => request(configObjectSchema, `/config/${object}`),
    staleTime: Infinity,
    retry: false,
  });
  // Without a draft the editor follows what others write; a draft stays, and is refused as a conflict when it is applied.
  const list = useConfigList();
  const listed = list.data?.items.find(({ ref }) => refKey(ref) === object)?.resourceVersion;
  // Versions do not tell which is later: a list asked for before the object was says nothing about it.
  const behind =
    held.data !== undefined && !held.isFetching && listed !== undefined && listed !== held.data.resourceVersion && list.dataUpdatedAt > held.dataUpdatedAt;
  const [texts, setTexts] = useState<Readonly<Record<string, string>>>({});
  const [failure, setFailure] = useState<{ object: string; error: ApiFailure }>();
  const [busy, setBusy] = useState(false);
  const [generation, setGeneration] = useState(0);
  const [settled, setSettled] = useState<string>();
  const key = object ?? '';
  const draft = texts[key];
  const text = draft ?? held.data?.yaml;
  useEffect(() => {
    if (behind && draft === undefined) void queries.invalidateQueries({ queryKey: ['object', object] });
  }, [behind, draft, object, queries]);
  useEffect(() => {
    const wait = setTimeout(() => setSettled(text), 250);
    return () => clearTimeout(wait);
  }, [text]);
  const check = useQuery({
    queryKey: ['check', settled],
    enabled: settled !== undefined,
    queryFn: () => request(configCheckSchema, '/config/check', { method: 'POST', body: { yaml: settled } }),
  });
  const edit = (next: string): void => setTexts((all) => ({ ...all, [key]: next }));
  const drop = (): void => {
    setTexts(({ [key]: _dropped, ...rest }) => rest);
    setGeneration((n) => n + 1);
  };
  const applyText = useApply();
  const undo = useUndo();
  return {
    held: isNew ? undefined : held.data,
    error: held.error,
    text,
    dirty: draft !== undefined && draft !== held.data?.yaml,
    check: check.data,
    checkedNow: settled === text && !check.isFetching,
    failure: failure?.object === key ? failure.error : undefined,
    busy,
    drafts: new Set(Object.keys(texts)),
    generation,
    edit,
    begin: (next) => {
      edit(next);
      setGeneration((n) => n + 1);
    },
    discard: () => {
      drop();
      setFailure(undefined);
      void queries.resetQueries({ queryKey: ['object', object] });
    },
    recheck: () => {
      setSettled(text);
      void queries.invalidateQueries({ queryKey: ['check'] });
    },
    async apply(force = false) {
      if (text === undefined || object === undefined) return undefined;
      setBusy(true);
      try {
        const resourceVersions = force || held.data === undefined ? {} : { [object]: held.data.resourceVersion };
        const done = await applyText(text, resourceVersions);
        setFailure(undefined);
        drop();
        const ref = done.applied[0]?.ref;
        return ref === undefined ? object : refKey(ref);
      } catch (error) {
        if (error instanceof ApiFailure) setFailure({ object: key, error });
        return undefined;
      } finally {
        setBusy(false);
      }
    },
    undo,
    async remove() {
      if (held.data === undefined) return false;
      const { ref, resourceVersion } = held.data;
      try {
        const kind = findKind(ref.kind);
        if (kind === undefined) return false;
        // A namespace takes what is in it along: that is not for one click.
        const taken = kind.kind === 'Namespace' ? await deleteObject(kind, ref, resourceVersion, true) : undefined;
        if (taken !== undefined && !confirm(`Delete ${ref.kind} ${ref.name}? ${taken}.`)) return false;
        await deleteObject(kind, ref, resourceVersion);
        drop();
        toast({ text: `${ref.kind} ${ref.name} is deleted${taken === undefined ? '' : ', with what was in it'}. History has it back.` });
        await queries.invalidateQueries();
        return true;
      } catch (error) {
        toast({ text: error instanceof Error ? error.message : String(error) });
        return false;
      }
    },
  };
}

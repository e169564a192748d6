// Writes of configuration from forms: all of a text or nothing, told with a way back.

import { configApplySchema } from '@weft/mesh-core/api';
import { useQueryClient } from '@tanstack/react-query';
import { request } from './client.ts';
import { useSettings } from './settings.ts';

/** Takes a revision back; what came of it is told as a toast. */
export function useUndo(): (revision: string) => Promise<void> {
  const queries = useQueryClient();
  const toast = useSettings((s) => s.toast);
  return async (revision) => {
    try {
      await request(configApplySchema, `/revisions/${revision}/undo`, { method: 'POST', body: {} });
      await queries.invalidateQueries();
      toast({ text: `Revision ${revision} is undone` });
    } catch (error) {
      toast({ text: error instanceof Error ? error.message : String(error) });
    }
  };
}

/** Applies a text against the versions it was made from (a missing one = unchecked). Throws {@link ApiFailure}. */
export function useApply(): (yaml: string, resourceVersions: Readonly<Record<string, string>>) => Promise<ReturnType<typeof configApplySchema.parse>> {
  const queries = useQueryClient();
  const toast = useSettings((s) => s.toast);
  const undo = useUndo();
  return async (yaml, resourceVersions) => {
    const done = await request(configApplySchema, '/config/apply', { method: 'POST', body: { yaml, resourceVersions } });
    toast({ text: `Applied as revision ${done.revision}`, action: { label: 'Undo', run: () => void undo(done.revision) } });
    await queries.invalidateQueries();
    return done;
  };
}

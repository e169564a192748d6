// The config store as the API sees it: values of Secrets go in and never come out.

import { REDACTED, type SecretSpec } from '@weft/mesh-core/config';
import { type MeshObject, refOf } from '@weft/mesh-core/model';
import type { Commit, ConfigStore, StoredObject, WriteOp } from '../config-store/config-store.ts';
import { RefusedError } from './errors.ts';

/** Reads show `[redacted]` for each value; a write that carries it keeps the value there is. */
export function withoutSecretValues(store: ConfigStore): ConfigStore {
  const { sourceAt } = store;
  const shown = (commit: Commit): Commit => ({
    ...commit,
    changes: commit.changes.map((change) => ({
      ...change,
      ...(change.before === undefined ? {} : { before: hide(change.before) }),
      ...(change.after === undefined ? {} : { after: hide(change.after) }),
    })),
  });
  return {
    get: (ref) => {
      const object = store.get(ref);
      return object === undefined ? undefined : hide(object);
    },
    sourceYaml: (ref) => (ref.kind === 'Secret' ? undefined : store.sourceYaml(ref)),
    ...(sourceAt === undefined ? {} : { sourceAt: (ref, version) => (ref.kind === 'Secret' ? undefined : sourceAt.call(store, ref, version)) }),
    list: (filter) => {
      const { items, revision } = store.list(filter);
      let hiddenItems = hiddenLists.get(items);
      if (hiddenItems === undefined) hiddenLists.set(items, (hiddenItems = items.map(hide)));
      return { items: hiddenItems, revision };
    },
    write: async (ops, context) =>
      shown(
        await store.write(
          ops.map((op) => reveal(op, store)),
          context,
        ),
      ),
    watch: (from, onEvent) => store.watch(from, (event) => onEvent(event.type === 'commit' ? { type: 'commit', commit: shown(event.commit) } : event)),
    history: async (options) => (await store.history(options)).map(shown),
    close: () => store.close(),
  };
}

const hidden = new WeakMap<object, unknown>();
/** A list that is the same stays so. */
const hiddenLists = new WeakMap<readonly StoredObject[], readonly StoredObject[]>();

function hide<T extends MeshObject>(object: T): T {
  if (object.kind !== 'Secret') return object;
  const known = hidden.get(object) as T | undefined;
  if (known !== undefined) return known;
  const spec = object.spec as SecretSpec;
  // kubectl apply keeps the whole object, values and all, in an annotation.
  const { [LAST_APPLIED]: applied, ...annotations } = object.metadata.annotations ?? {};
  const metadata = applied === undefined ? object.metadata : { ...object.metadata, annotations: { ...annotations, [LAST_APPLIED]: withoutValues(applied) } };
  const result = { ...object, metadata, spec: { ...spec, data: Object.fromEntries(Object.keys(spec.data).map((key) => [key, REDACTED])) } };
  hidden.set(object, result);
  return result;
}

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** The annotation without `data`: kubectl then finds all of them changed and sends them anew. */
function withoutValues(applied: string): string {
  try {
    const { data: _, stringData: __, ...rest } = JSON.parse(applied) as Record<string, unknown>;
    return JSON.stringify(rest);
  } catch {
    return '{}';
  }
}

/** Puts the values back that the writer was not shown; the text of a Secret is not kept. */
function reveal(op: WriteOp, store: ConfigStore): WriteOp {
  if (op.op === 'delete' || op.object.kind !== 'Secret') return op;
  const { sourceYaml: _, ...rest } = op;
  const spec = op.object.spec as SecretSpec;
  const before = (store.get(refOf(op.object))?.spec as SecretSpec | undefined)?.data ?? {};
  const data = Object.entries(spec.data).map(([key, value]): [string, string] => {
    if (value !== REDACTED) return [key, value];
    const kept = before[key];
    if (kept === undefined) throw new RefusedError(422, 'WEFT_SECRET_VALUE', `Secret ${op.object.metadata.name} has no ${key} yet: give its value`);
    return [key, kept];
  });
  return { ...rest, object: { ...op.object, spec: { ...spec, data: Object.fromEntries(data) } } };
}

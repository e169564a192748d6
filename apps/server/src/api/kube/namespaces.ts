// Namespaces as Kubernetes' clients know them: those that have an object, and those that are there because something is in
// them. One that is deleted takes what is in it along, as in Kubernetes; here in one revision, so that all goes or nothing.

import { NAMESPACE_NAME_LABEL, namespaceLabels, namespaceOf, refOf } from '@weft/mesh-core/model';
import type { Change, Commit, ConfigStore, StoredObject, WriteOp } from '../../config-store/config-store.ts';
import { NotFoundError } from '../../config-store/errors.ts';
import { RefusedError } from '../errors.ts';

/** What is known of one namespace. */
interface Place {
  object: StoredObject | undefined;
  /** How many objects are in it. */
  count: number;
  /** When the first of them was made. */
  since: string;
}

/** Objects that go while a deletion is on its way make it start anew, so often at most. */
const ATTEMPTS = 5;

/** The store with every namespace as an object of kind Namespace. */
export function withNamespaces(store: ConfigStore): ConfigStore {
  return {
    ...store,
    get: (ref) => {
      if (ref.kind !== 'Namespace') return store.get(ref);
      const place = places(store.list().items).get(ref.name);
      return place === undefined ? undefined : shown(ref.name, place);
    },
    list: (filter = {}) => {
      if (filter.kind !== 'Namespace') return store.list(filter);
      const { items, revision } = store.list();
      const named = [...places(items)].toSorted(([a], [b]) => (a < b ? -1 : 1));
      return { items: named.flatMap(([name, place]) => shown(name, place) ?? []), revision };
    },
    write: async (ops, context) => {
      for (let attempt = 1; ; attempt += 1)
        try {
          return asNamespaces(
            await store.write(
              ops.flatMap((op) => stepsOf(op, store)),
              context,
            ),
          );
        } catch (error) {
          if (!(error instanceof NotFoundError) || error.ref.kind === 'Namespace' || attempt === ATTEMPTS) throw error;
        }
    },
    watch: (from, onEvent) => watchNamespaces(store, from, onEvent),
  };
}

function places(items: readonly StoredObject[]): Map<string, Place> {
  const found = new Map<string, Place>();
  for (const object of items) add(found, { ref: refOf(object), verb: 'create', after: object });
  return found;
}

/** As it is after a change. */
function add(known: Map<string, Place>, { ref, before, after }: Change): void {
  const name = namespaceOf(ref);
  if (name === undefined) return;
  const place = known.get(name) ?? { object: undefined, count: 0, since: '' };
  known.set(name, place);
  if (ref.kind === 'Namespace') place.object = after;
  else {
    const at = after?.metadata.creationTimestamp ?? '';
    if (at !== '' && (place.count === 0 || at < place.since)) place.since = at;
    place.count += (after === undefined ? 0 : 1) - (before === undefined ? 0 : 1);
  }
}

function shown(name: string, { object, count, since }: Place): StoredObject | undefined {
  if (object === undefined && count === 0) return undefined;
  const status = { phase: 'Active' };
  if (object !== undefined) return { ...object, metadata: { ...object.metadata, labels: namespaceLabels(name, object) }, status };
  // Without a version: who writes it makes it.
  const metadata = { name, namespace: '', uid: '', resourceVersion: '', generation: 1, creationTimestamp: since, labels: namespaceLabels(name) };
  return { apiVersion: 'v1', kind: 'Namespace', metadata, spec: {}, status };
}

function asNamespaces(commit: Commit): Commit {
  const of = (object: StoredObject): StoredObject => shown(object.metadata.name, { object, count: 0, since: '' }) ?? object;
  return {
    ...commit,
    changes: commit.changes.map((change) => {
      if (change.ref.kind !== 'Namespace') return change;
      const { before, after } = change;
      return { ...change, ...(before === undefined ? {} : { before: of(before) }), ...(after === undefined ? {} : { after: of(after) }) };
    }),
  };
}

/** A deletion with that of everything in the namespace; the label that all have is not kept. */
function stepsOf(op: WriteOp, store: ConfigStore): WriteOp[] {
  if (op.op === 'put') {
    const { [NAMESPACE_NAME_LABEL]: name, ...labels } = op.object.metadata.labels ?? {};
    if (name === undefined) return [op];
    return [{ ...op, object: { ...op.object, metadata: { ...op.object.metadata, labels } } }];
  }
  const { name } = op.ref;
  if (name === 'default')
    throw new RefusedError(
      403,
      'WEFT_FORBIDDEN',
      'namespaces "default" is forbidden: this namespace may not be deleted; delete what is in it by kind and name',
    );
  const inside = store
    .list()
    .items.map(refOf)
    .filter((ref) => ref.kind !== 'Namespace' && namespaceOf(ref) === name);
  const own: WriteOp[] = store.get(op.ref) === undefined ? [] : [op];
  return [...own, ...inside.map((ref): WriteOp => ({ op: 'delete', ref }))];
}

/** Commits as changes of namespaces: one comes with the first object in it, and goes with the last. */
function watchNamespaces(store: ConfigStore, from: string, onEvent: Parameters<ConfigStore['watch']>[1]): () => void {
  const missed: Commit[] = [];
  let known: Map<string, Place> | undefined;
  const tell = (commit: Commit): void => {
    const told = known ?? new Map<string, Place>();
    const names = [...new Set(commit.changes.flatMap(({ ref }) => namespaceOf(ref) ?? []))];
    const now = (name: string): StoredObject | undefined => {
      const place = told.get(name);
      return place === undefined ? undefined : shown(name, place);
    };
    const was = new Map(names.map((name) => [name, now(name)]));
    for (const change of commit.changes) add(told, change);
    const written = new Set(commit.changes.filter((c) => c.ref.kind === 'Namespace').map((c) => c.ref.name));
    const changes = names.flatMap((name) => changeOf(name, was.get(name), now(name), written.has(name)));
    if (changes.length > 0) onEvent({ type: 'commit', commit: { ...commit, changes } });
  };
  const stop = store.watch(from, (event) => {
    if (event.type === 'expired') onEvent(event);
    else if (known === undefined) missed.push(event.commit);
    else tell(event.commit);
  });
  // What was missed has been handed over by now: what there is, without it, is what the client knows.
  known = places(store.list().items);
  for (const commit of missed.toReversed())
    for (const { ref, before, after } of commit.changes.toReversed())
      add(known, { ref, verb: 'update', ...(after === undefined ? {} : { before: after }), ...(before === undefined ? {} : { after: before }) });
  for (const commit of missed) tell(commit);
  return stop;
}

function changeOf(name: string, before: StoredObject | undefined, after: StoredObject | undefined, written: boolean): Change[] {
  if ((before === undefined) === (after === undefined) && !written) return [];
  const verb = before === undefined ? 'create' : after === undefined ? 'delete' : 'update';
  const ref = { kind: 'Namespace', namespace: '', name };
  return [{ ref, verb, ...(before === undefined ? {} : { before }), ...(after === undefined ? {} : { after }) }];
}

// ConfigStore on the journal: the whole state in memory, every commit on disk before it is answered.

import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { type MeshObject, type ObjectRef, refKey, refOf } from '@weft/mesh-core/model';
import { inTurns } from '../in-turns.ts';
import type { Change, Commit, ConfigStore, StoredObject, WatchEvent, WriteOp } from './config-store.ts';
import { ConflictError, NotFoundError } from './errors.ts';
import { openJournalFile } from './journal-file.ts';

interface Entry extends Commit {
  /** Texts as users wrote them, by refKey. */
  sources: Record<string, string>;
}

/** Commits kept in memory for history and watches; older ones stay on disk. */
const HISTORY = 1_000;

export interface JournalOptions {
  dir: string;
  /** Unix ms. */
  now: () => number;
  log: (message: string) => void;
}

export async function openJournalStore(options: JournalOptions): Promise<ConfigStore> {
  const objects = new Map<string, StoredObject>();
  const sources = new Map<string, string>();
  let commits: Entry[] = [];
  let sequence = 0;
  const watchers = new Set<(event: WatchEvent) => void>();

  /** Keys in order, and the objects in theirs, until they change: what asks for everything asks often. */
  let keys: string[] | undefined;
  let items: readonly StoredObject[] | undefined;
  const sorted = (): readonly StoredObject[] => {
    keys ??= [...objects.keys()].toSorted();
    items ??= keys.map((key) => objects.get(key)).filter((o) => o !== undefined);
    return items;
  };

  const apply = (entry: Entry): void => {
    items = undefined;
    if (entry.changes.some(({ verb }) => verb !== 'update')) keys = undefined;
    for (const change of entry.changes) {
      const key = refKey(change.ref);
      if (change.after === undefined) {
        objects.delete(key);
        sources.delete(key);
      } else {
        objects.set(key, change.after);
        const source = entry.sources[key];
        if (source === undefined) sources.delete(key);
        else sources.set(key, source);
      }
    }
    sequence = Number(entry.revision);
    commits.push(entry);
    if (commits.length > HISTORY * 2) commits = commits.slice(-HISTORY);
  };
  const journal = await openJournalFile(options.dir, apply, options.log);

  /** Commits are planned against what earlier ones will have made, so they run one after the other. */
  let writing: Promise<unknown> = Promise.resolve();
  const commit = async (ops: readonly WriteOp[], context: Parameters<ConfigStore['write']>[1]): Promise<Commit> => {
    const revision = String(sequence + 1);
    const at = options.now();
    const entry: Entry = {
      revision,
      at,
      actor: context.actor,
      ...(context.reason === undefined ? {} : { reason: context.reason }),
      changes: await inTurns(plan(objects, sources, ops, revision, at)),
      sources: {},
    };
    for (const op of ops) if (op.op === 'put' && op.sourceYaml !== undefined) entry.sources[refKey(refOf(op.object))] = op.sourceYaml;
    if (context.dryRun === true) return publicView(entry);
    if (entry.changes.length === 0) return { ...publicView(entry), revision: String(sequence) };
    await journal.append(entry);
    apply(entry);
    const event: WatchEvent = { type: 'commit', commit: publicView(entry) };
    for (const watcher of watchers) watcher(event);
    return publicView(entry);
  };

  return {
    get: (ref) => objects.get(refKey(ref)),
    sourceYaml: (ref) => sources.get(refKey(ref)),
    sourceAt: (ref, resourceVersion) => commits.find((c) => c.revision === resourceVersion)?.sources[refKey(ref)],
    list: (filter = {}) => ({
      items:
        filter.kind === undefined && filter.namespace === undefined
          ? sorted()
          : sorted().filter(
              (o) => (filter.kind === undefined || o.kind === filter.kind) && (filter.namespace === undefined || o.metadata.namespace === filter.namespace),
            ),
      revision: String(sequence),
    }),
    write: (ops, context) => {
      const result = writing.then(() => commit(ops, context));
      writing = result.catch(() => undefined);
      return result;
    },
    watch: (fromRevision, onEvent) => {
      const from = Number(fromRevision);
      const oldest = commits[0] === undefined ? sequence : Number(commits[0].revision) - 1;
      if (!Number.isInteger(from) || from < oldest || from > sequence) {
        onEvent({ type: 'expired' });
        return () => undefined;
      }
      for (const missed of commits.filter((c) => Number(c.revision) > from)) onEvent({ type: 'commit', commit: publicView(missed) });
      watchers.add(onEvent);
      return () => watchers.delete(onEvent);
    },
    history: ({ limit, before }) => {
      const until = before === undefined ? Infinity : Number(before);
      return Promise.resolve(
        commits
          .filter((c) => Number(c.revision) < until)
          .slice(-limit)
          .toReversed()
          .map(publicView),
      );
    },
    close: async () => {
      await writing;
      watchers.clear();
      await journal.close();
    },
  };
}

function publicView({ sources: _, ...commit }: Entry): Commit {
  return commit;
}

/** What the ops would change, in order; throws before anything is written. Piece by piece: there may be ten thousand. */
function* plan(
  objects: ReadonlyMap<string, StoredObject>,
  sources: ReadonlyMap<string, string>,
  ops: readonly WriteOp[],
  revision: string,
  at: number,
): Generator<void, Change[]> {
  const changes: Change[] = [];
  const pending = new Map<string, StoredObject | undefined>();
  for (const [i, op] of ops.entries()) {
    if (i % 100 === 99) yield;
    const ref: ObjectRef = op.op === 'put' ? refOf(op.object) : op.ref;
    const key = refKey(ref);
    const before = pending.has(key) ? pending.get(key) : objects.get(key);
    if (op.resourceVersion !== undefined && op.resourceVersion !== (before?.metadata.resourceVersion ?? ''))
      throw new ConflictError(ref, op.resourceVersion, before);
    if (op.op === 'delete') {
      if (before === undefined) throw new NotFoundError(ref);
      pending.set(key, undefined);
      changes.push({ ref, verb: 'delete', before });
      continue;
    }
    if (before !== undefined && sameContent(before, op.object) && (op.sourceYaml ?? sources.get(key)) === sources.get(key)) continue;
    const after = stored(op.object, before, revision, at);
    pending.set(key, after);
    changes.push({ ref, verb: before === undefined ? 'create' : 'update', ...(before === undefined ? {} : { before }), after });
  }
  return changes;
}

function sameContent(before: StoredObject, next: MeshObject): boolean {
  return (
    before.apiVersion === next.apiVersion &&
    isDeepStrictEqual(before.spec, next.spec) &&
    isDeepStrictEqual(before.metadata.labels ?? {}, next.metadata.labels ?? {}) &&
    isDeepStrictEqual(before.metadata.annotations ?? {}, next.metadata.annotations ?? {})
  );
}

function stored(object: MeshObject, before: StoredObject | undefined, revision: string, at: number): StoredObject {
  const { name, namespace, labels, annotations } = object.metadata;
  const specChanged = before !== undefined && !isDeepStrictEqual(before.spec, object.spec);
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    metadata: {
      name,
      namespace,
      uid: before?.metadata.uid ?? randomUUID(),
      resourceVersion: revision,
      generation: before === undefined ? 1 : before.metadata.generation + (specChanged ? 1 : 0),
      // Istio's precedence goes by age: a restored object keeps the one it had.
      creationTimestamp:
        before?.metadata.creationTimestamp ?? object.metadata.creationTimestamp ?? new Date(Math.floor(at / 1_000) * 1_000).toISOString().replace('.000Z', 'Z'),
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
    },
    spec: object.spec,
  };
}

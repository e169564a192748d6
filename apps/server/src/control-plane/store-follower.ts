// Follows the config store: a copy of all objects, and one call per settled burst of commits.

import { refKey } from '@weft/mesh-core/model';
import type { MeshObject } from '@weft/mesh-core/model';
import type { Commit, ConfigStore } from '../config-store/config-store.ts';

/** One edit must reach its ACK in under 30 ms, so the wait for a quiet moment is short; a burst ends after 100 ms. */
const QUIET_MS = 5;
const BURST_MS = 100;

export interface StoreFollower {
  /** By `refKey`. */
  objects(): ReadonlyMap<string, MeshObject>;
  /** Settles at once what is waiting, so that a proxy connecting now starts with the newest. */
  flush(): void;
  stop(): void;
}

/** Lists, watches, and calls `onSettled` with the commits since the last call. The first list is there on return. */
export function followStore(store: ConfigStore, onSettled: (commits: readonly Commit[], waitedMs: number) => void): StoreFollower {
  let objects = new Map<string, MeshObject>();
  let pending: Commit[] = [];
  let firstAt = 0;
  let timer: NodeJS.Timeout | undefined;
  let unwatch: () => void = () => undefined;
  let stopped = false;

  const settle = (): void => {
    timer = undefined;
    const commits = pending;
    pending = [];
    onSettled(commits, performance.now() - firstAt);
  };
  const wake = (): void => {
    // performance.now: the length of a burst must not depend on the wall clock being set.
    const now = performance.now();
    if (timer === undefined) firstAt = now;
    else clearTimeout(timer);
    timer = setTimeout(settle, Math.max(0, Math.min(QUIET_MS, firstAt + BURST_MS - now)));
  };
  const listAndWatch = (): void => {
    const { items, revision } = store.list();
    objects = new Map(items.map((object) => [refKey({ kind: object.kind, namespace: object.metadata.namespace, name: object.metadata.name }), object]));
    unwatch = store.watch(revision, (event) => {
      if (stopped) return;
      if (event.type === 'expired') {
        unwatch();
        listAndWatch();
      } else {
        for (const change of event.commit.changes) {
          if (change.verb === 'delete' || change.after === undefined) objects.delete(refKey(change.ref));
          else objects.set(refKey(change.ref), change.after);
        }
        pending.push(event.commit);
      }
      wake();
    });
  };
  listAndWatch();

  return {
    objects: () => objects,
    flush: () => {
      if (timer === undefined) return;
      clearTimeout(timer);
      settle();
    },
    stop: () => {
      stopped = true;
      clearTimeout(timer);
      unwatch();
    },
  };
}

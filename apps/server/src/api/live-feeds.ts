// What each topic of the live channel computes: once per distinct (topic, parameters), for all its subscribers.

import type { GraphDelta, GraphSnapshot, Propagation, ProxyStatus, Revision, Status, Subscribe } from '@weft/mesh-core/api';
import { isDeepStrictEqual } from 'node:util';
import { inTurns } from '../in-turns.ts';
import { every } from './every.ts';
import type { Queries } from './queries.ts';
import type { ReadyServices } from './services.ts';

/** `push(delta)` = a change on top of the last revision; `push(undefined)` = send everyone a whole snapshot. */
export interface Feed {
  /** Resolves once the first state is there; rejects when the topic cannot be served. Returns the stop function. */
  start(push: (delta: unknown) => void, fail: (error: unknown) => void): Promise<() => void>;
  snapshot(): unknown;
}

export function feedOf(services: ReadyServices, queries: Queries, subscribe: Subscribe): Feed {
  switch (subscribe.topic) {
    case 'graph':
      return graphFeed(services, subscribe);
    case 'split':
      return splitFeed(services, queries, subscribe.namespace, subscribe.service);
    case 'proxies':
      return proxiesFeed(services);
    case 'revisions':
      return revisionsFeed(services, queries);
    case 'status':
      return statusFeed(queries);
  }
}

/** Subscriptions with the same key share one feed. */
export function feedKey(subscribe: Subscribe): string {
  if (subscribe.topic === 'graph')
    return JSON.stringify(['graph', (subscribe.namespaces ?? []).toSorted(), subscribe.windowSec, subscribe.graphType, subscribe.includeIdle]);
  return subscribe.topic === 'split' ? JSON.stringify(['split', subscribe.namespace, subscribe.service]) : subscribe.topic;
}

function graphFeed({ telemetry }: ReadyServices, q: Extract<Subscribe, { topic: 'graph' }>): Feed {
  const compute = (): Promise<GraphSnapshot> =>
    telemetry.graph({ namespaces: q.namespaces ?? [], windowSec: q.windowSec, graphType: q.graphType, includeIdle: q.includeIdle });
  let current: GraphSnapshot | undefined;
  return {
    start: async (push, fail) => {
      let before = await compute();
      current = before;
      return every(async () => {
        const next = await compute();
        const delta = await graphDelta(before, next);
        [before, current] = [next, next];
        push(delta);
      }, fail);
    },
    snapshot: () => current,
  };
}

/** Changed rows only; undefined when boxes, nodes or edges are other ones. */
async function graphDelta(before: GraphSnapshot, next: GraphSnapshot): Promise<GraphDelta | undefined> {
  for (const part of ['boxes', 'nodes', 'edges'] as const) if (!(await inTurns(isSame(before[part], next[part])))) return undefined;
  const changed = (was: number[][], is: number[][]): number[][] => is.flatMap((row, i) => (row.every((v, j) => v === was[i]?.[j]) ? [] : [[i, ...row]]));
  return { at: next.at, nodeRows: changed(before.nodeRows, next.nodeRows), edgeRows: changed(before.edgeRows, next.edgeRows), notes: next.notes };
}

function* isSame(before: readonly unknown[], next: readonly unknown[]): Generator<void, boolean> {
  if (before.length !== next.length) return false;
  for (const [i, value] of next.entries()) {
    if (!isDeepStrictEqual(before[i], value)) return false;
    yield;
  }
  return true;
}

function splitFeed({ store, controlPlane }: ReadyServices, queries: Queries, namespace: string, service: string): Feed {
  let current: unknown;
  return {
    start: async (push, fail) => {
      current = await queries.split(namespace, service);
      let running = false;
      let again = false;
      const refresh = async (): Promise<void> => {
        again = running;
        if (running) return;
        running = true;
        do {
          again = false;
          current = await queries.split(namespace, service);
          push(undefined);
        } while (again);
      };
      const now = (): void => {
        refresh()
          .catch(fail)
          .finally(() => (running = false));
      };
      const stops = [every(now, fail), store.watch(store.list().revision, now), controlPlane.onChange((c) => (c.revisions.length > 0 ? now() : undefined))];
      return () => stops.forEach((stop) => stop());
    },
    snapshot: () => current,
  };
}

function proxiesFeed({ controlPlane }: ReadyServices): Feed {
  let known = new Set<string>();
  return {
    start: async (push) => {
      known = new Set(controlPlane.proxies().map((p) => p.id));
      return controlPlane.onChange(({ proxies }) => {
        const all = controlPlane.proxies();
        const ids = new Set(all.map((p) => p.id));
        const removed = [...known].filter((id) => !ids.has(id));
        const changed = all.filter((p) => proxies.includes(p.id) || !known.has(p.id));
        known = ids;
        if (changed.length > 0 || removed.length > 0) push({ changed, removed });
      });
    },
    snapshot: (): ProxyStatus[] => [...controlPlane.proxies()],
  };
}

/** How many revisions a client is shown at first. */
const RECENT = 50;

function revisionsFeed({ store, controlPlane }: ReadyServices, queries: Queries): Feed {
  let recent: Revision[] = [];
  return {
    start: async (push) => {
      const from = store.list().revision;
      const history = await store.history({ limit: RECENT });
      // What came meanwhile the watch tells. Revisions are opaque: the list is cut at its own.
      const at = history.findIndex((c) => c.revision === from);
      recent = at < 0 ? [] : history.slice(at).map((c) => queries.revision(c));
      const stopStore = store.watch(from, (event) => {
        if (event.type !== 'commit') return;
        const added = queries.revision(event.commit);
        recent = [added, ...recent].slice(0, RECENT);
        push({ added: [added], propagation: [] });
      });
      const stopPlane = controlPlane.onChange(({ revisions }) => {
        const propagation = revisions.map((r) => controlPlane.propagation(r)).filter((p): p is Propagation => p !== undefined);
        if (propagation.length > 0) push({ added: [], propagation });
      });
      return () => {
        stopStore();
        stopPlane();
      };
    },
    snapshot: () =>
      recent.map((r) => {
        const propagation = controlPlane.propagation(r.revision);
        return propagation === undefined ? r : { ...r, propagation };
      }),
  };
}

function statusFeed(queries: Queries): Feed {
  let current: Status | undefined;
  return {
    start: async (push, fail) => {
      current = await queries.status();
      return every(async () => {
        const next = await queries.status();
        if (isDeepStrictEqual(next, current)) return;
        current = next;
        push(undefined);
      }, fail);
    },
    snapshot: () => current,
  };
}

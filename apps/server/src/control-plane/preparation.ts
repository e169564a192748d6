// Works out what a large change takes piece by piece, between turns of the event loop: what it would else take at once, when the
// first proxy is told of it, keeps everything waiting for seconds.

import type { ProxyNode } from '@weft/mesh-core/model';
import { inTurns } from '../in-turns.ts';

export interface Preparation {
  /** Much has changed: what was prepared may not be so any more. */
  reset(): void;
  /** Resolves when what proxies like this one get is there; at once where it is. */
  of(node: ProxyNode): Promise<void>;
}

/** `steps` works for a proxy in the mesh there is now; of another mesh than that of `mesh()` what is left is not done. */
export function createPreparation(steps: (node: ProxyNode) => Iterator<void>, mesh: () => unknown): Preparation {
  const prepared = new Map<string, Promise<void>>();
  function* work(node: ProxyNode): Generator<void, void> {
    let from = mesh();
    let left = steps(node);
    while (left.next().done !== true) {
      yield;
      if (mesh() === from) continue;
      // What has been made is found again.
      from = mesh();
      left = steps(node);
    }
  }
  return {
    reset: () => prepared.clear(),
    of: (node) => {
      // What differs between proxies of these is little.
      const key = JSON.stringify([node.role, node.dataPlane, node.namespace]);
      let known = prepared.get(key);
      // What cannot be translated is told when a proxy is to get it.
      if (known === undefined) prepared.set(key, (known = inTurns(work(node)).catch(() => undefined)));
      return known;
    },
  };
}

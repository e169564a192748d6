// Tells listeners what moved, once per turn of the event loop however much moved.

import type { ControlPlane } from './control-plane.ts';

type Listener = Parameters<ControlPlane['onChange']>[0];

export interface ChangeFeed {
  report(proxy: string, revisions: readonly string[]): void;
  listen: ControlPlane['onChange'];
  close(): void;
}

export function createChangeFeed(): ChangeFeed {
  const listeners = new Set<Listener>();
  let proxies = new Set<string>();
  let revisions = new Set<string>();
  let scheduled = false;

  const flush = (): void => {
    scheduled = false;
    const change = { proxies: [...proxies], revisions: [...revisions] };
    proxies = new Set();
    revisions = new Set();
    for (const listener of listeners) listener(change);
  };
  return {
    report: (proxy, moved) => {
      proxies.add(proxy);
      for (const revision of moved) revisions.add(revision);
      if (scheduled) return;
      scheduled = true;
      setImmediate(flush);
    },
    listen: (listener) => {
      const own: Listener = (change) => listener(change);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    close: () => listeners.clear(),
  };
}

// Who is still to be told of the newest snapshot. Pushes are spread over turns of the event loop, so that a thousand of them
// hold up neither answers nor the next edit; who is waiting when that comes gets only the newest.

/** How long pushes keep a turn; when the other work of a turn takes longer, they take as long, up to the second figure. */
const SLICE_MS = 8;
const LONGEST_SLICE_MS = 250;

export interface PushQueue<C, R> {
  /** Puts `clients` in line because of `reasons`; one that is in line already keeps its place and gets these reasons too. */
  add(clients: Iterable<C>, reasons: readonly R[]): void;
  /** The client's buffers were full and are empty again. */
  drained(client: C): void;
  /** What it was in line for. */
  remove(client: C): readonly R[];
  /** Clients in line, those with full buffers included. */
  readonly size: number;
  /** Whether some could be told now. */
  readonly busy: boolean;
  /** Whether a client is in line because of such a reason. */
  holds(reason: (reason: R) => boolean): boolean;
}

interface Waiting<R> {
  reasons: readonly R[];
  since: number;
}

/** `push` tells one client; `congested` clients are left aside until {@link PushQueue.drained}. `waited` hears how long each was in line (ms). */
export function createPushQueue<C, R>(options: {
  push: (client: C, reasons: readonly R[]) => void;
  congested: (client: C) => boolean;
  waited: (ms: number) => void;
}): PushQueue<C, R> {
  const line = new Map<C, Waiting<R>>();
  const aside = new Map<C, Waiting<R>>();
  let scheduledAt: number | undefined;

  const work = (): void => {
    const now = performance.now();
    const end = now + Math.min(Math.max(SLICE_MS, now - (scheduledAt ?? now)), LONGEST_SLICE_MS);
    scheduledAt = undefined;
    for (const [client, entry] of line) {
      line.delete(client);
      if (options.congested(client)) {
        aside.set(client, entry);
        continue;
      }
      options.waited(performance.now() - entry.since);
      options.push(client, entry.reasons);
      if (performance.now() > end) break;
    }
    if (line.size > 0) schedule();
  };
  const schedule = (): void => {
    if (scheduledAt !== undefined) return;
    scheduledAt = performance.now();
    setImmediate(work);
  };
  return {
    add: (clients, reasons) => {
      // Who comes into line together shares an entry: there are a thousand with every edit.
      const fresh = { reasons, since: performance.now() };
      const longer = new Map<Waiting<R>, Waiting<R>>();
      for (const client of clients) {
        const queue = aside.has(client) ? aside : line;
        const before = queue.get(client);
        let entry = before === undefined ? fresh : longer.get(before);
        if (before !== undefined && entry === undefined) longer.set(before, (entry = { reasons: [...before.reasons, ...reasons], since: before.since }));
        queue.set(client, entry ?? fresh);
      }
      // A few proxies are told within this turn.
      if (scheduledAt === undefined) work();
    },
    drained: (client) => {
      const entry = aside.get(client);
      if (entry === undefined) return;
      aside.delete(client);
      line.set(client, entry);
      schedule();
    },
    remove: (client) => {
      const entry = line.get(client) ?? aside.get(client);
      line.delete(client);
      aside.delete(client);
      return entry?.reasons ?? [];
    },
    get size() {
      return line.size + aside.size;
    },
    get busy() {
      return line.size > 0;
    },
    holds: (reason) => [...line.values(), ...aside.values()].some((entry) => entry.reasons.some(reason)),
  };
}

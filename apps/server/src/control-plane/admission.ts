// How many new connections are brought into step at once. After a restart all proxies come back together; each costs a handshake, a
// check of its certificate, a key, a translation and its first responses, and an edit must not wait behind all of that.

import { availableParallelism } from 'node:os';

/** Istio's formula for concurrent pushes and new streams. */
const CONCURRENT_ADMISSIONS = Math.min(15 + 5 * availableParallelism(), 100);
/** While pushes wait; they take half of every turn then. With two, reconnects of a thousand starved under two edits a second. */
const FEW = 10;
/** A client that does not answer gives its place to the next after this long. */
const LONGEST_MS = 3_000;

export interface Admission {
  /** Resolves in order of calling when there is a place; the result gives it back (idempotent). */
  enter(): Promise<() => void>;
}

/** `busy`: whether something more urgent waits. */
export function createAdmission({ places = CONCURRENT_ADMISSIONS, busy = () => false }: { places?: number; busy?: () => boolean } = {}): Admission {
  let taken = 0;
  const waiting: (() => void)[] = [];
  const leave = (): void => {
    taken -= 1;
    // A turn of its own: between two admissions whatever else is due gets done.
    if (waiting.length > 0) setImmediate(fill);
  };
  const fill = (): void => {
    while (waiting.length > 0 && taken < (busy() ? FEW : places)) waiting.shift()?.();
  };
  const take = (): (() => void) => {
    taken += 1;
    let left = false;
    const once = (): void => {
      if (left) return;
      left = true;
      clearTimeout(timer);
      leave();
    };
    const timer = setTimeout(once, LONGEST_MS);
    timer.unref();
    return once;
  };
  return {
    enter: () =>
      new Promise((resolve) => {
        waiting.push(() => resolve(take()));
        fill();
      }),
  };
}

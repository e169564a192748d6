// How many new streams are brought into step at once. After a restart all proxies come back together; each costs a check of its
// certificate, a key, a translation and its first responses, and an edit must not wait behind all of that.

import { availableParallelism } from 'node:os';

/** Istio's formula for concurrent pushes and new streams. */
export const CONCURRENT_ADMISSIONS = Math.min(15 + 5 * availableParallelism(), 100);
/** A client that does not answer gives its place to the next after this long. */
const LONGEST_MS = 3_000;

export interface Admission {
  /** Resolves in order of calling when there is a place; the result gives it back (idempotent). */
  enter(): Promise<() => void>;
}

export function createAdmission(places = CONCURRENT_ADMISSIONS): Admission {
  let free = places;
  const waiting: (() => void)[] = [];
  const leave = (): void => {
    const next = waiting.shift();
    if (next === undefined) free += 1;
    // A turn of its own: between two admissions whatever else is due gets done.
    else setImmediate(next);
  };
  const take = (): (() => void) => {
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
    enter: () => {
      if (free > 0) {
        free -= 1;
        return Promise.resolve(take());
      }
      return new Promise((resolve) => waiting.push(() => resolve(take())));
    },
  };
}

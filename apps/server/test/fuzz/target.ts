// What is fuzzed, and how: cases one after another until the time is over, each from a seed of its own.

import type { Random } from './random.ts';

export interface Target {
  readonly name: string;
  /** Of one case, many times what it takes on a quiet machine: only what runs away gets there. */
  readonly limitMs?: number;
  /** Bytes as latin1, or text. */
  make(random: Random): string;
  /** Throws when the property does not hold. True = the input got past the first gate, so that the property was put to the test. */
  check(input: string): boolean | Promise<boolean>;
  close?(): void | Promise<void>;
}

/** In-process streams come to rest within a few turns of the event loop. */
export async function settle(done: () => boolean, turns = 200): Promise<boolean> {
  for (let turn = 0; turn < turns && !done(); turn++) await new Promise((resolve) => setImmediate(resolve));
  return done();
}

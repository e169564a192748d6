// Work that takes long, in turns of the event loop: everything else goes on meanwhile.

import { setImmediate } from 'node:timers/promises';

/** Work keeps a turn so long; a step that takes longer, as long as it does. */
const SLICE_MS = 8;

/** What the steps come to. */
export async function inTurns<T>(steps: Iterator<void, T>): Promise<T> {
  for (;;) {
    const end = performance.now() + SLICE_MS;
    do {
      const step = steps.next();
      if (step.done === true) return step.value;
    } while (performance.now() < end);
    await setImmediate();
  }
}

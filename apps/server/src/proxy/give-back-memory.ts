// What start-up and the first configuration leave behind is given back to the system: an idle process makes too little garbage for V8
// to do so by itself (docs/benchmarks-notes.md).

import { Session } from 'node:inspector';

/** Resolves when done. */
export function giveBackMemory(): Promise<void> {
  const session = new Session();
  session.connect();
  return new Promise((resolve) => {
    // V8's call for low memory, which also shrinks the young generation.
    session.post('HeapProfiler.collectGarbage', () =>
      // Not from within the call: V8 would wait for itself.
      setImmediate(() => {
        session.disconnect();
        resolve();
      }),
    );
  });
}

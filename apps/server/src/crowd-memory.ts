// Memory of the server process while a thousand proxies connect: a third less than it would grow to (docs/benchmarks.md).

import { setFlagsFromString } from 'node:v8';
import { giveBackMemory } from './proxy/give-back-memory.ts';

/**
 * While proxies come the old generation is collected at a quarter more than is in use, in place of about twice. What they leave is
 * half-empty pages, which a full collection closes up only when told to. V8 reads both flags anew at each collection.
 */
export async function crowdMemory(coming: boolean): Promise<void> {
  setFlagsFromString(`--heap-growing-percent=${coming ? 25 : 0}`);
  if (coming) return;
  setFlagsFromString('--compact-on-every-full-gc');
  await giveBackMemory();
  setFlagsFromString('--no-compact-on-every-full-gc');
}

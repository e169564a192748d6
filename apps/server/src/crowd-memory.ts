// Memory of the server process with a thousand proxies: when V8 is to collect garbage, and when it is told to (docs/benchmarks-notes.md).

import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { giveBackMemory } from './proxy/give-back-memory.ts';

/** By how much the heap grows between full collections: while a crowd connects, in a large process then, and else at most. V8's own are 10 % after memory was given back, then 200 and more. */
const CROWD_PERCENT = 25;
const LARGE_PERCENT = 20;
const MOST_PERCENT = 100;
/** By how much it has grown when it is collected after an edit; small heaps are collected quickly enough where V8 wants to. */
const WORTH_PERCENT = 30;
const WORTH_BYTES = 32e6;
/** What is asked at 1,000 proxies is 300 MB. Below this size nothing is done that costs time. */
const LARGE_BYTES = 270e6;
const LOOK_MS = 250;

/** What is done to the heap; V8's but in tests. */
export interface Heap {
  used(): number;
  /** One full collection. */
  collect(): void;
  /** Full collections until nothing more is found, the young generation small. */
  giveBack(): Promise<void>;
  growBy(percent: number): void;
  /** Of the process. */
  resident(): number;
  /** From now on each full collection of V8's own closes up half-empty pages and makes the young generation small, or no longer does. */
  spare(memory: boolean): void;
}

export interface CrowdMemory {
  /** Many proxies are coming, or no more are. */
  crowd(coming: boolean): Promise<void>;
  /** Every proxy has answered every edit: nobody waits for anything. */
  settled(): void;
}

/**
 * While proxies come the old generation is collected at a quarter more than is in use, a third less than it would grow to. In a large
 * process these collections also close up half-empty pages, a few megabytes at a time (all at once needs as much again as is in use),
 * and make the young generation small. Afterwards it is collected when an edit has been answered by all, before V8 does so in the
 * middle of one: to mark a hundred megabytes takes as long as the edit does. What edits have left goes before a crowd is let in.
 */
export function createCrowdMemory(heap: Heap = v8Heap()): CrowdMemory {
  let least = Number.POSITIVE_INFINITY;
  let coming = false;
  let looking: NodeJS.Timeout | undefined;
  const look = (): void => {
    const large = coming && heap.resident() > LARGE_BYTES;
    heap.spare(large);
    heap.growBy(large ? LARGE_PERCENT : coming ? CROWD_PERCENT : MOST_PERCENT);
  };
  return {
    crowd: async (now) => {
      const begins = now && !coming;
      coming = now;
      clearInterval(looking);
      look();
      // V8 reads its flags when it collects: what edits have left would lie there until the heap is as large as it may be between them.
      if (begins && heap.used() > least * (1 + CROWD_PERCENT / 100)) heap.collect();
      if (now) looking = setInterval(look, LOOK_MS).unref();
      else await heap.giveBack();
    },
    settled: () => {
      if (coming) return;
      const used = heap.used();
      least = Math.min(least, used);
      if (used < least + Math.max(WORTH_BYTES, (least * WORTH_PERCENT) / 100)) return;
      heap.spare(heap.resident() > LARGE_BYTES);
      heap.collect();
      heap.spare(false);
      least = heap.used();
    },
  };
}

function v8Heap(): Heap {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  return {
    used: () => getHeapStatistics().used_heap_size,
    collect,
    giveBack: giveBackMemory,
    // V8 reads these flags anew at each collection.
    growBy: (percent) => setFlagsFromString(`--heap-growing-percent=${percent}`),
    resident: () => process.memoryUsage.rss(),
    spare: (memory) => setFlagsFromString(memory ? '--optimize-for-size' : '--no-optimize-for-size'),
  };
}

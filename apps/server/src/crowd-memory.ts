// Memory of the server process with a thousand proxies: when V8 is to collect garbage, and when it is told to (docs/benchmarks.md).

import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { giveBackMemory } from './proxy/give-back-memory.ts';

/** By how much the heap grows between full collections: while a crowd connects, and else at most. V8's own are 10 % after memory was given back, then 200 and more. */
const CROWD_PERCENT = 25;
const MOST_PERCENT = 100;
/** By how much it has grown when it is collected after an edit; small heaps are collected quickly enough where V8 wants to. */
const WORTH_PERCENT = 50;
const WORTH_BYTES = 32e6;

/** What is done to the heap; V8's but in tests. */
export interface Heap {
  used(): number;
  /** One full collection. */
  collect(): void;
  /** Full collections until nothing more is found, half-empty pages closed up, the young generation small. */
  giveBack(): Promise<void>;
  growBy(percent: number): void;
}

export interface CrowdMemory {
  /** Many proxies are coming, or no more are. */
  crowd(coming: boolean): Promise<void>;
  /** Every proxy has answered every edit: nobody waits for anything. */
  settled(): void;
}

/**
 * While proxies come the old generation is collected at a quarter more than is in use, a third less than it would grow to. Afterwards
 * it is collected when an edit has been answered by all, before V8 does so in the middle of one: to mark a hundred megabytes
 * takes as long as the edit does.
 */
export function createCrowdMemory(heap: Heap = v8Heap()): CrowdMemory {
  let least = Number.POSITIVE_INFINITY;
  let coming = false;
  return {
    crowd: async (now) => {
      coming = now;
      heap.growBy(now ? CROWD_PERCENT : MOST_PERCENT);
      if (!now) await heap.giveBack();
    },
    settled: () => {
      if (coming) return;
      const used = heap.used();
      least = Math.min(least, used);
      if (used < least + Math.max(WORTH_BYTES, (least * WORTH_PERCENT) / 100)) return;
      heap.collect();
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
    giveBack: async () => {
      // V8 reads flags anew at each collection.
      setFlagsFromString('--compact-on-every-full-gc');
      await giveBackMemory();
      setFlagsFromString('--no-compact-on-every-full-gc');
    },
    growBy: (percent) => setFlagsFromString(`--heap-growing-percent=${percent}`),
  };
}

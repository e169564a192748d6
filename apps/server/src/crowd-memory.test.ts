import { getHeapStatistics } from 'node:v8';
import { afterEach, expect, test, vi } from 'vitest';
import { createCrowdMemory } from './crowd-memory.ts';
import type { Heap } from './crowd-memory.ts';

const MB = 1e6;

afterEach(() => void vi.useRealTimers());

/** A heap of which `live` megabytes are in use and the rest is garbage, in a process of `resident` megabytes. */
function heapOf(live: number) {
  const done: string[] = [];
  const state = { live, garbage: 0, resident: 100, percent: 0, spare: false };
  const collect = (what: string): void => {
    done.push(what);
    state.garbage = 0;
  };
  const heap: Heap = {
    used: () => (state.live + state.garbage) * MB,
    collect: () => collect('collect'),
    giveBack: async () => collect('give back'),
    growBy: (percent) => void (state.percent = percent),
    resident: () => state.resident * MB,
    spare: (memory) => void (state.spare = memory),
  };
  return { heap, state, take: () => done.splice(0) };
}

test('a big heap is collected between edits once it has grown by three tenths, a small one by 32 MB', () => {
  const big = heapOf(200);
  const memory = createCrowdMemory(big.heap);
  memory.settled();
  big.state.garbage = 59;
  memory.settled();
  expect(big.take()).toEqual([]);
  big.state.garbage = 60;
  memory.settled();
  expect(big.take()).toEqual(['collect']);
  memory.settled();
  expect(big.take()).toEqual([]);

  const small = heapOf(20);
  const other = createCrowdMemory(small.heap);
  other.settled();
  small.state.garbage = 31;
  other.settled();
  expect(small.take()).toEqual([]);
  small.state.garbage = 32;
  other.settled();
  expect(small.take()).toEqual(['collect']);
});

test('what is in use after a collection is the measure from then on, its own or one of V8', () => {
  const { heap, state, take } = heapOf(100);
  const memory = createCrowdMemory(heap);
  memory.settled();
  state.live = 160;
  memory.settled();
  expect(take()).toEqual(['collect']);
  state.garbage = 47;
  memory.settled();
  expect(take()).toEqual([]);
  // V8 has collected, and less is in use than before.
  Object.assign(state, { live: 120, garbage: 0 });
  memory.settled();
  state.garbage = 36;
  memory.settled();
  expect(take()).toEqual(['collect']);
});

test('while a crowd comes nothing is collected between its edits, and the heap is kept closer; afterwards memory is given back', async () => {
  const { heap, state, take } = heapOf(100);
  const memory = createCrowdMemory(heap);
  memory.settled();
  await memory.crowd(true);
  expect(state.percent).toBe(25);
  state.garbage = 200;
  memory.settled();
  expect(take()).toEqual([]);
  await memory.crowd(false);
  expect(state.percent).toBe(100);
  expect(take()).toEqual(['give back']);
  state.garbage = 50;
  memory.settled();
  expect(take()).toEqual(['collect']);
});

test('a large process makes itself small as long as a crowd comes', async () => {
  vi.useFakeTimers();
  const { heap, state } = heapOf(100);
  const memory = createCrowdMemory(heap);
  await memory.crowd(true);
  state.resident = 269;
  vi.advanceTimersByTime(1_000);
  expect(state).toMatchObject({ spare: false, percent: 25 });
  state.resident = 271;
  vi.advanceTimersByTime(1_000);
  expect(state).toMatchObject({ spare: true, percent: 20 });
  state.resident = 269;
  vi.advanceTimersByTime(1_000);
  expect(state).toMatchObject({ spare: false, percent: 25 });
  state.resident = 271;
  vi.advanceTimersByTime(1_000);
  await memory.crowd(false);
  expect(state).toMatchObject({ spare: false, percent: 100 });
  vi.advanceTimersByTime(1_000);
  expect(state.spare).toBe(false);
});

test('what edits have left is collected before a crowd comes, where it is worth it', async () => {
  const { heap, state, take } = heapOf(100);
  const memory = createCrowdMemory(heap);
  memory.settled();
  state.garbage = 25;
  await memory.crowd(true);
  expect(take()).toEqual([]);
  await memory.crowd(false);
  take();
  state.garbage = 26;
  await memory.crowd(true);
  await memory.crowd(true);
  expect(take()).toEqual(['collect']);
});

test('in a large process a collection after an edit closes up half-empty pages', () => {
  const { heap, state } = heapOf(100);
  const spared: boolean[] = [];
  const memory = createCrowdMemory({ ...heap, collect: () => void spared.push(state.spare) });
  memory.settled();
  state.garbage = 40;
  state.resident = 269;
  memory.settled();
  state.garbage = 100;
  state.resident = 271;
  memory.settled();
  expect(spared).toEqual([false, true]);
  expect(state.spare).toBe(false);
});

test("V8's heap is collected: what nobody holds is gone", async () => {
  const memory = createCrowdMemory();
  await memory.crowd(false);
  memory.settled();
  const held = Array.from({ length: 80 }, () => Buffer.alloc(MB, 'a').toString('latin1'));
  const used = getHeapStatistics().used_heap_size;
  held.length = 0;
  // Of 80 MB, which are half of what there was before and more.
  memory.settled();
  expect(getHeapStatistics().used_heap_size).toBeLessThan(used - 40 * MB);
});

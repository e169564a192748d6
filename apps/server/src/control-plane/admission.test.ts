import { expect, test } from 'vitest';
import { createAdmission } from './admission.ts';

/** Enters `count` times; gives the names of those that have a place, and how to give one back. */
function crowd(admission: ReturnType<typeof createAdmission>, count: number) {
  const inside = new Map<number, () => void>();
  for (let i = 0; i < count; i += 1) void admission.enter().then((leave) => inside.set(i, leave));
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  return { inside, turn };
}

test('who waits gets a place in order, when one is given back', async () => {
  const { inside, turn } = crowd(createAdmission({ places: 2 }), 4);
  await turn();
  expect([...inside.keys()]).toEqual([0, 1]);
  inside.get(1)?.();
  inside.get(1)?.();
  await turn();
  expect([...inside.keys()]).toEqual([0, 1, 2]);
});

test('while something more urgent waits only a few are let in, and afterwards all places are used again', async () => {
  let busy = true;
  const { inside, turn } = crowd(createAdmission({ places: 15, busy: () => busy }), 20);
  await turn();
  expect(inside.size).toBe(10);
  inside.get(0)?.();
  await turn();
  expect(inside.size).toBe(11);
  busy = false;
  inside.get(1)?.();
  await turn();
  expect(inside.size).toBe(17);
});

import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, expect, test, vi } from 'vitest';
import { inTurns } from './in-turns.ts';

afterEach(() => void vi.restoreAllMocks());

test('others have their turns between slices of the work', async () => {
  // Each look at the clock takes 3 ms.
  let now = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => (now += 3));
  const seen: string[] = [];
  const work = inTurns(
    (function* steps() {
      for (let i = 0; i < 6; i += 1) {
        seen.push(`step ${i}`);
        yield;
      }
      return 'done';
    })(),
  );
  seen.push('others');
  await turn();
  seen.push('others');
  expect(await work).toBe('done');
  expect(seen).toEqual(['step 0', 'step 1', 'step 2', 'others', 'step 3', 'step 4', 'step 5', 'others']);
});

test('what fails is told', async () => {
  const failing = function* steps(): Generator<void> {
    yield;
    throw new Error('no');
  };
  await expect(inTurns(failing())).rejects.toThrow('no');
});

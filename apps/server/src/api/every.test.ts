import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { every } from './every.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('what takes long is done less often: nine tenths of the time are for others', async () => {
  let ticks = 0;
  const stop = every(
    async () => {
      ticks += 1;
      await new Promise((resolve) => setTimeout(resolve, 500));
    },
    () => undefined,
  );
  await vi.advanceTimersByTimeAsync(5_999);
  expect(ticks).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(ticks).toBe(2);
  stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(ticks).toBe(2);
});

test('what fails is told and tried again', async () => {
  const failed: unknown[] = [];
  const stop = every(
    () => {
      throw new Error('once');
    },
    (error) => failed.push(error),
  );
  await vi.advanceTimersByTimeAsync(2_000);
  expect(failed).toHaveLength(2);
  stop();
});

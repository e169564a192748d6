import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { watchCrowd } from './crowd.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('a crowd has settled when nobody has come for five seconds; a few are no crowd; the next crowd is another', () => {
  const moved = vi.fn<(coming: boolean) => void>();
  const crowd = watchCrowd(moved);
  const arrive = (count: number): void => {
    for (let i = 0; i < count; i += 1) crowd.arrived();
  };
  arrive(49);
  vi.advanceTimersByTime(60_000);
  expect(moved).not.toHaveBeenCalled();
  arrive(1);
  expect(moved.mock.calls).toEqual([[true]]);
  vi.advanceTimersByTime(4_000);
  arrive(1);
  vi.advanceTimersByTime(4_000);
  expect(moved.mock.calls).toEqual([[true]]);
  vi.advanceTimersByTime(1_000);
  expect(moved.mock.calls).toEqual([[true], [false]]);
  arrive(50);
  crowd.stop();
  vi.advanceTimersByTime(60_000);
  expect(moved.mock.calls).toEqual([[true], [false], [true]]);
});

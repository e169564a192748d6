import { expect, test } from 'vitest';
import { timeTicks } from './time-ticks.ts';

const start = Date.UTC(2026, 10, 29, 22, 34, 40);

test.each([
  [300_000, 2],
  [300_000, 3],
  [300_000, 12],
  [30_000, 3],
  [3_600_000, 5],
])('ticks over %d ms have labels of their own, at times that are what they say', (range, count) => {
  const ticks = timeTicks(start, start + range, count);
  expect(ticks.length).toBeGreaterThan(1);
  expect(ticks.length).toBeLessThanOrEqual(count + 1);
  expect(new Set(ticks.map((t) => t.label)).size).toBe(ticks.length);
  for (const { at, label } of ticks) expect(new Date(at).getSeconds()).toBe(Number(label.split(':')[2] ?? 0));
});

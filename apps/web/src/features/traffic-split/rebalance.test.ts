import { expect, test } from 'vitest';
import { rebalance } from './rebalance.ts';

const sum = (w: Readonly<Record<string, number>>): number => Object.values(w).reduce((a, b) => a + b, 0);

test('others keep their proportion', () => {
  expect(rebalance({ v1: 60, v2: 30, v3: 10 }, 'v3', 40)).toEqual({ v1: 40, v2: 20, v3: 40 });
});
test('the sum is 100 for every value and start', () => {
  for (const start of [
    { v1: 90, v2: 10, v3: 0 },
    { v1: 33, v2: 33, v3: 34 },
    { v1: 0, v2: 0, v3: 100 },
  ])
    for (let value = -5; value <= 105; value++) {
      const next = rebalance(start, 'v3', value);
      expect(sum(next)).toBe(100);
      expect(Object.values(next).every((w) => w >= 0 && Number.isInteger(w))).toBe(true);
    }
});
test('a version with everything gives its rest to the first other; one version keeps 100', () => {
  expect(rebalance({ v1: 0, v2: 0, v3: 100 }, 'v3', 70)).toEqual({ v1: 30, v2: 0, v3: 70 });
  expect(rebalance({ v1: 100 }, 'v1', 20)).toEqual({ v1: 100 });
});

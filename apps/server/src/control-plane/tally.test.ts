import { Histogram, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { Tally } from './tally.ts';

const [name, help, buckets] = ['some_seconds', 'Some', [0.1, 1, 10]];
const VALUES = [0, 0.1, 0.11, 1, 5, 10, 11];

test('reads as a histogram of prom-client does that has seen the same', async () => {
  const [ours, theirs] = [new Registry(), new Registry()];
  const tally = new Tally(ours, { name, help, buckets, byType: false });
  const histogram = new Histogram({ name, help, buckets, registers: [theirs] });
  expect(await ours.metrics()).toBe(await theirs.metrics());
  for (const value of VALUES) {
    tally.observe(value);
    histogram.observe(value);
  }
  expect(await ours.metrics()).toBe(await theirs.metrics());
  expect([...tally.counts()]).toEqual([['', VALUES.length]]);
});

test('by type', async () => {
  const [ours, theirs] = [new Registry(), new Registry()];
  const tally = new Tally(ours, { name, help, buckets, byType: true });
  const histogram = new Histogram({ name, help, buckets, labelNames: ['type'], registers: [theirs] });
  for (const [i, value] of VALUES.entries()) {
    const type = i % 3 === 0 ? 'cds' : 'rds';
    tally.observe(value, type);
    histogram.observe({ type }, value);
  }
  expect(await ours.metrics()).toBe(await theirs.metrics());
  expect([...tally.counts()]).toEqual([
    ['cds', 3],
    ['rds', 4],
  ]);
});

import type { Span } from '@weft/mesh-core/api';
import { expect, test } from 'vitest';
import { waterfallRows } from './waterfall.ts';

const span = (spanId: string, parentId: string, startUs: number, durationUs: number): Span => ({
  spanId,
  parentId,
  startUs,
  durationUs,
  service: 's',
  name: spanId,
  kind: 'server',
  error: false,
  attributes: {},
  resource: {},
  events: [],
});
const trace = [span('c', 'a', 50, 40), span('b', 'a', 10, 20), span('a', '', 0, 100), span('d', 'gone', 5, 1), span('e', 'b', 12, 3)];

test('tree order by start, orphans as roots, and guides where a sibling of an ancestor follows', () => {
  expect(waterfallRows(trace).map((r) => [r.span.spanId, r.depth, r.below, r.guides])).toEqual([
    ['a', 0, 3, []],
    ['b', 1, 1, [true]],
    ['e', 2, 0, [true, true]],
    ['c', 1, 0, [true]],
    ['d', 0, 0, []],
  ]);
});

test('a folded span stands for what is below it', () => {
  expect(waterfallRows(trace, new Set(['a'])).map((r) => r.span.spanId)).toEqual(['a', 'd']);
});

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

test('tree order, depth and the child that ends last', () => {
  const rows = waterfallRows([span('c', 'a', 50, 40), span('b', 'a', 10, 20), span('a', '', 0, 100), span('d', 'gone', 5, 1)]);
  expect(rows.map((r) => [r.span.spanId, r.depth, r.critical])).toEqual([
    ['a', 0, true],
    ['b', 1, false],
    ['c', 1, true],
    ['d', 0, false],
  ]);
});

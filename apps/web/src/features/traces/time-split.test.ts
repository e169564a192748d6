import type { Span } from '@weft/mesh-core/api';
import { expect, test } from 'vitest';
import { timeSplit } from './time-split.ts';

const span = (spanId: string, parentId: string, service: string, startUs: number, durationUs: number): Span => ({
  ...{ spanId, parentId, service, startUs, durationUs, name: spanId, kind: 'server', error: false },
  ...{ attributes: {}, resource: {}, events: [] },
});

test('adds up to the duration; overlapping children count once', () => {
  const root = span('a', '', 'page', 0, 100);
  const parts = timeSplit([root, span('b', 'a', 'details', 10, 30), span('c', 'a', 'reviews', 30, 50), span('d', 'c', 'ratings', 35, 5)], root);
  expect(parts).toEqual([
    { name: 'self', own: true, us: 30 },
    { name: 'reviews', own: false, us: 40 },
    { name: 'details', own: false, us: 30 },
  ]);
  expect(parts.reduce((sum, p) => sum + p.us, 0)).toBe(100);
});

import type { Span } from '@weft/mesh-core/api';
import { expect, test } from 'vitest';
import { criticalPath } from './critical-path.ts';

const span = (spanId: string, parentId: string, startUs: number, durationUs: number): Span => ({
  ...{ spanId, parentId, startUs, durationUs, service: 's', name: spanId, kind: 'server', error: false },
  ...{ attributes: {}, resource: {}, events: [] },
});
const path = (...spans: Span[]): Record<string, number[][]> =>
  Object.fromEntries([...criticalPath(spans)].map(([id, pieces]) => [id, pieces.map((p) => [p.startUs, p.endUs])]));

test('goes back from the end into the child that ended last, and leaves out what ran beside it', () => {
  expect(path(span('a', '', 0, 100), span('b', 'a', 10, 20), span('c', 'a', 15, 60), span('d', 'a', 80, 10))).toEqual({
    a: [
      [0, 15],
      [75, 80],
      [90, 100],
    ],
    c: [[15, 75]],
    d: [[80, 90]],
  });
});

test('cuts a child that outlives its parent, and survives spans that are their own parents', () => {
  expect(path(span('a', '', 0, 100), span('b', 'a', 50, 80))).toEqual({ a: [[0, 50]], b: [[50, 100]] });
  expect(path(span('x', 'y', 0, 10), span('y', 'x', 0, 10))).toEqual({});
});

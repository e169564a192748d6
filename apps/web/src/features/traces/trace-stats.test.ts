import type { Span } from '@weft/mesh-core/api';
import { expect, test } from 'vitest';
import { compareTraces, operationStats } from './trace-stats.ts';

const span = (spanId: string, parentId: string, service: string, name: string, startUs: number, durationUs: number, more: Partial<Span> = {}): Span => ({
  ...{ spanId, parentId, service, name, startUs, durationUs, kind: 'server' as const, error: false },
  ...{ attributes: {}, resource: {}, events: [] },
  ...more,
});
const trace = [
  span('a', '', 'web', 'GET /', 0, 100),
  span('b', 'a', 'web', 'cart', 10, 40, { kind: 'client' }),
  span('c', 'b', 'cart', 'GET /cart', 15, 30),
  span('d', 'a', 'web', 'cart', 60, 30, { kind: 'client', error: true }),
];

test('spans of one operation are counted together, with their own time apart from what they waited for', () => {
  expect(operationStats(trace)).toEqual([
    { service: 'web', name: 'call cart', spans: 2, errors: 1, totalUs: 70, longestUs: 40, selfUs: 40 },
    { service: 'web', name: 'GET /', spans: 1, errors: 0, totalUs: 100, longestUs: 100, selfUs: 30 },
    { service: 'cart', name: 'GET /cart', spans: 1, errors: 0, totalUs: 30, longestUs: 30, selfUs: 30 },
  ]);
});

test('two traces by operation: what one of them lacks is told, the largest change first', () => {
  const slow = [span('a', '', 'web', 'GET /', 0, 900), span('b', 'a', 'reviews', 'GET /reviews', 10, 700)];
  expect(compareTraces(trace, slow).map((p) => [p.service, p.name, p.a?.totalUs, p.b?.totalUs])).toEqual([
    ['web', 'GET /', 100, 900],
    ['reviews', 'GET /reviews', undefined, 700],
    ['web', 'call cart', 70, undefined],
    ['cart', 'GET /cart', 30, undefined],
  ]);
});

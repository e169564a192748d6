import { EDGE_COLUMNS, HEALTH, NODE_COLUMNS } from '@weft/mesh-core/api';
import { expect, test } from 'vitest';
import { edgeFigures, nodeFigures } from './graph-figures.ts';

test.each([
  ['node', NODE_COLUMNS, nodeFigures],
  ['edge', EDGE_COLUMNS, edgeFigures],
] as const)('every column of a %s is read by its name', (_, columns, figures) => {
  const row = columns.map((column, i) => (column === 'health' ? HEALTH.indexOf('failing') : 100 + i));
  expect(figures(row)).toEqual(Object.fromEntries(columns.map((column, i) => [column, column === 'health' ? 'failing' : 100 + i])));
  expect(figures(undefined)).toMatchObject({ p95: -1, health: 'unknown' });
});

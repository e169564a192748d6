import { expect, test } from 'vitest';
import { newRequestId, newUnsampledTraceparent, randomIds } from './random-ids.ts';

test('every id has the form, also beyond one batch, and none comes twice', () => {
  const made = Array.from({ length: 1_000 }, newRequestId);
  for (const id of made) expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  expect(new Set(made).size).toBe(1_000);
  expect(newUnsampledTraceparent()).toMatch(/^00-[\da-f]{32}-[\da-f]{16}-00$/);
});

test('all digits come at every place', () => {
  const made = Array.from({ length: 2_000 }, randomIds('4xxx-yxxx'));
  const at = (place: number): number => new Set(made.map((id) => id[place])).size;
  expect([0, 1, 2, 3, 4, 5, 6, 7, 8].map(at)).toEqual([1, 16, 16, 16, 1, 4, 16, 16, 16]);
  for (const id of made) expect(id).toMatch(/^4[\da-f]{3}-[89ab][\da-f]{3}$/);
});

import { expect, test } from 'vitest';
import { rate } from './format.ts';

test.each([
  [0, '0.0 /s'],
  [0.033, '0.03 /s'],
  [0.001, '<0.01 /s'],
  [0.25, '0.3 /s'],
  [42.07, '42.1 /s'],
  [1234.5, '1235 /s'],
])('%d requests a second are %s', (perSecond, text) => {
  expect(rate(perSecond)).toBe(text);
});

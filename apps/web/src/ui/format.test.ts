import { expect, test } from 'vitest';
import { rate, traffic } from './format.ts';

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

test.each([
  [3.4, 0, '3.4 /s'],
  [0, 0, '0.0 /s'],
  [0, 13_300, '13.3 kB/s'],
  [3.4, 13_300, '3.4 /s, 13.3 kB/s'],
])('traffic of %d requests and %d bytes a second is %s', (rps, bytes, text) => {
  expect(traffic(rps, bytes)).toBe(text);
});

import { expect, test } from 'vitest';
import { b3Decision, formatB3, formatTraceparent, markTraced, parseB3, parseTraceparent, requestIdIsTraceable, requestIdSaysTraced } from './trace-context.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';
const headers = (values: Record<string, string>) => (name: string) => values[name];

test.each([
  [`00-${traceId}-${spanId}-01`, { traceId, spanId, sampled: true }],
  [`00-${traceId}-${spanId}-00`, { traceId, spanId, sampled: false }],
  [`00-${traceId}-${spanId}-03`, { traceId, spanId, sampled: true }],
  [`cc-${traceId}-${spanId}-01-what-comes-later`, { traceId, spanId, sampled: true }],
  [`00-${traceId}-${spanId}-01-more`, undefined],
  [`ff-${traceId}-${spanId}-01`, undefined],
  [`00-${'0'.repeat(32)}-${spanId}-01`, undefined],
  [`00-${traceId}-${'0'.repeat(16)}-01`, undefined],
  [`00-${traceId.toUpperCase()}-${spanId}-01`, undefined],
  ['', undefined],
  [undefined, undefined],
])('traceparent %s', (value, parent) => expect(parseTraceparent(value)).toEqual(parent));

test('what is written is read', () => {
  const span = { traceId, spanId, sampled: true };
  expect(parseTraceparent(formatTraceparent(span))).toEqual(span);
});

test.each([
  [{ b3: `${traceId}-${spanId}-1-${spanId}` }, { traceId, spanId, sampled: true }],
  [{ b3: `${traceId}-${spanId}-d` }, { traceId, spanId, sampled: true }],
  [{ b3: `${traceId}-${spanId}-0` }, { traceId, spanId, sampled: false }],
  [{ b3: `${traceId}-${spanId}` }, { traceId, spanId, sampled: undefined }],
  [{ b3: '0' }, undefined],
  [
    { 'x-b3-traceid': 'A3CE929D0E0E4736', 'x-b3-spanid': spanId, 'x-b3-sampled': '1' },
    { traceId: '0000000000000000a3ce929d0e0e4736', spanId, sampled: true },
  ],
  [
    { 'x-b3-traceid': traceId, 'x-b3-spanid': spanId, 'x-b3-sampled': '0', 'x-b3-flags': '1' },
    { traceId, spanId, sampled: true },
  ],
  [
    { 'x-b3-traceid': traceId, 'x-b3-spanid': spanId, 'x-b3-sampled': 'false' },
    { traceId, spanId, sampled: false },
  ],
  [{ 'x-b3-traceid': traceId, 'x-b3-spanid': 'short' }, undefined],
  [{ 'x-b3-traceid': '0'.repeat(16), 'x-b3-spanid': spanId }, undefined],
])('B3 %o', (values: Record<string, string>, parent) => expect(parseB3(headers(values))).toEqual(parent));

test('a decision of B3 needs no ids', () => {
  expect(b3Decision(headers({ b3: '0' }))).toBe(false);
  expect(b3Decision(headers({ b3: 'd' }))).toBe(true);
  expect(b3Decision(headers({ 'x-b3-sampled': '1' }))).toBe(true);
  expect(b3Decision(headers({}))).toBeUndefined();
});

test('B3 goes on in the form it came in', () => {
  const span = { traceId, spanId: 'a'.repeat(16), sampled: true };
  expect(formatB3(headers({ b3: '1' }), span, '')).toBe(`b3: ${traceId}-${'a'.repeat(16)}-1\r\n`);
  expect(formatB3(headers({ b3: `${traceId}-${spanId}-1` }), span, spanId)).toBe(`b3: ${traceId}-${'a'.repeat(16)}-1-${spanId}\r\n`);
  expect(formatB3(headers({ 'x-b3-traceid': traceId }), span, spanId)).toBe(
    `x-b3-traceid: ${traceId}\r\nx-b3-spanid: ${'a'.repeat(16)}\r\nx-b3-parentspanid: ${spanId}\r\nx-b3-sampled: 1\r\n`,
  );
  expect(formatB3(headers({}), span, '')).toBeUndefined();
});

test('an x-request-id that begins with no number is never recorded', () => {
  expect(['6f1a2b3c-1234-4234-8234-123456789abc', 'DEADBEEF', '12345678x'].map(requestIdIsTraceable)).toEqual([true, true, true]);
  expect(['', 'mine', '1234567', 'not-a-uuid-at-all'].map(requestIdIsTraceable)).toEqual([false, false, false, false]);
});

test('x-request-id carries the decision where Envoy puts it', () => {
  const id = '8f0e0a5c-3d1b-4c77-9a63-0123456789ab';
  expect(requestIdSaysTraced(id)).toBe(false);
  expect(markTraced(id, '9')).toBe('8f0e0a5c-3d1b-9c77-9a63-0123456789ab');
  expect(requestIdSaysTraced(markTraced(id, 'b'))).toBe(true);
  // Forced by the client stays what it is.
  expect(markTraced('mine', '9')).toBe('mine');
});

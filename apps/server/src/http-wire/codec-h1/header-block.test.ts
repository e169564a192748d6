import { expect, test } from 'vitest';
import { Field } from './field-kinds.ts';
import { HeaderBlock, maxFields, parseFields } from './header-block.ts';

function parsed(lines: readonly string[]): HeaderBlock {
  const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  const block = new HeaderBlock();
  expect(parseFields(bytes, 0, bytes.length, 0, block)).toBe(bytes.length);
  block.text = bytes.toString('latin1');
  return block;
}

test('a field that is added is like the others', () => {
  const block = parsed(['a: 1', 'b: 2']);
  expect(block.append('x-request-id', 'abc')).toBe(true);
  expect(block.append('a', '')).toBe(true);
  expect(block.text).toBe('a: 1\r\nb: 2\r\nx-request-id: abc\r\na: \r\n\r\n');
  expect([block.get('x-request-id'), block.known(Field.requestId), block.get('b')]).toEqual(['abc', 'abc', '2']);
  const values: string[] = [];
  block.some('a', (value) => values.push(value) < 0);
  expect(values).toEqual(['1', '']);
  expect(block.text.slice(block.lineStart(3), block.lineStart(4))).toBe('a: \r\n');
});

test('one that was taken away may come again', () => {
  const block = parsed(['x-sub: eve', 'b: 2']);
  block.hide(new Set(['x-sub']));
  expect(block.get('x-sub')).toBeUndefined();
  expect(block.append('x-sub', 'sue')).toBe(true);
  expect(block.get('x-sub')).toBe('sue');
});

test('there is room for some, not for any number nor any length', () => {
  const block = parsed(Array.from({ length: maxFields }, (_, i) => `h${i}: 1`));
  for (let i = 0; i < 28; i++) expect(block.append(`x${i}`, '1')).toBe(true);
  expect(block.append('more', '1')).toBe(false);
  expect([block.get('more'), block.get('x27')]).toEqual([undefined, '1']);
  expect(parsed(['a: 1']).append('b', 'x'.repeat(0xffff))).toBe(false);
});

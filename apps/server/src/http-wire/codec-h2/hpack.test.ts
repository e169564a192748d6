import fc from 'fast-check';
import { expect, test } from 'vitest';
import { collectGarbage } from '../testing/collect-garbage.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { HpackEncoder, plainBlock } from './hpack-encoder.ts';
import type { HeaderEntry } from './hpack-table.ts';
import { huffmanDecode, huffmanEncode, huffmanLength } from './huffman.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

function decode(decoder: HpackDecoder, block: Buffer): [string, string][] | undefined {
  const fields: [string, string][] = [];
  const sink = { onField: (entry: HeaderEntry): void => void fields.push([entry.name, entry.value]) };
  return decoder.decode(block, 0, block.length, sink) ? fields : undefined;
}

test('the examples of RFC 7541 appendix C, one table for a whole connection', () => {
  const requests = new HpackDecoder();
  const first = [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'www.example.com'],
  ];
  expect(decode(requests, hex('8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff'))).toEqual(first);
  expect(decode(requests, hex('8286 84be 5886 a8eb 1064 9cbf'))).toEqual([...first, ['cache-control', 'no-cache']]);
  expect(decode(requests, hex('8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf'))).toEqual([
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', '/index.html'],
    [':authority', 'www.example.com'],
    ['custom-key', 'custom-value'],
  ]);
});

test('a decoder holds nothing of a block it has read, be it one that cannot be decoded', async () => {
  const decoder = new HpackDecoder();
  const reads = ['8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff', '40 0a 61'].map((block) => {
    const read = hex(block);
    decode(decoder, read);
    return new WeakRef(read);
  });
  // A WeakRef holds what it was made of until its turn is over.
  await new Promise(setImmediate);
  collectGarbage();
  expect(reads.map((read) => read.deref())).toEqual([undefined, undefined]);
  expect(decode(decoder, hex('82'))).toEqual([[':method', 'GET']]);
});

test.each([
  ['an index of 0', '80'],
  ['an index beyond the table', 'ff ff 00'],
  ['an integer without end', '7f ff ff ff ff ff ff ff'],
  ['a string longer than the block', '40 0a 61'],
  ['a table larger than allowed', '3f e2 1f'],
  ['a size update after a field', '82 20'],
  ['Huffman padding of more than 7 bits', '40 82 1f ff 01 61'],
  ['an end-of-string mark', '40 84 ff ff ff ff 01 61'],
])('refuses %s', (_, block) => {
  expect(decode(new HpackDecoder(), hex(block))).toBeUndefined();
});

test('a plain block reads the same on every connection, and changes no table', () => {
  const fields: [string, string][] = [
    [':status', '200'],
    ['content-type', 'application/grpc+proto'],
    ['grpc-status', '0'],
  ];
  const block = bytes(plainBlock(fields));
  const used = new HpackDecoder();
  decode(used, hex('4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf'));
  for (const decoder of [new HpackDecoder(), used]) expect(decode(decoder, block)).toEqual(fields);
  expect(decode(used, hex('be'))).toEqual([['custom-key', 'custom-value']]);
});

test('what Huffman coding makes of any text it takes back', () => {
  const latin1 = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });
  fc.assert(
    fc.property(latin1, (text) => {
      const coded = huffmanEncode(text);
      expect(coded.length).toBe(huffmanLength(text));
      expect(huffmanDecode(bytes(coded), 0, coded.length)).toBe(text);
    }),
  );
});

test('any lists of fields survive a connection, whatever the table size', () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
  const value = fc.stringMatching(/^[!-~]([ -~]{0,60}[!-~])?$/);
  const field = fc.tuple(
    fc.oneof(name, fc.constantFrom('x-request-id', 'traceparent', 'authorization', 'content-type')),
    fc.oneof(value, fc.constantFrom('a', 'application/grpc', '')),
  );
  const list = fc.array(field, { maxLength: 20 });
  const step = fc.oneof(list, list, fc.integer({ min: 0, max: 8192 }));
  const ids = new Set(['x-request-id', 'traceparent', 'authorization']);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.integer({ min: 1, max: 5 }), (steps, times) => {
      const encoder = new HpackEncoder();
      const decoder = new HpackDecoder();
      let table = 4096;
      for (const next of steps) {
        if (typeof next === 'number') {
          table = Math.min(next, 4096);
          encoder.limit(next);
          continue;
        }
        // The same lines come again and again, but for ids; at last with all values changed, as long as before.
        for (let time = 0; time <= times; time++) {
          const turned = (n: string): boolean => time === times || (ids.has(n) && time % 2 === 1);
          const sent = next.map(([n, v]): [string, string] => [n, turned(n) ? Buffer.from(v).reverse().toString() : v]);
          const block = encoder.begin() + encoder.lines(sent.map(([n, v]) => `${n}: ${v}\r\n`).join(''));
          expect(decode(decoder, bytes(block)), `table ${table}`).toEqual(sent);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('a field that comes again after its entry has left the table is written anew', () => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  const send = (block: string): [string, string][] | undefined => decode(decoder, bytes(encoder.begin() + block));
  const again = (): [string, string][] | undefined => send(encoder.field(':path', '/again') + encoder.lines('x-a: again\r\n'));
  const expected = [
    [':path', '/again'],
    ['x-a', 'again'],
  ];
  for (let i = 0; i < 3; i++) expect(again()).toEqual(expected);
  for (let i = 0; i < 100; i++) {
    const line = `x-other: ${'o'.repeat(100)}${i}\r\n`;
    send(encoder.lines(line));
    send(encoder.lines(line));
  }
  for (let i = 0; i < 3; i++) expect(again()).toEqual(expected);
  // Two lines of the same few characters are not each other's.
  for (let i = 0; i < 3; i++)
    expect(send(encoder.lines('x-ab: 1xx1\r\nx-cb: 1xx1\r\n'))).toEqual([
      ['x-ab', '1xx1'],
      ['x-cb', '1xx1'],
    ]);
});

test('lines that come again take as few bytes whatever their ids, and white space around a value is no part of it', () => {
  const encoder = new HpackEncoder();
  const decoder = new HpackDecoder();
  const send = (lines: string): [string, string][] | undefined => decode(decoder, bytes(encoder.lines(lines)));
  const message = (id: string): string => `accept: */*\r\nx-request-id: ${id}\r\nx-a: ${'a'.repeat(50)}\r\n`;
  const fields = (id: string): [string, string][] => [
    ['accept', '*/*'],
    ['x-request-id', id],
    ['x-a', 'a'.repeat(50)],
  ];
  for (const id of ['1111', '2222', '3333', '4444', ' 55 ', '\t66\t', '    ', '7777', '']) expect(send(message(id))).toEqual(fields(id.trim()));
  expect(encoder.lines(message('8888')).length).toBe(9);
  expect(encoder.lines(message(' 888'))).not.toMatch(/\s/);
  // As long, but other lines; also where an id would be.
  for (let i = 0; i < 3; i++) expect(send(message('123456789'))).toEqual(fields('123456789'));
  for (const other of [`${message('1234')}b: \r\n`, message('9999').replace('x-a', 'x-b'), 'x: \r\n'.repeat(message('9999').length / 5)])
    for (let i = 0; i < 20; i++) expect(send(other)?.length).toBe(other.split('\r\n').length - 1);
  expect(send(message('0000'))).toEqual(fields('0000'));
});

test('random bytes are taken or refused, never thrown at', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (block) => {
      decode(new HpackDecoder(), Buffer.from(block));
    }),
    { numRuns: 5000 },
  );
});

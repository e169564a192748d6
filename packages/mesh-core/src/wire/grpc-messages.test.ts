import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GrpcMessages } from './grpc-messages.ts';

const refusals = { compressed: () => new Error('compressed'), tooLarge: (length: number, limit: number) => new Error(`${length} of ${limit}`) };
const frame = (message: Uint8Array): number[] => [0, 0, 0, message.length >> 8, message.length & 0xff, ...message];

test('messages come out whole and in order, wherever the chunks end', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (messages, cuts) => {
      const reader = new GrpcMessages(40, refusals);
      const bytes = Uint8Array.from(messages.flatMap(frame));
      const got: number[][] = [];
      for (let at = 0, i = 0; at < bytes.length; i += 1) {
        const next = at + (cuts[i % cuts.length] ?? 1);
        reader.push(bytes.slice(at, next));
        for (let message = reader.next(); message !== undefined; message = reader.next()) got.push([...message]);
        at = next;
      }
      expect(got).toEqual(messages.map((message) => [...message]));
      expect(reader.partial).toBe(false);
    }),
  );
});

test('a compressed message and one over the limit are refused when their prefix is there', () => {
  const reader = (prefix: number[]): GrpcMessages => {
    const messages = new GrpcMessages(5, refusals);
    messages.push(Uint8Array.from(prefix));
    return messages;
  };
  expect(reader([1, 0, 0, 0]).next()).toBeUndefined();
  expect(() => reader([1, 0, 0, 0, 2]).next()).toThrow('compressed');
  expect(reader([0, 0, 0, 0, 5]).next()).toBeUndefined();
  expect(() => reader([0, 0, 0, 0, 6]).next()).toThrow('6 of 5');
});

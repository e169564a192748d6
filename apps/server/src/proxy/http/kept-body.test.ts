import { expect, test } from 'vitest';
import { KeptBody } from './kept-body.ts';

test.each([[[3, 4]], [[4_096]], [[4_096, 1]], [[10, 5_000, 40_000]], [[16_384, 16_384]], [[70_000, 1, 30_000]]])(
  'pieces of %j bytes are there as one, also where the buffer they come from is used again',
  (sizes) => {
    const kept = new KeptBody();
    const other = new KeptBody();
    for (let round = 0; round < 2; round++) {
      const shared = Buffer.alloc(80_000);
      let expected = '';
      for (const [i, size] of sizes.entries()) {
        shared.fill(0xf0 + i);
        kept.add(shared, 5, 5 + size);
        shared.fill('-');
        other.add(shared, 0, size);
        expected += String.fromCharCode(0xf0 + i).repeat(size);
      }
      expect(kept.length).toBe(expected.length);
      expect(kept.toString() === expected).toBe(true);
      let sent = '';
      const stream = {
        text: (text: string) => (sent += text),
        data: (bytes: Buffer, start: number, end: number) => (sent += bytes.toString('latin1', start, end)),
      };
      kept.sendTo(stream as never);
      expect(sent === expected).toBe(true);
      kept.clear();
      other.clear();
      expect([kept.length, kept.toString()]).toEqual([0, '']);
    }
  },
);

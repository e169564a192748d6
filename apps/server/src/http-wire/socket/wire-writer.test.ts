import { once } from 'node:events';
import type { Socket } from 'node:net';
import { expect, test, vi } from 'vitest';
import { socketPair } from '../../../test/testing/socket-pair.ts';
import { DirectWrites } from './direct-writes.ts';
import { WireWriter, writeChunk } from './wire-writer.ts';

async function received(far: Socket): Promise<string> {
  let text = '';
  far.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  await once(far, 'end');
  return text;
}

test.each([false, true])(
  'heads, pieces of all sizes and chunks arrive in order, also where the buffer they come from is used again (gather %s)',
  async (gather) => {
    const { near, far } = await socketPair();
    const out = new WireWriter(near, gather);
    const got = received(far);
    const shared = Buffer.alloc(300 * 1024);
    let expected = '';
    const sizes = [1, 5_000, 70_000, 131_072, 300 * 1024, 10, 4_097, 16_384, 3, 200_000];
    for (const [i, size] of sizes.entries()) {
      const mark = String.fromCharCode(0x61 + i);
      shared.fill(mark);
      out.add(`head ${i}\r\n`);
      out.data(shared, 0, size);
      writeChunk(out, shared, 0, size);
      expected += `head ${i}\r\n${mark.repeat(size)}${size.toString(16)}\r\n${mark.repeat(size)}\r\n`;
      if (i % 3 < 2 && !out.flush()) await once(near, 'drain');
    }
    expect(out.bytes).toBe(expected.length);
    out.end();
    expect((await got) === expected).toBe(true);
  },
);

test('a text longer than what is staged at a time arrives whole', async () => {
  const { near, far } = await socketPair();
  const out = new WireWriter(near, true);
  const got = received(far);
  const piece = Buffer.alloc(5_000, 'p');
  const long = '0123456789'.repeat(40_000);
  out.data(piece, 0, piece.length);
  out.add(long);
  out.end();
  expect((await got) === piece.toString('latin1') + long).toBe(true);
});

test('what is flushed leaves in one write at the end of the turn, text past the stream', async () => {
  const { near } = await socketPair();
  const out = new WireWriter(near);
  const direct = vi.spyOn(DirectWrites.prototype, 'write');
  const write = vi.spyOn(near, 'write');
  out.add('head');
  out.flush();
  out.add('body');
  out.flush();
  expect(near.bytesWritten).toBe(0);
  await new Promise((resolve) => setImmediate(resolve));
  expect(near.bytesWritten).toBe(8);
  out.data(Buffer.alloc(20_000), 0, 20_000);
  out.flush();
  await new Promise((resolve) => setImmediate(resolve));
  expect(near.bytesWritten).toBe(20_008);
  expect(direct.mock.calls).toEqual([['headbody']]);
  expect(write).toHaveBeenCalledTimes(1);
});

test('a peer that does not read makes flush say so, and what it reads later is not what was staged since', async () => {
  const { near, far } = await socketPair();
  const out = new WireWriter(near, true);
  const bytes = Buffer.alloc(128 * 1024);
  const sent: string[] = [];
  do {
    const mark = String.fromCharCode(0x30 + (sent.length % 64));
    bytes.fill(mark);
    sent.push(mark);
    out.data(bytes, 0, bytes.length);
  } while (out.flush() || near.writableLength < 2 * 1024 * 1024);
  const got = received(far);
  out.end();
  const text = await got;
  expect(text.length).toBe(sent.length * bytes.length);
  for (const [i, expected] of sent.entries()) expect(text.slice(i * bytes.length, (i + 1) * bytes.length) === expected.repeat(bytes.length)).toBe(true);
});

test('a reader that is behind on a text holds no stage for the piece behind it', async () => {
  const { near } = await socketPair();
  const out = new WireWriter(near, true);
  while (out.unsent === 0) {
    out.add('0123456789abcdef'.repeat(1024));
    out.flushNow();
  }
  expect(near.writableLength).toBe(0);
  out.data(Buffer.alloc(5_000), 0, 5_000);
  out.flushNow();
  expect({ busy: out.busy, inStream: near.writableLength }).toEqual({ busy: false, inStream: 5_000 });
});

test('after the socket has closed nothing is written and nothing fails', async () => {
  const { near } = await socketPair();
  const out = new WireWriter(near);
  near.destroy();
  await once(near, 'close');
  out.add('text');
  out.data(Buffer.alloc(200_000), 0, 200_000);
  out.flush();
  out.flushNow();
  expect(near.bytesWritten).toBe(0);
});

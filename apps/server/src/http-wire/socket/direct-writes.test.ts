// What leaves past the stream, and what becomes of it when the other side does not read, or is gone.

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { TLSSocket } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { socketPair } from '../../../test/testing/socket-pair.ts';
import { DirectWrites } from './direct-writes.ts';

const long = '0123456789abcdef'.repeat(1024);

/** Writes until the system takes no more at once; answers all that was written. */
function fill(writes: DirectWrites): string {
  let sent = '';
  while (writes.waiting === 0) {
    expect(writes.write(long)).toBe(true);
    sent += long;
  }
  return sent;
}

test('a text leaves at once and past the stream', async () => {
  const { near, far } = await socketPair();
  expect(new DirectWrites(near).write('text \xe9')).toBe(true);
  expect({ counted: near.bytesWritten, inStream: near.writableLength }).toEqual({ counted: 6, inStream: 0 });
  const [chunk] = (await once(far, 'data')) as [Buffer];
  expect(chunk.toString('latin1')).toBe('text \xe9');
});

test('what has to wait is counted until it has gone, and what the stream writes comes behind it', async () => {
  const { near, far } = await socketPair();
  const writes = new DirectWrites(near);
  const sent = fill(writes);
  expect(writes.waiting).toBeLessThanOrEqual(long.length);
  expect(writes.write('refused')).toBe(false);
  const written = new Promise((resolve) => near.write('by the stream,', resolve));
  let got = '';
  far.on('data', (chunk: Buffer) => (got += chunk.toString('latin1')));
  await written;
  expect(writes.waiting).toBe(0);
  expect(writes.write('direct')).toBe(true);
  near.end();
  await once(far, 'end');
  expect(got === `${sent}by the stream,direct`).toBe(true);
});

test('a text waits for what the stream has left to write', async () => {
  const { near } = await socketPair();
  const writes = new DirectWrites(near);
  while (near.writableLength === 0) near.write(long);
  expect(writes.write('refused')).toBe(false);
});

const lost = { message: expect.stringMatching(/^write E(PIPE|CONNRESET)$/), code: expect.stringMatching(/^E/), syscall: 'write' };

test('a write to who is gone fails the socket with the reason', async () => {
  const { near, far } = await socketPair({ asleep: true });
  far.resetAndDestroy();
  await once(far, 'close');
  const failed = once(near, 'error');
  expect(new DirectWrites(near).write('text')).toBe(true);
  expect(await failed).toMatchObject([lost]);
});

test('who goes while a text waits fails the socket', async () => {
  const { near, far } = await socketPair({ asleep: true });
  const writes = new DirectWrites(near);
  fill(writes);
  const failed = once(near, 'error');
  far.resetAndDestroy();
  expect(await failed).toMatchObject([lost]);
  expect(writes.waiting).toBe(0);
});

test('only a plain TCP socket is written to so', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-direct-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const { near } = await socketPair({ path: join(dir, 'socket') });
  expect(new DirectWrites(near).write('text')).toBe(false);
  const tcp = await socketPair();
  expect(new DirectWrites(new TLSSocket(tcp.near)).write('text')).toBe(false);
  tcp.near.destroy();
  expect(new DirectWrites(tcp.near).write('text')).toBe(false);
});

// What is read directly, and what takes the way of the stream.

import { once } from 'node:events';
import { expect, onTestFinished, test, vi } from 'vitest';
import { socketPair } from '../../../test/testing/socket-pair.ts';
import { readBuffer, readDirectly, readShared } from './direct-reads.ts';

test.each([readDirectly, readShared])('%o: reads come in order, past the stream unless it is paused or has something left', async (read) => {
  const { near: accepted, far: client } = await socketPair();
  let heard = '';
  let streamed = '';
  let wake = (): void => undefined;
  const until = async (text: string): Promise<void> => {
    while (heard !== text) await new Promise<void>((resolve) => (wake = resolve));
  };
  accepted.unshift(Buffer.from('put back,'));
  read(accepted, (chunk) => {
    heard += chunk.toString();
    wake();
  });
  accepted.on('data', (chunk: Buffer) => (streamed += chunk.toString()));
  await until('put back,');
  expect(streamed).toBe('put back,');

  client.write('direct,');
  await until('put back,direct,');
  expect(streamed).toBe('put back,');

  accepted.pause();
  client.write('paused,');
  // Shared reads stop with a pause, others go on into the stream.
  const kept = read === readDirectly ? 'paused,' : '';
  while (accepted.readableLength < kept.length) await new Promise((resolve) => setImmediate(resolve));
  expect(heard).toBe('put back,direct,');
  accepted.resume();
  await until('put back,direct,paused,');
  expect(streamed).toBe(`put back,${kept}`);

  const ended = new Promise((resolve) => accepted.once('end', resolve));
  client.end('last');
  await ended;
  expect(heard).toBe('put back,direct,paused,last');
});

test('shared reads make no memory of their own', async () => {
  const { near: accepted, far: client } = await socketPair();
  const read = new Promise<Buffer>((resolve) => readShared(accepted, resolve));
  client.write('read');
  expect((await read).buffer).toBe(readBuffer.buffer);
});

test('what a plain socket reads does not go by way of the reader of Node, which has the end', async () => {
  const { near, far } = await socketPair();
  const { _handle: handle } = near as unknown as { _handle: { onread: () => void } };
  const nodes = vi.fn(handle.onread);
  handle.onread = nodes;
  const read = new Promise((resolve) => readShared(near, (chunk) => resolve(chunk.toString())));
  far.write('read');
  expect(await read).toBe('read');
  expect(nodes).not.toHaveBeenCalled();
  const ended = once(near, 'end');
  far.end();
  await ended;
  expect(nodes).toHaveBeenCalled();
});

test('where Node gives away nothing of what sockets stand on, everything goes by way of the stream', async () => {
  vi.spyOn(process as unknown as { binding: () => void }, 'binding').mockImplementation(() => {
    throw new Error('not here');
  });
  vi.resetModules();
  onTestFinished(() => {
    vi.restoreAllMocks();
    vi.resetModules();
  });
  const [reads, writes] = await Promise.all([import('./direct-reads.ts'), import('./direct-writes.ts')]);
  const { near, far } = await socketPair();
  expect(new writes.DirectWrites(near).write('text')).toBe(false);
  const read = new Promise((resolve) => reads.readShared(near, (chunk) => resolve(chunk.toString())));
  far.write('read');
  expect(await read).toBe('read');
});

// What is read directly, and what takes the way of the stream.

import { connect, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { readBuffer, readDirectly, readShared } from './direct-reads.ts';

/** An accepted socket and its client. */
function pair(): Promise<{ accepted: Socket; client: Socket }> {
  return new Promise((resolve) => {
    const server = createServer((accepted) => resolve({ accepted, client }));
    let client: Socket;
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      client = connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1');
    });
    onTestFinished(() => {
      client.destroy();
      server.close();
    });
  });
}

test.each([readDirectly, readShared])('%o: reads come in order, past the stream unless it is paused or has something left', async (read) => {
  const { accepted, client } = await pair();
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
  const { accepted, client } = await pair();
  const read = new Promise<Buffer>((resolve) => readShared(accepted, resolve));
  client.write('read');
  expect((await read).buffer).toBe(readBuffer.buffer);
});

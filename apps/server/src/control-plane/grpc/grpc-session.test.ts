// Connections that live on, and those that only look as if they did.

import { connect as connectHttp2 } from 'node:http2';
import { connect, createServer, type AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { frameHead, FrameType, preface, settingsFrame } from '../../http-wire/codec-h2/frames.ts';
import { GrpcSession } from './grpc-session.ts';

/** A port whose first connection becomes a session without methods. */
async function serve(): Promise<{ port: number; session: Promise<GrpcSession>; closed: Promise<void> }> {
  const server = createServer();
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  let over: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => (over = resolve));
  const session = new Promise<GrpcSession>((resolve) =>
    server.once('connection', (socket) => resolve(new GrpcSession(socket, { request: () => undefined, closed: over }))),
  );
  return { port: (server.address() as AddressInfo).port, session, closed };
}

test('who does not answer a ping is cut off, not before the answer is due', async () => {
  const { port, session, closed } = await serve();
  const client = connect(port, '127.0.0.1');
  const seen = new Promise<void>((resolve) => {
    let heard = '';
    client.on('data', (chunk: Buffer) => (heard += chunk.toString('latin1')).includes(frameHead(8, FrameType.ping, 0, 0)) && resolve());
  });
  client.write(preface + settingsFrame([]), 'latin1');
  const silent = await session;
  const now = performance.now();
  silent.keepAlive(now + 29_000);
  silent.keepAlive(now + 31_000);
  silent.keepAlive(now + 40_000);
  await seen;
  expect(client.closed).toBe(false);
  silent.keepAlive(now + 42_000);
  await closed;
});

test('who answers is pinged again and stays', async () => {
  const { port, session, closed } = await serve();
  const client = connectHttp2(`http://127.0.0.1:${port}`);
  onTestFinished(() => client.destroy());
  const pings: unknown[] = [];
  const pinged = (): Promise<void> => new Promise((resolve) => client.once('ping', (payload) => resolve(void pings.push(payload))));
  const alive = await session;
  for (const after of [31_000, 62_000]) {
    const ping = pinged();
    alive.keepAlive(performance.now() + after);
    await ping;
    // An answer of ours to a ping of the client's comes behind what it answered to ours.
    await new Promise((resolve) => client.ping(resolve));
  }
  expect(pings).toHaveLength(2);
  client.close();
  await closed;
});

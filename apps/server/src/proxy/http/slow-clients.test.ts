// Clients that take their time are shed by the timeouts and cost the others nothing (reliability-security.md G30); what follows a
// request that was refused is not read (G20).

import { connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { HttpConnectionManager } from '../config/model.ts';
import { chain, cluster, exchangeRaw, listener, manager, startRaw, startRig, type RawServer, type Rig } from '../listener/testing/rig.ts';

async function serve(
  http: Partial<HttpConnectionManager>,
  answer: (chunk: string, socket: Socket) => void = (_, socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'),
): Promise<{ rig: Rig; upstream: RawServer }> {
  const upstream = await startRaw(answer);
  onTestFinished(() => upstream.close());
  const rig = await startRig({ clusters: [cluster([upstream.port])], listener: listener({ chains: [chain({ http: manager(http) })] }) });
  onTestFinished(() => rig.close());
  return { rig, upstream };
}

/** A client that writes `text` and keeps what comes. */
function client(rig: Rig, text: string): { socket: Socket; received: () => string; closed: () => boolean } {
  let received = '';
  let closed = false;
  const socket = connect(rig.port, '127.0.0.1');
  // Before anything a test writes, however long the connect takes.
  socket.write(text);
  socket.setEncoding('latin1').on('data', (chunk: string) => (received += chunk));
  socket.on('error', () => undefined).on('close', () => (closed = true));
  onTestFinished(() => void socket.destroy());
  return { socket, received: () => received, closed: () => closed };
}

const close = 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n';

test('a head that comes line by line is given up in the time for the whole of it', async () => {
  const { rig } = await serve({ requestHeadersTimeoutMs: 150 });
  const slow = client(rig, 'GET / HTTP/1.1\r\nhost: a\r\n');
  let line = 0;
  const trickle = setInterval(() => slow.socket.write(`x-${line++}: y\r\n`), 20);
  onTestFinished(() => clearInterval(trickle));
  // With a new term for every line it would take the 100 lines a head may have.
  await expect.poll(slow.received, { timeout: 10_000 }).toMatch(/^HTTP\/1\.1 \d/);
  expect(slow.received()).toMatch(/^HTTP\/1\.1 408 /);
  expect(await exchangeRaw(rig.port, close)).toMatch(/^HTTP\/1\.1 200 /);
});

test('many connections that say nothing are closed when idle, and others are served meanwhile', async () => {
  const { rig } = await serve({ idleTimeoutMs: 200 });
  const idle = Array.from({ length: 300 }, () => client(rig, ''));
  await expect.poll(() => rig.runtime.stats().listeners[0]?.totalConnections).toBe(300);
  expect(await exchangeRaw(rig.port, close)).toMatch(/^HTTP\/1\.1 200 /);
  await expect.poll(() => idle.every(({ closed }) => closed()), { timeout: 10_000 }).toBe(true);
  await expect.poll(() => rig.runtime.stats().listeners[0]?.activeConnections).toBe(0);
});

test('a body that stops is given up, and its upstream connection with it', async () => {
  const { rig } = await serve({ streamIdleTimeoutMs: 100 }, (chunk, socket) => {
    if (chunk.startsWith('GET')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
  });
  const slow = client(rig, 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf');
  await expect.poll(slow.closed, { timeout: 10_000 }).toBe(true);
  expect(slow.received()).toMatch(/^HTTP\/1\.1 (408|504) /);
  expect(rig.runtime.stats().clusters[0]?.activeRequests).toBe(0);
  expect(await exchangeRaw(rig.port, close)).toMatch(/^HTTP\/1\.1 200 /);
});

test('a reader that stalls is given up, and its upstream connection with it', async () => {
  const { rig } = await serve({ streamIdleTimeoutMs: 300 }, (_, socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n');
    const chunk = Buffer.alloc(64 * 1024, 'x');
    const more = (): void => {
      while (socket.writable && socket.write(chunk));
    };
    socket.on('drain', more);
    more();
  });
  const slow = client(rig, 'GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  slow.socket.pause();
  await expect.poll(() => rig.records.length, { timeout: 10_000 }).toBe(1);
  await expect.poll(() => rig.runtime.stats().clusters[0]).toMatchObject({ activeRequests: 0, activeConnections: 0 });
});

test.each([
  ['two lengths', 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello'],
  ['length and coding', 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['a coding in disguise', 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n'],
  ['a list of codings', 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n'],
  ['a broken chunk', 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n'],
])('what follows a request refused for %s is not read', async (_, bad) => {
  const { rig, upstream } = await serve({}, (chunk, socket) => {
    if (chunk.includes('GET /smuggled')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
  });
  const text = await exchangeRaw(rig.port, `${bad}GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n`);
  expect(text).toMatch(/^HTTP\/1\.1 (400|501) /);
  expect(text.split('HTTP/1.1 ')).toHaveLength(2);
  expect(upstream.received.join('')).not.toContain('smuggled');
});

test('a request that was pipelined as far as its head is read on when its turn comes', async () => {
  let first: (() => void) | undefined;
  const { rig } = await serve({}, (chunk, socket) => {
    const answer = (): void => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    if (chunk.includes('GET /first')) first = answer;
    else if (chunk.includes('hello')) answer();
  });
  const heads = 'GET /first HTTP/1.1\r\nhost: a\r\n\r\nPOST /second HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n';
  const socket = connect(rig.port, '127.0.0.1', () => socket.write(heads));
  let text = '';
  socket.on('data', (part: Buffer) => (text += part.toString('latin1')));
  await expect.poll(() => first).toBeDefined();
  first?.();
  await expect.poll(() => text).toContain('ok');
  socket.write('hello');
  await expect.poll(() => text.split('HTTP/1.1 200').length).toBe(3);
  socket.destroy();
});

test('fields of this connection stay here, and Connection cannot take away what frames', async () => {
  const { rig, upstream } = await serve({});
  const lines = 'x-mine: 1\r\nte: gzip\r\nkeep-alive: 5\r\nproxy-connection: x\r\nhttp2-settings: x\r\nupgrade: h2c\r\n';
  await exchangeRaw(
    rig.port,
    `POST / HTTP/1.1\r\nhost: a\r\n${lines}connection: x-mine, transfer-encoding, content-length, upgrade, http2-settings, close\r\ncontent-length: 2\r\n\r\nhi`,
  );
  const [sent = ''] = upstream.received;
  expect(sent).not.toMatch(/^(?:x-mine|te|keep-alive|proxy-connection|http2-settings|upgrade|connection):/im);
  // As long as it was, only said otherwise: as Envoy does it.
  expect(sent).toMatch(/^transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n$/m);
});

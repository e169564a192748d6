// Peers that abuse HTTP/2 are cut off, memory stays bounded, and others are served meanwhile (reliability-security.md G31, G32).

import { createServer, type RequestListener } from 'node:http';
import * as http2 from 'node:http2';
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { frameHead, FrameType, preface, settingsFrame, Flag, rstFrame, headersFrames, uint32, windowUpdateFrame } from '../../http-wire/codec-h2/frames.ts';
import { HpackEncoder } from '../../http-wire/codec-h2/hpack-encoder.ts';
import { collectGarbage } from '../../http-wire/testing/collect-garbage.ts';
import { cluster, startRig, type Rig } from '../listener/testing/rig.ts';

async function rigFor(handler: RequestListener): Promise<Rig> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const limits = { maxConnections: 10_000, maxPendingRequests: 10_000, maxRequests: 10_000, maxRetries: 3 };
  const rig = await startRig({ clusters: [cluster([(server.address() as AddressInfo).port], { circuitBreaker: limits })] });
  onTestFinished(() => rig.close());
  return rig;
}

/** What is in use after a collection, bytes. */
function memory(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const request = (path = '/'): string => new HpackEncoder().lines(`:method: GET\r\n:scheme: http\r\n:path: ${path}\r\n:authority: a\r\n`);
const get = (id: number): string => headersFrames(id, request(), true, 16_384);

/** A raw client. `goaway` is the code the proxy left with. */
interface Attacker {
  socket: Socket;
  closed: boolean;
  goaway: number | undefined;
}

function attacker(rig: Rig): Attacker {
  const socket = connect(rig.port, '127.0.0.1');
  const state: Attacker = { socket, closed: false, goaway: undefined };
  let bytes: Buffer = Buffer.alloc(0);
  socket.on('error', () => undefined);
  socket.on('close', () => (state.closed = true));
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= 9) {
      const length = bytes.readUIntBE(0, 3);
      if (bytes.length < 9 + length) return;
      if (bytes[3] === FrameType.goaway) state.goaway = bytes.readUInt32BE(13);
      bytes = bytes.subarray(9 + length);
    }
  });
  socket.write(preface + settingsFrame([]), 'latin1');
  onTestFinished(() => void socket.destroy());
  return state;
}

/** Sends what `next` gives until the proxy has had enough; fails when it never has. */
async function abuse(state: Attacker, next: (round: number) => string, limit = 20_000): Promise<void> {
  let drained = true;
  state.socket.on('drain', () => (drained = true));
  for (let round = 0; round < limit && !state.closed && state.goaway === undefined; round++) {
    if (!state.socket.write(next(round), 'latin1')) drained = false;
    if (round % 50 === 49 || !drained) await new Promise((resolve) => setImmediate(resolve));
    while (!drained && !state.closed && state.goaway === undefined) await new Promise((resolve) => setImmediate(resolve));
  }
  await expect.poll(() => state.goaway !== undefined || state.closed).toBe(true);
}

async function othersAreServed(rig: Rig): Promise<void> {
  const session = http2.connect(`http://127.0.0.1:${rig.port}`);
  onTestFinished(() => session.destroy());
  const status = await new Promise((resolve, reject) => {
    session.on('error', reject);
    session
      .request({ ':path': '/' })
      .on('response', (head) => resolve(head[':status']))
      .on('error', reject)
      .resume();
  });
  expect(status).toBe(200);
}

const calm = 11;
const floods: readonly (readonly [name: string, next: (round: number) => string, code: number])[] = [
  ['rapid reset', (round) => get(round * 2 + 1) + rstFrame(round * 2 + 1, 8), calm],
  ['PING', () => `${frameHead(8, FrameType.ping, 0, 0)}12345678`, calm],
  ['SETTINGS', () => settingsFrame([[4, 65_535]]), calm],
  ['PRIORITY', (round) => frameHead(5, FrameType.priority, 0, 1001 + 2 * round) + uint32(1) + '\x10', calm],
  ['WINDOW_UPDATE', () => windowUpdateFrame(0, 1), calm],
  ['empty DATA', (round) => (round === 0 ? headersFrames(1, request(), false, 16_384) : frameHead(0, FrameType.data, 0, 1)), calm],
  ['CONTINUATION', (round) => frameHead(1, round === 0 ? FrameType.headers : FrameType.continuation, Flag.endStream & round, 1) + '\x82', calm],
  ['large CONTINUATION', (round) => frameHead(16_000, round === 0 ? FrameType.headers : FrameType.continuation, 0, 1) + '\x82'.repeat(16_000), calm],
  ['malformed requests', (round) => headersFrames(round * 2 + 1, new HpackEncoder().lines(':method: GET\r\n'), true, 16_384), calm],
  ['unknown frames', () => frameHead(0, 0xbe, 0, 0), calm],
];

test.each(floods)('a flood of %s ends the connection', async (_, next, code) => {
  const rig = await rigFor((__, response) => response.end('ok'));
  const state = attacker(rig);
  await abuse(state, next);
  if (state.goaway !== undefined) expect(state.goaway).toBe(code);
  await othersAreServed(rig);
  await expect.poll(() => rig.runtime.stats().clusters[0]?.activeRequests).toBe(0);
});

test('an HPACK bomb is refused without being unpacked', async () => {
  const rig = await rigFor((_, response) => response.end('ok'));
  const state = attacker(rig);
  const value = 'v'.repeat(3900);
  const insert = `\x40\x06cookie\x7f${String.fromCharCode(((3900 - 127) & 0x7f) | 0x80, (3900 - 127) >> 7)}${value}`;
  const before = process.memoryUsage().rss;
  state.socket.write(headersFrames(1, request() + insert, true, 16_384) + headersFrames(3, request() + '\xbe'.repeat(15_000), true, 16_384), 'latin1');
  await expect.poll(() => rig.runtime.stats().listeners[0]?.totalRequests).toBe(2);
  expect(process.memoryUsage().rss - before).toBeLessThan(20 * 1024 * 1024);
  await othersAreServed(rig);
});

test('streams above the limit are refused, not queued', async () => {
  const rig = await rigFor(() => undefined);
  const state = attacker(rig);
  state.socket.write(Array.from({ length: 150 }, (_, i) => get(i * 2 + 1)).join(''), 'latin1');
  await expect.poll(() => rig.runtime.stats().listeners[0]?.totalRequests).toBe(100);
  await expect.poll(() => rig.runtime.stats().clusters[0]?.activeRequests).toBe(100);
});

test('readers that stall cost a bounded amount each, over HTTP/1.1 and HTTP/2', async () => {
  const chunk = Buffer.alloc(64 * 1024, 'x');
  let sent = 0;
  // An application that would send for ever.
  const app = createTcpServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n');
      const more = (): void => {
        while (socket.writable && socket.write(chunk)) sent += chunk.length;
        sent += chunk.length;
      };
      socket.on('drain', more);
      more();
    });
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void app.close());
  const rig = await startRig({ clusters: [cluster([(app.address() as AddressInfo).port])] });
  onTestFinished(() => rig.close());
  const before = memory();
  for (let i = 0; i < 20; i++) {
    const socket = connect(rig.port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n'));
    socket.on('error', () => undefined).pause();
    onTestFinished(() => void socket.destroy());
  }
  const state = attacker(rig);
  state.socket.write(Array.from({ length: 40 }, (_, i) => get(i * 2 + 1)).join(''), 'latin1');
  await expect.poll(() => rig.runtime.stats().clusters[0]?.activeRequests).toBe(60);
  // Nothing moves any more.
  await expect
    .poll(
      async () => {
        const seen = sent;
        await new Promise((resolve) => setTimeout(resolve, 150));
        return sent === seen;
      },
      { timeout: 25_000 },
    )
    .toBe(true);
  expect(memory() - before).toBeLessThan(60 * 128 * 1024 + 30 * 1024 * 1024);
});

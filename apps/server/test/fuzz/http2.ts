// HPACK against Node's http2 (nghttp2), and any frames into a listener of ours.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import * as http2 from 'node:http2';
import { connect, type AddressInfo } from 'node:net';
import { Flag, frameHead, FrameType, headersFrames, preface, rstFrame, settingsFrame, uint32, windowUpdateFrame } from '../../src/http-wire/codec-h2/frames.ts';
import { HpackDecoder } from '../../src/http-wire/codec-h2/hpack-decoder.ts';
import { HpackEncoder } from '../../src/http-wire/codec-h2/hpack-encoder.ts';
import { cluster, exchangeRaw, startRig } from '../../src/proxy/listener/testing/rig.ts';
import { Pipe } from './pipe.ts';
import type { Random } from './random.ts';
import { settle, type Target } from './target.ts';

const opening = preface + settingsFrame([]);
const ping = frameHead(8, FrameType.ping, 0, 0) + 'are you?';
const pseudo = ':method: GET\r\n:scheme: http\r\n:path: /\r\n:authority: a\r\n';
const lines = ['x: y\r\n', 'x-request-id: 1\r\n', `long: ${'v'.repeat(300)}\r\n`, 'accept: */*\r\n', 'cookie: a=b\r\n', 'te: trailers\r\n', 'y: \xe9\r\n'];

function someLines(random: Random): string {
  let text = pseudo;
  for (let count = random.below(8); count > 0; count--) text += random.pick(lines);
  return text;
}

/** One connection of Node's with these header blocks; what it read of each, and the code it left with. */
async function readByNode(blocks: readonly string[]): Promise<{ requests: string[][]; goaway: number | undefined }> {
  const requests: string[][] = [];
  const server = http2.createServer();
  server.on('sessionError', () => undefined);
  server.on('stream', (stream: http2.ServerHttp2Stream, _: unknown, __: number, raw: string[]) => {
    requests.push(raw);
    stream.on('error', () => undefined).resume();
  });
  const pipe = new Pipe();
  server.emit('connection', pipe);
  pipe.feed(opening + blocks.map((block, i) => headersFrames(i * 2 + 1, block, true, 16_384)).join('') + ping);
  let goaway: number | undefined;
  const done = await settle(() => {
    goaway = undefined;
    let answered = pipe.destroyed;
    for (let at = 0; at + 9 <= pipe.received.length;) {
      const frame = Buffer.from(pipe.received.slice(at), 'latin1');
      if (frame[3] === FrameType.goaway) goaway = frame.readUInt32BE(13);
      if (frame[3] === FrameType.goaway || (frame[3] === FrameType.ping && frame[4] === Flag.ack)) answered = true;
      at += 9 + frame.readUIntBE(0, 3);
    }
    return answered;
  });
  pipe.destroy();
  assert.ok(done, 'Node did not answer');
  return { requests, goaway };
}

/** Blocks between length bytes, so that a case is one string. */
function split(input: string): string[] {
  const blocks: string[] = [];
  for (let at = 0; at + 2 <= input.length;) {
    const length = input.charCodeAt(at) * 256 + input.charCodeAt(at + 1);
    blocks.push(input.slice(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return blocks;
}
const join = (blocks: readonly string[]): string => blocks.map((block) => String.fromCharCode(block.length >> 8, block.length & 255) + block).join('');

export function hpackTarget(): Target {
  return {
    name: 'hpack-decode',
    make(random) {
      const encoder = new HpackEncoder();
      const blocks = Array.from({ length: 1 + random.below(3) }, () => encoder.lines(someLines(random)));
      const at = random.below(blocks.length);
      blocks[at] = random.mutate(blocks[at] ?? '', [
        '\x80',
        '\xff',
        '\xbe',
        '\x40',
        '\x20',
        '\x3f\xe1\x1f',
        '\x00',
        '\x10',
        '\x7f',
        '\x82',
        '\xff\x80\x80\x80\x80\x01',
      ]);
      return join(blocks);
    },
    async check(input) {
      const decoder = new HpackDecoder();
      const taken: string[] = [];
      for (const block of split(input)) {
        const bytes = Buffer.from(block, 'latin1');
        if (!decoder.decode(bytes, 0, bytes.length, { onField: () => undefined })) break;
        taken.push(block);
      }
      if (taken.length === 0) return false;
      const compressionError = 9;
      assert.notEqual((await readByNode(taken)).goaway, compressionError, 'not decoded by nghttp2');
      return true;
    },
  };
}

export function hpackEncodeTarget(): Target {
  return {
    name: 'hpack-encode',
    make: (random) => Array.from({ length: 1 + random.below(6) }, () => someLines(random)).join('|'),
    async check(input) {
      const encoder = new HpackEncoder();
      const messages = input.split('|');
      const { requests, goaway } = await readByNode(messages.map((message) => encoder.lines(message)));
      assert.equal(goaway, undefined);
      const read = requests.map((raw) => raw.map((part, i) => (i % 2 === 0 ? `${part}: ` : `${part}\r\n`)).join(''));
      assert.deepEqual(read, messages);
      return true;
    },
  };
}

/** Frames of every kind, most of them as they should be. */
export function someFrames(random: Random, encoder: HpackEncoder, head: (random: Random) => string): string {
  let text = '';
  for (let count = 1 + random.below(12); count > 0; count--) {
    const id = random.pick([1, 1, 3, 3, 5, 7, 0, 2, 2 ** 31 - 1]);
    const data = random.bytes(random.below(40));
    const block = encoder.lines(head(random));
    text += random.pick([
      () => headersFrames(id, block, random.below(2) === 0, 16_384),
      () => frameHead(block.length, FrameType.headers, random.below(64), id) + block,
      () => frameHead(block.length, FrameType.continuation, random.below(8), id) + block,
      () => frameHead(data.length, FrameType.data, random.below(16), id) + data,
      () => settingsFrame([[random.below(10), random.pick([0, 1, 100, 16_384, 65_535, 2 ** 31 - 1, 2 ** 32 - 1])]]),
      () => windowUpdateFrame(id, random.pick([0, 1, 65_535, 2 ** 31 - 1])),
      () => rstFrame(id, random.below(14)),
      () => frameHead(8, FrameType.goaway, 0, 0) + uint32(id) + uint32(random.below(14)),
      () => ping,
      () => frameHead(data.length, random.below(256), random.below(256), id) + data,
    ])();
  }
  return random.below(3) === 0 ? random.mutate(text, ['\0', '\xff', '\x01', ping]) : text;
}

export async function framesTarget(): Promise<Target> {
  const app = createServer((incoming, response) => void incoming.pipe(response));
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  const rig = await startRig({ clusters: [cluster([(app.address() as AddressInfo).port])] });
  return {
    name: 'http2-frames',
    make: (random) => someFrames(random, new HpackEncoder(), someLines),
    async check(input) {
      let received = 0;
      await new Promise<void>((resolve) => {
        const socket = connect(rig.port, '127.0.0.1', () => socket.end(opening + input + ping, 'latin1'));
        socket.on('data', (chunk: Buffer) => (received += chunk.length));
        socket.on('error', () => undefined).on('close', () => resolve());
      });
      rig.records.length = 0;
      assert.ok(received < 1024 * 1024, `${received} bytes in answer`);
      const answer = await exchangeRaw(rig.port, 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
      assert.match(answer, /^HTTP\/1.1 200 /, 'others are not served');
      return true;
    },
    async close() {
      await rig.close();
      app.closeAllConnections();
      app.close();
    },
  };
}

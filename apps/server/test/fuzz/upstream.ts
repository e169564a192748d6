// Upstreams that answer anything: the client gets one answer, whole or visibly broken, and no connection out of step is used again.

import assert from 'node:assert/strict';
import { settingsFrame } from '../../src/http-wire/codec-h2/frames.ts';
import { HpackEncoder } from '../../src/http-wire/codec-h2/hpack-encoder.ts';
import { someFrames } from './http2.ts';
import { cluster, exchangeRaw, startRaw, startRig } from '../../src/proxy/listener/testing/rig.ts';
import type { Target } from './target.ts';

const seeds = [
  'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello',
  'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello',
  'HTTP/1.0 200 OK\r\n\r\nhello',
];
const pieces = ['\r\n', '\n', '\0', ' ', ':', '0', '5', ';', 'f', 'content-length: 1\r\n', 'transfer-encoding: chunked\r\n', 'connection: close\r\n', ...seeds];

export async function upstreamTarget(): Promise<Target> {
  let answer = '';
  const upstream = await startRaw((chunk, socket) => {
    if (!chunk.includes('\r\n\r\n')) return;
    // What follows the message comes with it, as a response to a request nobody sent.
    if (chunk.startsWith('GET /hostile')) socket.end(answer, 'latin1');
    else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood');
  });
  const rig = await startRig({ clusters: [cluster([upstream.port])] });
  return {
    name: 'upstream-http1',
    make: (random) => random.mutate(random.pick(seeds), pieces),
    async check(input) {
      answer = input;
      const text = await exchangeRaw(rig.port, 'GET /hostile HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
      const heads = text.split(/^HTTP\/1\.1 (?=[2-5]\d\d )/m).length - 1;
      // Bodies may hold what looks like a head: only what is outside of them counts.
      if (!input.slice(1).includes('HTTP/1.')) assert.equal(heads, text === '' ? 0 : 1, text);
      const next = await exchangeRaw(rig.port, 'GET /good HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
      assert.match(next, /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\ngood$/);
      rig.records.length = 0;
      upstream.received.length = upstream.sockets.length = 0;
      return text.startsWith('HTTP/1.1 2');
    },
    async close() {
      await rig.close();
      await upstream.close();
    },
  };
}

const responseHead = ':status: 200\r\nx: y\r\n';
const responseHeads = [
  responseHead,
  responseHead,
  ':status: 103\r\n',
  ':status: 204\r\n',
  'grpc-status: 0\r\n',
  `${responseHead}content-length: 5\r\n`,
  ':status: 0\r\n',
];

/** Any frames from an HTTP/2 upstream to a request that waits: at most one answer, and an end. */
export async function upstreamFramesTarget(): Promise<Target> {
  let answer = '';
  const upstream = await startRaw((_, socket) => void socket.end(settingsFrame([]) + answer, 'latin1'));
  const { http } = cluster([]);
  const rig = await startRig({ clusters: [cluster([upstream.port], { http: { ...http, protocol: 'http2' } })] });
  return {
    name: 'upstream-http2',
    make: (random) => someFrames(random, new HpackEncoder(), () => random.pick(responseHeads)),
    async check(input) {
      answer = input;
      const text = await exchangeRaw(rig.port, 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
      const heads = text.split(/^HTTP\/1\.1 (?=[2-5]\d\d )/m).length - 1;
      assert.equal(heads, text === '' ? 0 : 1, text);
      const { activeRequests, pendingRequests } = rig.runtime.stats().clusters[0] ?? {};
      assert.deepEqual({ activeRequests, pendingRequests }, { activeRequests: 0, pendingRequests: 0 });
      rig.records.length = upstream.received.length = upstream.sockets.length = 0;
      return true;
    },
    async close() {
      await rig.close();
      await upstream.close();
    },
  };
}

// Upstreams that lie about their messages: one answer for one request, never a whole one made of a broken one, and what is out of
// step is not used again (data-path.md §6, reliability-security.md check 34).

import { expect, onTestFinished, test } from 'vitest';
import { Flag, frameHead, FrameType, settingsFrame } from '../../http-wire/codec-h2/frames.ts';
import { cluster, exchangeRaw, startRaw, startRig, type RawServer, type Rig } from '../listener/testing/rig.ts';

const good = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood';

/** The first connection answers `bytes` (and ends, when `ends`); later ones are well. */
async function serve(bytes: string, ends = false): Promise<{ rig: Rig; upstream: RawServer }> {
  const upstream = await startRaw((_, socket, connection) => {
    if (connection > 0) socket.write(good);
    else if (ends) socket.end(bytes, 'latin1');
    else socket.write(bytes, 'latin1');
  });
  onTestFinished(() => upstream.close());
  const rig = await startRig({ clusters: [cluster([upstream.port])] });
  onTestFinished(() => rig.close());
  return { rig, upstream };
}

const get = (path: string, lines = ''): string => `GET ${path} HTTP/1.1\r\nhost: a\r\n${lines}\r\n`;
const headsIn = (text: string): number => text.split('HTTP/1.1 ').length - 1;

async function nextIsServedOverAnother(rig: Rig, upstream: RawServer): Promise<void> {
  expect(await exchangeRaw(rig.port, get('/next', 'connection: close\r\n'))).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\ngood$/);
  expect(upstream.sockets).toHaveLength(2);
}

test.each([
  ['a head of 1 MB', `HTTP/1.1 200 OK\r\n${`x: ${'a'.repeat(1000)}\r\n`.repeat(1000)}content-length: 0\r\n\r\n`],
  ['one line of 1 MB', `HTTP/1.1 200 OK\r\nx: ${'a'.repeat(1_000_000)}`],
  ['a flood of interim responses', `${'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'.repeat(5000)}${good}`],
  ['101 nobody asked for', `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n${good}`],
  ['both lengths, and another response', `HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n${good}`],
])('%s is answered 502 once, and the connection is gone', async (_, bytes) => {
  const { rig, upstream } = await serve(bytes);
  const text = await exchangeRaw(rig.port, get('/', 'connection: close\r\n'));
  const final = text.replace(/HTTP\/1\.1 1\d\d [\s\S]*?\r\n\r\n/g, '');
  expect(final).toMatch(/^HTTP\/1\.1 502 /);
  expect(headsIn(final)).toBe(1);
  expect(rig.records[0]?.responseFlags).toBe('UPE');
  await nextIsServedOverAnother(rig, upstream);
});

const chunked = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n';
test.each([
  ['a close in the middle of a chunk', `${chunked}5\r\nhe`, true],
  ['a close before the last chunk', chunked, true],
  ['a close in the trailers', `${chunked}0\r\nx: y\r\n`, true],
  ['a bare LF after a chunk size', `${chunked}0\n\r\n`, false],
  ['a chunk that is longer than it says', `${chunked}2\r\nabc\r\n0\r\n\r\n`, false],
  ['a length among the trailers', `${chunked}0\r\ncontent-length: 4\r\n\r\n`, false],
  ['a close before the length is reached', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello', true],
])('%s never becomes a whole answer, nor is the next request answered after it', async (_, bytes, ends) => {
  const { rig, upstream } = await serve(bytes, ends);
  const text = await exchangeRaw(rig.port, get('/') + get('/pipelined'));
  expect(headsIn(text)).toBeLessThanOrEqual(1);
  expect(text).not.toMatch(/\r\n0\r\n(?:.*\r\n)*\r\n$/);
  expect(text).not.toContain('good');
  await nextIsServedOverAnother(rig, upstream);
});

test.each([
  ['another response', good.replace('good', 'evil')],
  ['noise', '\0\0\0'],
])('%s beyond the message reaches nobody', async (_, extra) => {
  const { rig, upstream } = await serve(good + extra);
  const text = await exchangeRaw(rig.port, get('/') + get('/pipelined', 'connection: close\r\n'));
  expect(headsIn(text)).toBe(2);
  expect(text.match(/good|evil/g)).toEqual(['good', 'good']);
  expect(upstream.sockets).toHaveLength(2);
});

test.each([
  ['DATA', frameHead(19, FrameType.data, 0, 1) + 'HTTP/1.1 200 OK\r\n\r\n'],
  ['an empty DATA that ends the stream', frameHead(0, FrameType.data, Flag.endStream, 1)],
])('%s before the head of an HTTP/2 response is answered 502', async (_, frames) => {
  const upstream = await startRaw((__, socket) => void socket.write(settingsFrame([]) + frames, 'latin1'));
  onTestFinished(() => upstream.close());
  const { http } = cluster([]);
  const rig = await startRig({ clusters: [cluster([upstream.port], { http: { ...http, protocol: 'http2' } })] });
  onTestFinished(() => rig.close());
  expect(await exchangeRaw(rig.port, get('/', 'connection: close\r\n'))).toMatch(/^HTTP\/1\.1 502 /);
  expect(rig.records[0]?.responseFlags).toBe('UPE');
});

// Requests of HTTP/2: pseudo-headers in any order, fields that belong to HTTP/1, lengths that are wrong, windows that are small.

import { FrameType, frameHead, Setting } from '../../src/http-wire/codec-h2/frames.ts';
import { Random } from '../fuzz/random.ts';
import { someAnswer } from './cases.ts';
import type { Fields, Http2Case, StreamCase } from './http2-client.ts';
import { absolute, fields, methods, targets } from './pieces.ts';
import { LAST, type Case } from './case.ts';

export const OF_CONNECTIONS = /^(?:connection|keep-alive|proxy-connection|transfer-encoding|upgrade|host|te|http2-settings|expect)$/;

export function read(lines: string): [string, string][] {
  return lines
    .split('\r\n')
    .filter((line) => line !== '')
    .map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]);
}

const usual: readonly Fields[] = fields.map(read).filter((list) => list.length > 0 && !list.some(([name]) => OF_CONNECTIONS.test(name)));

/** What a head is changed to by one odd thing. */
const odd: readonly ((head: [string, string][]) => [string, string][])[] = [
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings'].map(
    (name) => (head: [string, string][]) => [...head, [name, name === 'transfer-encoding' ? 'chunked' : 'close']] as [string, string][],
  ),
  ...(
    [
      ['te', 'trailers'],
      ['te', 'gzip'],
      ['X-Upper', '1'],
      ['', '1'],
      ['x y', '1'],
      ['x', 'a\0b'],
      ['x', 'a\nb'],
      ['x', 'a\rb'],
      ['x', ' a'],
      ['x', 'a '],
      ['x', 'a\x01b'],
      ['x', 'a\x7fb'],
      ['x', ''],
      ['x', 'v'.repeat(20_000)],
      ['x_under', '1'],
      ['expect', '100-continue'],
      ['expect', 'a'],
      ['host', 'app.test'],
      ['host', 'b'],
      ['content-length', '5'],
      ['content-length', '0'],
      ['content-length', 'a'],
      [':late', '1'],
      [':path', '/b'],
      [':status', '200'],
      [':protocol', 'websocket'],
    ] as const
  ).map(
    ([name, value]) =>
      (head: [string, string][]) =>
        [...head, [name, value]] as [string, string][],
  ),
  ...[':method', ':scheme', ':path', ':authority'].map((gone) => (head: [string, string][]) => head.filter(([name]) => name !== gone)),
  ...(
    [
      [':method', ''],
      [':method', 'get'],
      [':method', 'FOO'],
      [':method', 'G T'],
      [':method', 'CONNECT'],
      [':scheme', ''],
      [':scheme', 'https'],
      [':scheme', 'HTTP'],
      [':scheme', 'ftp'],
      [':path', ''],
      [':path', 'a'],
      [':path', '*'],
      [':path', '/a#b'],
      [':path', '/a b'],
      [':path', '/\xe4'],
      [':path', '?a'],
      [':authority', ''],
      [':authority', 'a b'],
      [':authority', 'u@a'],
      [':authority', 'a:80'],
      [':authority', 'A.test'],
      [':authority', 'a/b'],
    ] as const
  ).map(
    ([name, value]) =>
      (head: [string, string][]) =>
        head.map(([n, v]): [string, string] => [n, n === name ? value : v]),
  ),
  ...absolute.map((target) => (head: [string, string][]) => head.map(([n, v]): [string, string] => [n, n === ':path' ? target : v])),
  (head) => [...head.slice(1), head[0] ?? ['', '']],
  (head) => [['x', '1'], ...head],
  (head) => [['cookie', ''], ...head],
];

const base = (method: string, path: string): [string, string][] => [
  [':method', method],
  [':scheme', 'http'],
  [':path', path],
  [':authority', 'app.test'],
];
const last: StreamCase = { headers: base('GET', LAST), data: [], endsWithHead: true };

function toCase(seed: number, http2: Http2Case, streams: readonly StreamCase[], answers: Case['answers']): Case {
  return { seed, writes: [], methods: streams.map(({ headers }) => headers.find(([name]) => name === ':method')?.[1] ?? ''), answers, http2 };
}

export const http2Pieces: number = odd.length * 2;

export function http2PieceCase(seed: number): Case {
  const change = odd[seed >> 1] as (typeof odd)[number];
  const post = (seed & 1) === 1;
  const streams = [{ headers: change(base(post ? 'POST' : 'GET', '/')), data: post ? ['hello'] : [], endsWithHead: !post }, last];
  const answer = { when: 'end', parts: ['HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello'], after: 'keep' } as const;
  return toCase(seed, { settings: [], increments: [], before: '', streams }, streams, [answer]);
}

function someStream(random: Random): StreamCase {
  const method = random.pick(methods);
  const pseudo = base(method, random.pick(targets));
  const head = random.below(4) === 0 ? [...pseudo.slice(2), ...pseudo.slice(0, 2)] : pseudo;
  for (let count = random.below(5); count > 0; count--) head.push(...random.pick(usual).map(([n, v]): [string, string] => [n, v]));
  for (let count = random.below(4); count > 0; count--) head.push(['cookie', random.pick(['a=1', 'b=2; c=3', ''])]);
  const changed = random.below(6) === 0 ? random.pick(odd)(head) : head;
  if (random.below(method === 'GET' || method === 'HEAD' ? 8 : 2) > 0) return { headers: changed, data: [], endsWithHead: true };
  // Of several frames with nothing in them Envoy thinks it is flooded.
  const data = [random.pick(['', 'hello']), ...Array.from({ length: random.below(3) }, () => random.pick(['hello', 'x', 'y'.repeat(3000)]))];
  const length = data.join('').length + (random.below(12) === 0 ? 1 : 0);
  const headers = random.below(3) === 0 ? [...changed, ['content-length', String(length)] as const] : changed;
  return { headers, data, endsWithHead: false, ...(random.below(5) === 0 ? { padding: random.below(200) } : {}) };
}

const frames = [
  '',
  '',
  frameHead(3, 99, 255, 1) + 'abc',
  frameHead(5, FrameType.priority, 0, 1) + '\0\0\0\0\x0f',
  frameHead(8, FrameType.ping, 0, 0) + 'are you?',
];

export function http2Case(seed: number): Case {
  const random = new Random(seed);
  const some = Array.from({ length: 1 + random.below(3) }, () => someStream(random));
  const streams = [...some, last];
  // Behind one of HTTP/1.0 Envoy sends bodies without any framing.
  const version = (part: string): string => (some.length > 1 ? part.replace('HTTP/1.0', 'HTTP/1.1') : part);
  const answers = some
    .map(({ headers }) => someAnswer(random, headers.find(([name]) => name === ':method')?.[1] ?? ''))
    .map((answer) => ({ ...answer, when: 'end' as const, parts: answer.parts.map(version) }));
  const small = random.below(5) === 0;
  const settings = small
    ? [[Setting.initialWindowSize, random.pick([0, 1, 100])] as const]
    : random.below(3) === 0
      ? [[Setting.headerTableSize, 0] as const]
      : [];
  return toCase(seed, { settings, increments: small ? [10_000] : [], before: random.pick(frames), streams }, streams, answers);
}

// Answers of HTTP/2 as frames: heads, fields, lengths, trailers, resets, ends of the connection, and frames about the connection. What is
// meant to differ (docs/data-planes.md) is not among them: frames behind the end of a stream, streams that depend on themselves.

import {
  defaultFrameSize,
  ErrorCode,
  Flag,
  frameHead,
  FrameType,
  goawayFrame,
  headersFrames,
  largestWindow,
  rstFrame,
  Setting,
  settingsFrame,
  uint32,
  windowUpdateFrame,
} from '../../src/http-wire/codec-h2/frames.ts';
import { Random } from '../fuzz/random.ts';
import { LAST, type Answer, type Case } from './case.ts';
import { OF_CONNECTIONS, read } from './http2-cases.ts';
import { fieldBlock, type Fields } from './http2-client.ts';
import { answerFields } from './pieces.ts';

const { endStream, endHeaders, padded, priority } = Flag;

/** Frames on the stream of the request, which stands as 1. */
const frame = (type: number, flags: number, payload: string, id = 1): string => frameHead(payload.length, type, flags, id) + payload;
const headers = (fields: Fields, flags = 0, id = 1): string => headersFrames(id, fieldBlock(fields), flags === endStream, defaultFrameSize);
const data = (body: string, flags = 0, id = 1): string => frame(FrameType.data, flags, body, id);

const OK = [[':status', '200']] as const;
const GRPC = [...OK, ['content-type', 'application/grpc']] as const;
const head = headers(OK);
const hello = data('hello', endStream);
const whole = head + hello;
const START = settingsFrame([]);

interface Piece {
  about: string;
  parts: readonly string[];
  /** In place of empty SETTINGS. */
  opening?: string;
  after?: Answer['after'];
  when?: Answer['when'];
  /** One of many places for the same frames. */
  anywhere?: true;
}

const piece = (about: string, ...parts: string[]): Piece => ({ about, parts });
const opens = (about: string, opening: string): Piece => ({ about, opening, parts: [whole] });

const statuses = ['', '0', '20', '99', '100', '101', '102', '103', '204', '205', '304', '404', '503', '600', '999', '1000', 'abc', '200 ', '+200', '2e2'];
const fields: readonly (readonly [string, string])[] = [
  ...[':path', ':method', ':foo', ':status'].map((name) => [name, '200'] as const),
  ...['X-Upper', '', 'x y', 'x:y', 'x\xe4', 'x_y', 'x(', 'n'.repeat(300)].map((name) => [name, '1'] as const),
  ...['', ' a', 'a ', '\ta', 'a\tb', 'a\0b', 'a\nb', 'a\rb', 'a\x01b', 'a\x7fb', 'a\xe4b', 'v'.repeat(20_000), 'v'.repeat(50_000), 'v'.repeat(62_000)].map(
    (value) => ['x', value] as const,
  ),
  ...['connection', 'keep-alive', 'proxy-connection', 'upgrade', 'http2-settings', 'host', 'trailer', 'expect'].map((name) => [name, 'close'] as const),
  ...['trailers', 'gzip'].map((value) => ['te', value] as const),
  ['transfer-encoding', 'chunked'],
  ...['date', 'server', 'x-envoy-upstream-service-time', 'location', 'set-cookie', 'cookie', 'content-type', 'x-request-id'].map(
    (name) => [name, 'a'] as const,
  ),
];
const lengths: readonly string[][] = [['5'], ['4'], ['6'], ['0'], ['a'], ['-1'], ['+5'], ['5', '5'], ['5', '6'], ['5, 5'], [''], ['99999999999999999999']];
const trailers: readonly (readonly [string, Fields])[] = [
  ['usual', [['x-t', '1']]],
  ['none', []],
  ['with :status', [[':status', '200']]],
  ['with :path', [[':path', '/']]],
  [
    'with a pseudo-header behind a field',
    [
      ['x-t', '1'],
      [':a', '1'],
    ],
  ],
  ['in upper case', [['X-T', '1']]],
  ['with connection', [['connection', 'close']]],
  ['with transfer-encoding', [['transfer-encoding', 'chunked']]],
  ['with NUL', [['x-t', 'a\0b']]],
  ['without a name', [['', '1']]],
  ['of 7 KB', [['x-t', 'v'.repeat(7000)]]],
  ['of 9 KB', [['x-t', 'v'.repeat(9000)]]],
  ['of 40 KB', [['x-t', 'v'.repeat(40_000)]]],
  ['of 62 KB', [['x-t', 'v'.repeat(62_000)]]],
  ['of 99 fields', Array.from({ length: 99 }, (_, i) => [`x-${i}`, '1'] as const)],
  ['of 101 fields', Array.from({ length: 101 }, (_, i) => [`x-${i}`, '1'] as const)],
];
const grpcEnds: readonly (readonly [string, Fields])[] = [
  ['0', [['grpc-status', '0']]],
  [
    '5',
    [
      ['grpc-status', '5'],
      ['grpc-message', 'not%20here'],
    ],
  ],
  ['14', [['grpc-status', '14']]],
  ['no number', [['grpc-status', 'abc']]],
  ['negative', [['grpc-status', '-1']]],
  ['99', [['grpc-status', '99']]],
  [
    'two',
    [
      ['grpc-status', '0'],
      ['grpc-status', '5'],
    ],
  ],
  ['none', [['x-t', '1']]],
];
const codes = [...Object.values(ErrorCode), 99, 0xffffffff];

/** Frames that may stand anywhere on a connection. */
export const between: readonly (readonly [string, string])[] = [
  ['PING', frame(FrameType.ping, 0, 'are you?', 0)],
  ['PING of 7', frame(FrameType.ping, 0, 'are you', 0)],
  ['PING on a stream', frame(FrameType.ping, 0, 'are you?')],
  ['PING answered unasked', frame(FrameType.ping, Flag.ack, 'are you?', 0)],
  ['unknown frame', frame(99, 255, 'abc')],
  ['unknown frame on 0', frame(99, 255, 'abc', 0)],
  ['ALTSVC', frame(10, 0, '\0\0a', 0)],
  ['PRIORITY', frame(FrameType.priority, 0, `${uint32(0)}\x0f`)],
  ['SETTINGS', START],
  ['SETTINGS on a stream', frame(FrameType.settings, 0, '')],
  ['SETTINGS of 5', frame(FrameType.settings, 0, 'abcde', 0)],
  ['SETTINGS answered unasked', frame(FrameType.settings, Flag.ack, '', 0)],
  ['SETTINGS answered with settings', frame(FrameType.settings, Flag.ack, 'abcdef', 0)],
  ['table of nothing', settingsFrame([[Setting.headerTableSize, 0]])],
  ['large table', settingsFrame([[Setting.headerTableSize, 100_000]])],
  ['push', settingsFrame([[Setting.enablePush, 1]])],
  ['push 2', settingsFrame([[Setting.enablePush, 2]])],
  ['one stream', settingsFrame([[Setting.maxConcurrentStreams, 1]])],
  ['no window', settingsFrame([[Setting.initialWindowSize, 0]])],
  ['window too large', settingsFrame([[Setting.initialWindowSize, largestWindow + 1]])],
  ['frames of 1000', settingsFrame([[Setting.maxFrameSize, 1000]])],
  ['frames of 2^24', settingsFrame([[Setting.maxFrameSize, 2 ** 24]])],
  ['connect 1', settingsFrame([[Setting.enableConnectProtocol, 1]])],
  ['connect 2', settingsFrame([[Setting.enableConnectProtocol, 2]])],
  ['unknown setting', settingsFrame([[99, 1]])],
  ['WINDOW_UPDATE', windowUpdateFrame(0, 10) + windowUpdateFrame(1, 10)],
  ['WINDOW_UPDATE of 0', windowUpdateFrame(1, 0)],
  ['WINDOW_UPDATE of 0 on 0', windowUpdateFrame(0, 0)],
  ['WINDOW_UPDATE too large', windowUpdateFrame(1, largestWindow)],
  ['WINDOW_UPDATE too large on 0', windowUpdateFrame(0, largestWindow)],
  ['WINDOW_UPDATE on idle', windowUpdateFrame(9, 1)],
  ['WINDOW_UPDATE of 3', frame(FrameType.windowUpdate, 0, 'abc')],
  ['PUSH_PROMISE', frame(FrameType.pushPromise, endHeaders, uint32(2) + fieldBlock([[':method', 'GET']]))],
  ['RST_STREAM of 3', frame(FrameType.rstStream, 0, 'abc')],
  ['RST_STREAM on 0', rstFrame(0, ErrorCode.cancel)],
  ['RST_STREAM on idle', rstFrame(9, ErrorCode.cancel)],
  ['CONTINUATION', frame(FrameType.continuation, endHeaders, fieldBlock([['x', '1']]))],
  ['DATA on 0', data('x', 0, 0)],
  ['DATA on idle', data('x', 0, 9)],
  ['DATA on an even stream', data('x', 0, 2)],
  ['HEADERS on 0', headers(OK, 0, 0)],
  ['HEADERS on idle', headers(OK, 0, 9)],
  ['HEADERS on an even stream', headers(OK, 0, 2)],
  ['HEADERS nobody can read', frame(FrameType.headers, endHeaders, '\xff\xff\xff\xff\xff')],
  ['GOAWAY', goawayFrame(1, ErrorCode.none)],
  ['GOAWAY of all', goawayFrame(largestWindow, ErrorCode.none)],
  ['GOAWAY of none', goawayFrame(0, ErrorCode.none)],
  ['GOAWAY of none, internal', goawayFrame(0, ErrorCode.internal)],
  ['GOAWAY, calm', goawayFrame(1, ErrorCode.enhanceYourCalm)],
  ['GOAWAY twice', goawayFrame(largestWindow, ErrorCode.none) + goawayFrame(0, ErrorCode.none)],
  ['GOAWAY on a stream', frame(FrameType.goaway, 0, uint32(0) + uint32(0))],
  ['GOAWAY of 7', frame(FrameType.goaway, 0, 'abcdefg', 0)],
  ['frame larger than allowed', frame(99, 0, 'x'.repeat(70_000), 0)],
];

/** Answers cut where something else happens: before the head, behind it, in the body, behind all. */
const cuts: readonly (readonly [string, string, string])[] = [
  ['before the head', '', whole],
  ['behind the head', head, hello],
  ['in the body', head + data('he'), data('llo', endStream)],
  ['behind all', whole, ''],
];

const block = fieldBlock([...OK, ['x', '1'.repeat(60)]]);
const all: readonly Piece[] = [
  piece('usual', whole),
  piece('no body', headers(OK, endStream)),
  piece('empty body', head, data('', endStream)),
  ...statuses.flatMap((status) => [
    piece(`status ${status}`, headers([[':status', status]]), hello),
    piece(`status ${status}, no body`, headers([[':status', status]], endStream)),
    piece(
      `status ${status} with a length`,
      headers(
        [
          [':status', status],
          ['content-length', '5'],
        ],
        endStream,
      ),
    ),
  ]),
  piece('no status', headers([['x', '1']]), hello),
  piece('no field at all', headers([]), hello),
  piece('two statuses', headers([...OK, ...OK]), hello),
  piece('status behind a field', headers([['x', '1'], ...OK]), hello),
  ...fields.map(([name, value]) => piece(`field ${JSON.stringify([name.slice(0, 20), value.slice(0, 20)])}`, headers([...OK, [name, value]]), hello)),
  ...[90, 99, 100, 101].map((count) => piece(`${count} fields`, headers([...OK, ...Array.from({ length: count }, (_, i) => [`x-${i}`, '1'] as const)]), hello)),
  ...lengths.flatMap((values) => {
    const said = values.map((value) => ['content-length', value] as const);
    return [
      piece(`lengths ${values.join(' ')}`, headers([...OK, ...said]), hello),
      piece(`lengths ${values.join(' ')}, no body`, headers([...OK, ...said], endStream)),
      piece(`lengths ${values.join(' ')}, trailers`, headers([...OK, ...said]), data('hello'), headers([['x-t', '1']], endStream)),
    ];
  }),
  ...trailers.map(([about, list]) => piece(`trailers ${about}`, head, data('hello'), headers(list, endStream))),
  piece('trailers that do not end', head, data('hello'), headers([['x-t', '1']])),
  piece('trailers without body', head, headers([['x-t', '1']], endStream)),
  piece('body first', data('hello'), whole),
  piece('empty body first', data(''), whole),
  piece('end first', data('', endStream)),
  ...['100', '102', '103'].map((status) =>
    piece(
      `${status} first`,
      headers([
        [':status', status],
        ['link', 'a'],
      ]),
      whole,
    ),
  ),
  piece('103, then refused', headers([[':status', '103']]), rstFrame(1, ErrorCode.refusedStream)),
  piece('103, then 503', headers([[':status', '103']]), headers([[':status', '503']], endStream)),
  piece(
    '100 with a length',
    headers([
      [':status', '100'],
      ['content-length', '5'],
    ]),
    whole,
  ),
  piece('100 and a body', headers([[':status', '100']]), hello),
  piece('twenty of 103', headers([[':status', '103']]).repeat(20), whole),
  piece(
    'padding',
    frame(FrameType.headers, endHeaders | padded, `\x05${fieldBlock(OK)}\0\0\0\0\0`),
    frame(FrameType.data, endStream | padded, '\x03hello\0\0\0'),
  ),
  piece('nothing but padding', head, frame(FrameType.data, padded, '\x03\0\0\0'), hello),
  piece('padding of a head too long', frame(FrameType.headers, endHeaders | padded, `\x55${fieldBlock(OK)}`), hello),
  piece('padding of a body too long', head, frame(FrameType.data, endStream | padded, '\x55hello')),
  piece('priority', frame(FrameType.headers, endHeaders | priority, `${uint32(0)}\x0f${fieldBlock(OK)}`), hello),
  piece(
    'in CONTINUATIONs',
    frame(FrameType.headers, 0, block.slice(0, 1)),
    ...block
      .slice(1, 9)
      .split('')
      .map((byte) => frame(FrameType.continuation, 0, byte)),
    frame(FrameType.continuation, endHeaders, block.slice(9)),
    hello,
  ),
  piece('empty CONTINUATION', frame(FrameType.headers, 0, fieldBlock(OK)), frame(FrameType.continuation, endHeaders, ''), hello),
  piece(
    'CONTINUATION behind PING',
    frame(FrameType.headers, 0, fieldBlock(OK)),
    frame(FrameType.ping, 0, 'are you?', 0),
    frame(FrameType.continuation, endHeaders, ''),
    hello,
  ),
  piece('CONTINUATION of another', frame(FrameType.headers, 0, fieldBlock(OK)), frame(FrameType.continuation, endHeaders, '', 3), hello),
  piece('HTTP/1', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello'),
  piece('large body', headers(OK), data('z'.repeat(16_384)), data('z'.repeat(16_384)), data('', endStream)),
  ...cuts.flatMap(([where, before, behind]) => [
    ...(where === 'behind the head' ? [] : between).map(([about, frames]): Piece => ({
      ...piece(`${about} ${where}`, before, frames + behind),
      anywhere: true,
    })),
    ...codes.map((code): Piece => ({ ...piece(`reset ${code} ${where}`, before, rstFrame(1, code)), anywhere: true })),
    ...(['end', 'reset'] as const).flatMap((after) => [
      { ...piece(`${after} ${where}`, before), after },
      { ...piece(`${after} in a frame ${where}`, before, whole.slice(0, 4)), after },
      { ...piece(`${after} behind GOAWAY ${where}`, before, goawayFrame(1, ErrorCode.none)), after },
    ]),
  ]),
  { ...piece('end in DATA', head, data('hello').slice(0, -2)), after: 'end' },
  ...[ErrorCode.none, ErrorCode.cancel, ErrorCode.refusedStream].map((code) => ({
    ...piece(`early answer, reset ${code}`, whole + rstFrame(1, code)),
    when: 'head' as const,
  })),
  { ...piece('early answer', whole), when: 'head' },
  ...between
    .filter(([about]) => /SETTINGS|WINDOW|GOAWAY|PING|table|window|stream|frames|connect|push|setting/.test(about))
    .flatMap(([about, frames]) => [opens(`begins with ${about}`, frames), opens(`begins, then ${about}`, START + frames)]),
  opens('begins with no window, opened later', settingsFrame([[Setting.initialWindowSize, 0]]) + windowUpdateFrame(1, 3)),
  ...grpcEnds.flatMap(([about, end]) => [
    piece(`gRPC ${about}`, headers(GRPC), data('\0\0\0\0\0'), headers(end, endStream)),
    piece(`gRPC ${about} at once`, headers([...GRPC, ...end], endStream)),
    // What is tried again has not ended: whether the rest of it is read or reset is a matter of time.
    ...(about === '14' ? [] : [piece(`gRPC ${about} in head and trailers`, headers([...GRPC, ...end]), headers(end, endStream))]),
    piece(`gRPC ${about}, 503`, headers([[':status', '503'], ['content-type', 'application/grpc'], ...end], endStream)),
    piece(`gRPC ${about}, text`, headers([...OK, ['content-type', 'text/plain'], ...end], endStream)),
  ]),
  piece('gRPC without trailers', headers(GRPC), data('\0\0\0\0\0', endStream)),
  piece('gRPC, half a message', headers(GRPC), data('\0\0\0\0\x05he'), headers([['grpc-status', '0']], endStream)),
];

/** Of a client of HTTP/1, and of one of gRPC; what may stand anywhere of one of them each. */
const asked: readonly { piece: Piece; grpc: boolean }[] = all.flatMap((piece, i) => {
  const both = [false, true].map((grpc) => ({ piece, grpc }));
  return piece.anywhere === true ? both.slice(i % 2, (i % 2) + 1) : both;
});
export const http2AppPieces: number = asked.length;
/** Where it depends on the listener whether there is another try. */
export const refusedPieces: readonly number[] = asked.flatMap(({ piece: { about } }, i) => (/refused|reset 7|GOAWAY of none/.test(about) ? [i] : []));

/** A client of HTTP/1 asks one after the other, then for the last. `early`: the answer comes before the end of the request. */
function askedByHttp1(methods: readonly string[], early: boolean): Pick<Case, 'writes' | 'methods'> {
  const writes = methods.flatMap((method, after) => {
    const head = `${method} / HTTP/1.1\r\nhost: app.test\r\n`;
    if (method !== 'POST') return [{ bytes: `${head}\r\n`, after }];
    const whole = `${head}content-length: 5\r\n\r\nhello`;
    if (!early) return [{ bytes: whole, after }];
    return [
      { bytes: whole.slice(0, -1), after },
      { bytes: whole.slice(-1), after: after + 1 },
    ];
  });
  const last = { bytes: `GET ${LAST} HTTP/1.1\r\nhost: app.test\r\nconnection: close\r\n\r\n`, after: methods.length };
  return { writes: [...writes, last], methods: [...methods, 'GET'] };
}

function askedByGrpc(count: number): Pick<Case, 'writes' | 'methods' | 'http2'> {
  const paths = [...Array.from({ length: count }, () => '/a.B/C'), LAST];
  const streams = paths.map((path) => ({
    headers: [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', path],
      [':authority', 'app.test'],
      ['te', 'trailers'],
      ['content-type', 'application/grpc'],
    ] as const,
    data: ['\0\0\0\0\0'],
    endsWithHead: false,
  }));
  return { writes: [], methods: paths.map(() => 'POST'), http2: { settings: [], increments: [], before: '', streams } };
}

export function http2AppPieceCase(seed: number): Case {
  const { piece, grpc } = asked[seed] as (typeof asked)[number];
  const { about, parts, opening = START, after = 'keep', when = 'end' } = piece;
  const early = when === 'head';
  const client = grpc ? askedByGrpc(1) : askedByHttp1([early ? 'POST' : 'GET'], early);
  return { seed, about, ...client, answers: [{ when, parts: parts.filter((part) => part !== ''), after }], opening };
}

const usualFields: readonly Fields[] = answerFields.map(read).filter((list) => !list.some(([name]) => OF_CONNECTIONS.test(name)));
/** Those that leave connection and stream as they are. */
const harmless = between.filter(([about]) =>
  /^(?:PING|unknown frame|unknown frame on 0|ALTSVC|PRIORITY|SETTINGS|table of nothing|large table|WINDOW_UPDATE)$/.test(about),
);

/** Behind a first request, 1 is no longer the last stream. */
const anywhere = between.filter(([about]) => about !== 'GOAWAY' && about !== 'GOAWAY, calm');

function someHttp2Answer(random: Random, grpc: boolean): Answer {
  const odd = random.below(12);
  const head: [string, string][] = [[':status', odd === 0 ? random.pick(statuses) : random.pick(['200', '200', '201', '404', '500'])]];
  if (grpc && random.below(8) > 0) head.push(['content-type', 'application/grpc']);
  for (let count = random.below(5); count > 0; count--) head.push(...random.pick(usualFields).map(([name, value]): [string, string] => [name, value]));
  if (odd === 1) head.splice(1 + random.below(head.length), 0, [...random.pick(fields)]);
  const body = Array.from({ length: random.below(4) }, () => random.pick(['hello', 'x', 'z'.repeat(5000)]));
  const length = body.join('').length;
  if (odd === 2) head.push(...random.pick(lengths).map((value): [string, string] => ['content-length', value]));
  else if (random.below(2) === 0) head.push(['content-length', String(length)]);
  const [, end] = grpc ? random.pick(grpcEnds.filter(([about]) => about !== '14')) : random.pick(trailers);
  const withTrailers = odd === 3 || (grpc && odd > 3);
  const frames =
    random.below(10) === 0
      ? [
          headers([
            [':status', '103'],
            ['link', 'a'],
          ]),
        ]
      : [];
  frames.push(headers(head, body.length === 0 && !withTrailers ? endStream : 0));
  body.forEach((part, i) => {
    const flags = i === body.length - 1 && !withTrailers ? endStream : 0;
    frames.push(random.below(6) === 0 ? frame(FrameType.data, flags | padded, `\x03${part}\0\0\0`) : data(part, flags));
  });
  if (withTrailers) frames.push(headers(end, endStream));
  const at = random.below(frames.length + 1);
  if (odd === 4) frames.splice(at, Infinity, rstFrame(1, random.pick(codes)));
  else if (odd === 5) frames.splice(at, 0, random.pick(anywhere)[1]);
  else if (random.below(4) === 0) frames.splice(at, 0, random.pick(harmless)[1]);
  const after = odd === 6 ? random.pick(['end', 'reset'] as const) : 'keep';
  if (after !== 'keep' && random.below(2) === 0) frames.splice(at);
  const parts = random.below(2) === 0 ? [frames.join('')] : frames;
  return { when: 'end', parts: parts.filter((part) => part !== ''), after };
}

export function http2AppCase(seed: number): Case {
  const random = new Random(seed);
  const grpc = random.below(2) === 0;
  const methods = Array.from({ length: 1 + random.below(3) }, () => (grpc ? 'POST' : random.pick(['GET', 'POST'])));
  const asked = grpc ? askedByGrpc(methods.length) : askedByHttp1(methods, false);
  const answers = methods.map(() => someHttp2Answer(random, grpc));
  return { seed, ...asked, answers, opening: random.below(6) === 0 ? START + random.pick(harmless)[1] : START };
}

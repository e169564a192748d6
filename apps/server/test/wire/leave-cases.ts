// Clients that leave in the middle of things: with the end of the connection, a reset, frames that end or break it. Each place is one that
// both sides know they are at, so that nothing is a matter of time.

import { ErrorCode, Flag, frameHead, FrameType, goawayFrame, headersFrames, preface, rstFrame, settingsFrame } from '../../src/http-wire/codec-h2/frames.ts';
import type { Answer, Case, Leave } from './case.ts';
import { between } from './http2-app-cases.ts';
import { fieldBlock } from './http2-client.ts';

interface Place {
  about: string;
  /** All the client writes before. */
  bytes: string;
  once: Leave['once'];
  body?: string;
  answer?: Partial<Answer>;
}

/** Never answered. */
const silent: Answer = { when: 'end', parts: [], after: 'keep' };

const post = 'POST / HTTP/1.1\r\nhost: app.test\r\n';
const head = headersFrames(
  1,
  fieldBlock([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'app.test'],
  ]),
  false,
  16_384,
);
const data = (body: string, flags = 0): string => frameHead(body.length, FrameType.data, flags, 1) + body;
const start = preface + settingsFrame([]);
const handshake = 'GET / HTTP/1.1\r\nhost: app.test\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n';
const half: Record<'http1' | 'http2', Place> = {
  http1: { about: 'in the body', bytes: `${post}content-length: 5\r\n\r\nhel`, once: 'arrived', body: 'hel' },
  http2: { about: 'in the body', bytes: start + head + data('hel'), once: 'arrived', body: 'hel' },
};
const whole: typeof half = {
  http1: { about: 'behind a request', bytes: `${post}content-length: 5\r\n\r\nhello`, once: 'arrived', body: 'hello' },
  http2: { about: 'behind a request', bytes: start + head + data('hello', Flag.endStream), once: 'arrived', body: 'hello' },
};
const http1: readonly Place[] = [
  { about: 'at once', bytes: '', once: 'written' },
  { about: 'in the request line', bytes: 'GET / HT', once: 'written' },
  { about: 'in the fields', bytes: 'GET / HTTP/1.1\r\nhost: app', once: 'written' },
  { about: 'before the empty line', bytes: 'GET / HTTP/1.1\r\nhost: app.test\r\n', once: 'written' },
  { about: 'behind the head', bytes: `${post}content-length: 5\r\n\r\n`, once: 'arrived' },
  half.http1,
  { about: 'in a chunk', bytes: `${post}transfer-encoding: chunked\r\n\r\n5\r\nhel`, once: 'arrived', body: 'hel' },
  { about: 'in the size of a chunk', bytes: `${post}transfer-encoding: chunked\r\n\r\n3\r\nhel\r\n5`, once: 'arrived', body: 'hel' },
  { about: 'in the trailers', bytes: `${post}transfer-encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\nx-t`, once: 'arrived', body: 'hel' },
  whole.http1,
  { about: 'behind a request without a body', bytes: 'GET / HTTP/1.1\r\nhost: app.test\r\n\r\n', once: 'arrived' },
  { about: 'behind a request of HTTP/1.0', bytes: 'GET / HTTP/1.0\r\nhost: app.test\r\n\r\n', once: 'arrived' },
];
const http2: readonly Place[] = [
  { about: 'behind the preface', bytes: preface, once: 'written' },
  { about: 'behind SETTINGS', bytes: start, once: 'written' },
  { about: 'in the head', bytes: start + head.slice(0, -3), once: 'written' },
  { about: 'behind the head', bytes: start + head, once: 'arrived' },
  half.http2,
  { about: 'in DATA', bytes: start + head + data('hel') + data('lo').slice(0, -2), once: 'arrived', body: 'hel' },
  whole.http2,
];

/** The head of the answer and some of it are here, or all; the request is, or not. */
function answered(client: 'http1' | 'http2', app: 'http1' | 'http2'): Place[] {
  const ok = fieldBlock([
    [':status', '200'],
    ['content-length', '5'],
  ]);
  const answer = app === 'http1' ? 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n' : headersFrames(1, ok, false, 16_384);
  const part = app === 'http1' ? 'hel' : data('hel');
  const rest = app === 'http1' ? 'lo' : data('lo', Flag.endStream);
  const end = app === 'http1' ? 'hello' : data('hello', Flag.endStream);
  const upgraded = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
  const tunnel: Place = { about: 'in a tunnel', bytes: handshake, once: 'answered', body: '', answer: { parts: [upgraded] } };
  return [
    ...(client === 'http1' && app === 'http1'
      ? [tunnel, { ...tunnel, about: 'in a tunnel with bytes', body: 'some', answer: { parts: [`${upgraded}some`] } }]
      : []),
    { ...whole[client], about: 'behind the head of an answer', once: 'answered', body: '', answer: { parts: [answer] } },
    { ...whole[client], about: 'in an answer', once: 'answered', body: 'hel', answer: { parts: [answer, part] } },
    { ...whole[client], about: 'behind an answer', once: 'answered', body: 'hello', answer: { parts: [answer + part + rest] } },
    { ...half[client], about: 'in the body, in an answer', once: 'answered', body: 'hel', answer: { when: 'head', parts: [answer + part] } },
    { ...half[client], about: 'in the body, behind an answer', once: 'answered', body: 'hello', answer: { when: 'head', parts: [answer + end] } },
  ];
}

type Way = Pick<Leave, 'bytes' | 'how'> & { about: string };
const closing: readonly Way[] = [
  { about: 'end', bytes: '', how: 'end' },
  { about: 'reset', bytes: '', how: 'reset' },
];
const resets: readonly Way[] = Object.values(ErrorCode).map((code): Way => ({ about: `RST_STREAM ${code}`, bytes: rstFrame(1, code), how: 'keep' }));
const frames: readonly Way[] = [
  ...[ErrorCode.none, ErrorCode.protocol].map((code): Way => ({ about: `GOAWAY ${code}, end`, bytes: goawayFrame(0, code), how: 'end' })),
  // Of streams a client opens, and promises, no GOAWAY of its speaks.
  ...between.filter(([about]) => !/^GOAWAY(?:$| of all|, calm| twice)/.test(about)).map(([about, bytes]): Way => ({ about, bytes, how: 'keep' })),
];

/** Resets where there is a stream, other frames where that makes a difference. */
function ways(client: 'http1' | 'http2', app: 'http1' | 'http2', { about }: Place): readonly Way[] {
  if (client === 'http1' || /preface|DATA|in the head/.test(about)) return closing;
  const some = about === 'behind SETTINGS' ? closing : [...closing, ...(app === 'http1' && about === 'in the body' ? resets : resets.slice(0, 2))];
  return app === 'http1' && /^(?:behind SETTINGS|in the body|behind an answer)$/.test(about) ? [...some, ...frames] : some;
}

const all = (['http1', 'http2'] as const).flatMap((client) =>
  (['http1', 'http2'] as const).flatMap((app) =>
    [...(client === 'http1' ? http1 : http2), ...answered(client, app)].flatMap((place) =>
      ways(client, app, place).map((way) => ({ client, app, place, way })),
    ),
  ),
);

export const leaves: number = all.length;
/** In a head or before one, with the connection: what tells of it is not the same at every listener. */
export const earlyLeaves: readonly number[] = all.flatMap(({ place, way }, i) => (place.once === 'written' && way.bytes === '' ? [i] : []));

export function leaveCase(seed: number): Case {
  const { client, app, place, way } = all[seed] as (typeof all)[number];
  const { bytes, once, body = '', answer } = place;
  return {
    seed,
    about: `${client} to ${app}, ${way.about} ${place.about}`,
    writes: bytes === '' ? [] : [{ bytes, after: 0 }],
    methods: [bytes.slice(0, 4) === 'GET ' ? 'GET' : 'POST'],
    answers: [{ ...silent, ...answer }],
    ...(client === 'http1' ? {} : { http2: { settings: [], increments: [], before: '', streams: [], raw: bytes } }),
    ...(app === 'http1' ? {} : { opening: settingsFrame([]) }),
    leaves: { once, body, bytes: way.bytes, how: way.how },
  };
}

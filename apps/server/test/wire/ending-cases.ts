// How exchanges and tunnels end: applications that leave in the middle of an answer, both sides of a tunnel, and both at once.

import {
  defaultFrameSize,
  ErrorCode,
  Flag,
  frameHead,
  FrameType,
  headersFrames,
  preface,
  rstFrame,
  Setting,
  settingsFrame,
} from '../../src/http-wire/codec-h2/frames.ts';
import { Random } from '../fuzz/random.ts';
import type { Case, Leave } from './case.ts';
import { fieldBlock, type Fields } from './http2-client.ts';

type Speaks = 'http1' | 'http2';
const SPEAKS: readonly Speaks[] = ['http1', 'http2'];

const headers = (fields: Fields, flags = 0): string => headersFrames(1, fieldBlock(fields), flags === Flag.endStream, defaultFrameSize);
const data = (body: string, flags = 0): string => frameHead(body.length, FrameType.data, flags, 1) + body;

/** How a side goes, once it has heard and said all. */
interface Way {
  about: string;
  bytes: string;
  how: Leave['how'];
}
const stays: Way = { about: 'stays', bytes: '', how: 'keep' };
const closing: readonly Way[] = (['end', 'reset', 'end, reset'] as const).map((how) => ({ about: how, bytes: '', how }));
const frames: readonly Way[] = [
  ...[ErrorCode.none, ErrorCode.cancel, ErrorCode.refusedStream].map((code) => ({
    about: `RST_STREAM ${code}`,
    bytes: rstFrame(1, code),
    how: 'keep' as const,
  })),
  { about: 'END_STREAM', bytes: data('', Flag.endStream), how: 'keep' },
];
const waysOf = (side: Speaks): readonly Way[] => (side === 'http1' ? closing : [...closing, ...frames]);

const pseudo = (method: string): Fields => [
  [':method', method],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'app.test'],
];
const post = 'POST / HTTP/1.1\r\nhost: app.test\r\n';
const start = preface + settingsFrame([]);

/** What a client says first; of a tunnel with its first bytes. */
const asked = {
  tunnel: {
    http1: 'GET / HTTP/1.1\r\nhost: app.test\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nping',
    http2: start + headers([...pseudo('CONNECT'), [':protocol', 'websocket']]) + data('ping'),
  },
  half: { http1: `${post}content-length: 5\r\n\r\nping`, http2: start + headers(pseudo('POST')) + data('ping') },
  whole: { http1: `${post}content-length: 4\r\n\r\nping`, http2: start + headers(pseudo('POST')) + data('ping', Flag.endStream) },
};
const tunnelAnswer: Record<Speaks, readonly string[]> = {
  http1: ['HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n', 'some', ' more'],
  http2: [headers([[':status', '200']]), data('some'), data(' more')],
};
const OK = [[':status', '200']] as const;
const ok = 'HTTP/1.1 200 OK\r\n';
/** As much of an answer as an application says before it leaves. */
const said: Record<Speaks, readonly (readonly [about: string, ...parts: readonly string[]])[]> = {
  http1: [
    ['before an answer'],
    ['in the status line', 'HTTP/1.1 20'],
    ['in the fields', `${ok}content-le`],
    ['behind the head', `${ok}content-length: 5\r\n\r\n`],
    ['in the body', `${ok}content-length: 5\r\n\r\n`, 'hel'],
    ['in a body without a length', `${ok}\r\n`, 'hel'],
    ['in a chunk', `${ok}transfer-encoding: chunked\r\n\r\n`, '5\r\nhel'],
    ['in the trailers', `${ok}transfer-encoding: chunked\r\n\r\n3\r\nhel\r\n`, '0\r\nx-t'],
    ['behind an answer', `${ok}content-length: 5\r\n\r\n`, 'hello'],
    ['behind 100', 'HTTP/1.1 100 Continue\r\n\r\n'],
  ],
  http2: [
    ['before an answer'],
    ['in the head', headers(OK).slice(0, -3)],
    ['behind the head', headers(OK)],
    ['in the body', headers(OK), data('hel')],
    ['in DATA', headers(OK), data('hello').slice(0, -2)],
    ['behind an answer', headers(OK) + data('hello', Flag.endStream)],
  ],
};

interface Parties {
  client: Speaks;
  app: Speaks;
  asks: keyof typeof asked;
  place: (typeof said)[Speaks][number];
}

function toCase({ client, app, asks, place: [about, ...parts] }: Parties, ofClient: Way, ofApp: Way, seed: number): Case {
  const bytes = asked[asks][client];
  const leave = { once: 'arrived', body: 'ping', bytes: ofClient.bytes, how: ofClient.how } as const;
  const leaves = asks === 'tunnel' ? ({ ...leave, once: 'answered', body: 'some more', heard: 'ping' } as const) : leave;
  return {
    ...{ seed, about: `${client} to ${app}, ${asks}, ${about}: client ${ofClient.about}, application ${ofApp.about}` },
    ...{ writes: [{ bytes, after: 0 }], methods: [asks === 'tunnel' ? 'GET' : 'POST'] },
    answers: [{ when: asks === 'whole' ? 'end' : 'head', parts, until: 'ping', last: ofApp.bytes, after: ofApp.how }],
    ...(client === 'http1' ? {} : { http2: { settings: [], increments: [], before: '', streams: [], raw: bytes } }),
    ...(app === 'http1' ? {} : { opening: settingsFrame([[Setting.enableConnectProtocol, 1]]) }),
    ...(ofClient === stays ? {} : { leaves }),
    ...(ofClient === stays || (ofApp === stays && asks === 'tunnel') ? {} : { uncertain: true as const }),
  };
}

const pairs = SPEAKS.flatMap((client) => SPEAKS.map((app) => ({ client, app })));
const tunnel = (app: Speaks): (typeof said)[Speaks][number] => ['behind the first bytes', ...tunnelAnswer[app]];

const tunnels = pairs.flatMap((pair) => {
  const parties = { ...pair, asks: 'tunnel', place: tunnel(pair.app) } as const;
  const ofClient = [stays, ...waysOf(pair.client)].map((way) => ({ parties, ofClient: way, ofApp: stays }));
  return [...ofClient, ...waysOf(pair.app).map((way) => ({ parties, ofClient: stays, ofApp: way }))];
});
export const tunnelEnds: number = tunnels.length;

export function tunnelCase(seed: number): Case {
  const { parties, ofClient, ofApp } = tunnels[seed] as (typeof tunnels)[number];
  return toCase(parties, ofClient, ofApp, seed);
}

const applications = pairs.flatMap((pair) =>
  said[pair.app].flatMap((place) =>
    (['half', 'whole'] as const).flatMap((asks) =>
      waysOf(pair.app)
        .filter(({ about }) => ['end', 'reset', `RST_STREAM ${ErrorCode.cancel}`].includes(about))
        .map((ofApp) => ({ parties: { ...pair, asks, place }, ofApp })),
    ),
  ),
);
export const appLeaves: number = applications.length;

export function appLeaveCase(seed: number): Case {
  const { parties, ofApp } = applications[seed] as (typeof applications)[number];
  return toCase(parties, stays, ofApp, seed);
}

/** Any of these, and both sides at once. */
export function endingCase(seed: number): Case {
  const random = new Random(seed);
  const [client, app] = [random.pick(SPEAKS), random.pick(SPEAKS)];
  const asks = random.pick(['tunnel', 'tunnel', 'half', 'whole'] as const);
  const parties = { client, app, asks, place: asks === 'tunnel' ? tunnel(app) : random.pick(said[app]) };
  const ofClient = random.below(3) === 0 ? stays : random.pick(waysOf(client));
  // Behind half a frame, or the end of a stream, no other can be.
  const cut = /^(?:in DATA|in the head|behind an answer)$/.test(parties.place[0]);
  return toCase(parties, ofClient, cut ? random.pick(closing) : random.below(3) === 0 ? stays : random.pick(waysOf(app)), seed);
}

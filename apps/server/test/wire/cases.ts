// Requests and answers of HTTP/1 as bytes: most of them as they should be, some odd, some wrong.

import { Random } from '../fuzz/random.ts';
import {
  methods,
  oddMethods,
  targets,
  oddTargets,
  absolute,
  versions,
  hosts,
  oddHosts,
  fields,
  oddFields,
  chunkedBodies,
  oddChunkedBodies,
  oddLengths,
  encodings,
  oddEncodings,
  statuses,
  oddStatuses,
  answerVersions,
  answerFields,
  oddAnswerFields,
  interims,
} from './pieces.ts';
import { LAST, type Answer, type Case } from './case.ts';

const many = (random: Random, from: readonly string[], most: number): string => {
  let text = '';
  for (let count = random.below(most + 1); count > 0; count--) text += random.pick(from);
  return text;
};

interface Request {
  method: string;
  head: string;
  body: string;
  odd: boolean;
}

function someBody(random: Random, method: string, odd: boolean): [fields: string, body: string] {
  if (odd) {
    switch (random.below(4)) {
      case 0:
        return [random.pick(oddEncodings), random.pick(chunkedBodies)];
      case 1:
        return [random.pick(oddLengths), 'hello'];
      default:
        return [random.pick(encodings), random.pick(oddChunkedBodies)];
    }
  }
  switch (random.below(method === 'GET' || method === 'HEAD' ? 24 : 6)) {
    case 0:
      return ['content-length: 0\r\n', ''];
    case 1:
    case 2: {
      const body = random.pick(['hello', 'x', 'a\r\nb', 'y'.repeat(3000)]);
      return [random.pick(['content-length: ', 'Content-Length:']) + `${body.length}\r\n`, body];
    }
    case 3:
    case 4:
      return [random.pick(encodings), random.pick(chunkedBodies)];
    default:
      return ['', ''];
  }
}

/** At most one thing is odd: of two faults either may be told first. */
function someRequest(random: Random): Request {
  const odd = random.below(25);
  const method = odd === 0 ? random.pick(oddMethods) : random.pick(methods);
  const target = odd === 1 ? random.pick(oddTargets) : odd === 2 ? random.pick(absolute) : method === 'OPTIONS' && odd === 3 ? '*' : random.pick(targets);
  const version = odd === 4 ? random.pick(versions) : odd > 8 && random.below(12) === 0 ? 'HTTP/1.0' : 'HTTP/1.1';
  // The length of what HTTP/1.0 sends is never said by chunks: refused here.
  const [bodyFields, body] = version === 'HTTP/1.0' || odd === 0 || odd === 7 ? ['', ''] : someBody(random, method, odd === 5);
  // An upgrade with a body is a request like others here.
  const upgrades = method === 'GET' && version === 'HTTP/1.1' && body === '';
  const some = (most: number): string => many(random, fields, most).replaceAll(/upgrade: websocket/gi, upgrades ? '$&' : 'upgrade: h2c');
  const lines = [odd === 6 ? random.pick(oddHosts) : random.pick(hosts), some(4), bodyFields, odd === 7 ? random.pick(oddFields) : '', some(2)];
  if (random.below(8) === 0) lines.push(lines.shift() ?? '');
  const before = odd === 8 ? random.pick(['\r\n', '\r\n\r\n', ' ', 'x']) : '';
  return { odd: odd <= 8, method, head: `${before}${method} ${target} ${version}\r\n${lines.join('')}\r\n`, body };
}

export function someAnswer(random: Random, method: string): Answer {
  const odd = random.below(25);
  const status = odd === 0 ? random.pick(oddStatuses) : odd === 3 ? '200 OK' : random.pick(statuses);
  const interim = random.below(10) === 0 ? random.pick(interims) : '';
  const usual = random.below(5);
  let framing = '';
  let body = random.pick(['hello', 'x', 'z'.repeat(5000)]);
  let after: Answer['after'] = odd === 1 ? 'reset' : odd === 2 ? 'end' : 'keep';
  if (odd === 3) [framing, body, after] = [random.pick(oddLengths), 'hello', 'end'];
  else if (odd === 4) [framing, body, after] = ['content-length: 9\r\n', 'short', random.pick(['end', 'reset'] as const)];
  else if (odd === 5) [framing, body] = [random.pick(oddEncodings), random.pick(chunkedBodies)];
  else if (odd === 6) [framing, body] = [random.pick(encodings), random.pick(oddChunkedBodies)];
  else if (usual === 0) [framing, body] = [random.pick(encodings), random.pick(chunkedBodies)];
  else if (usual === 1) after = 'end';
  else framing = `${random.pick(['content-length: ', 'Content-Length:'])}${body.length}\r\n`;
  if (status.startsWith('204')) framing = '';
  if (method === 'HEAD' || /^[23]04/.test(status)) body = '';
  const version = odd === 7 ? random.pick(answerVersions) : random.below(12) === 0 && !framing.toLowerCase().startsWith('transfer') ? 'HTTP/1.0' : 'HTTP/1.1';
  const head = `${version} ${status}\r\n${many(random, answerFields, 4)}${odd === 8 ? random.pick(oddAnswerFields) : ''}${framing}\r\n`;
  const whole = head + body;
  const cut = random.below(whole.length);
  const parts = random.below(4) === 0 ? [interim, whole.slice(0, cut), whole.slice(cut)] : random.below(2) === 0 ? [interim, head, body] : [interim + whole];
  return { when: random.below(8) === 0 ? 'head' : 'end', parts: parts.filter((part) => part !== ''), after };
}

/** One connection: some requests, then the last one. */
export function randomCase(seed: number): Case {
  const random = new Random(seed);
  const count = random.below(3) === 0 ? 1 + random.below(3) : 1;
  const requests = Array.from({ length: count }, () => someRequest(random));
  const methods = requests.map(({ method }) => method);
  const answers = methods.map((method) => someAnswer(random, method));
  const last = `GET ${LAST} HTTP/1.1\r\nhost: app.test\r\nconnection: close\r\n\r\n`;
  const pipelined = random.below(4) === 0 && requests.every(({ odd }) => !odd) && answers.every(({ after }) => after === 'keep');
  const writes: { bytes: string; after: number }[] = [];
  requests.forEach(({ head, body, odd }, i) => {
    const after = pipelined ? 0 : i;
    const whole = head + body;
    const kind = random.below(8);
    // An answer that does not wait for the request comes before its end.
    if (answers[i]?.when === 'head' && body !== '' && !odd) writes.push({ bytes: whole.slice(0, -1), after }, { bytes: whole.slice(-1), after: i + 1 });
    else if (kind === 0) {
      const cut = random.below(whole.length);
      writes.push({ bytes: whole.slice(0, cut), after }, { bytes: whole.slice(cut), after });
    } else if (kind === 1) writes.push({ bytes: head, after }, { bytes: body, after });
    else writes.push({ bytes: whole, after });
  });
  writes.push({ bytes: last, after: pipelined ? 0 : count });
  return { seed, writes: writes.filter(({ bytes }) => bytes !== ''), methods: [...methods, 'GET'], answers };
}

const get = 'GET / HTTP/1.1\r\nhost: app.test\r\n';
const webSocket = 'upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-key: a\r\nsec-websocket-version: 13\r\n';
const ok = 'HTTP/1.1 200 OK\r\n';
/** Each piece by itself in what is otherwise as it should be: what it does, before chance brings several together. */
const listed: readonly (readonly [method: string, request: string, answer: string])[] = [
  ...[...methods, ...oddMethods].map((m) => [m, `${m} / HTTP/1.1\r\nhost: app.test\r\n\r\n`, ''] as const),
  ...[...targets, ...oddTargets, ...absolute].map((t) => ['GET', `GET ${t} HTTP/1.1\r\nhost: app.test\r\n\r\n`, ''] as const),
  ['OPTIONS', 'OPTIONS * HTTP/1.1\r\nhost: app.test\r\n\r\n', ''],
  // Of two types Envoy reads neither.
  ...['', 'application/grpc', 'text/plain'].map((second) => {
    const types = ['application/grpc', second].filter((type) => type !== '').map((type) => `content-type: ${type}\r\n`);
    return ['GET', `${get}${types.join('')}\r\n`, 'junk\r\n\r\n'] as const;
  }),
  ...versions.flatMap((v) => ['', 'connection: keep-alive\r\n'].map((c) => ['GET', `GET / ${v}\r\nhost: app.test\r\n${c}\r\n`, ''] as const)),
  ['GET', 'GET / HTTP/1.0\r\n\r\n', ''],
  ...['', 'proxy-connection: close\r\n'].map((f) => ['GET', `GET / HTTP/1.0\r\nhost: app.test\r\nconnection: keep-alive, close\r\n${f}\r\n`, ''] as const),
  ['OPTIONS', 'OPTIONS * HTTP/1.0\r\nhost: app.test\r\nconnection: keep-alive\r\n\r\n', ''],
  ...[...hosts, ...oddHosts].map((h) => ['GET', `GET / HTTP/1.1\r\n${h}\r\n`, ''] as const),
  ...[...fields, ...oddFields].map((f) => ['GET', `${get}${f}\r\n`, ''] as const),
  // An upgrade with a body is a request like others here.
  ...[...fields, ...oddFields]
    .filter((f) => !/websocket/i.test(f))
    .map((f) => ['POST', `POST / HTTP/1.1\r\nhost: app.test\r\n${f}content-length: 5\r\n\r\nhello`, ''] as const),
  ...[...chunkedBodies, ...oddChunkedBodies].map((b) => ['POST', `POST / HTTP/1.1\r\nhost: app.test\r\ntransfer-encoding: chunked\r\n\r\n${b}`, ''] as const),
  ...oddLengths.map((l) => ['POST', `POST / HTTP/1.1\r\nhost: app.test\r\n${l}\r\nhello`, ''] as const),
  ...[...encodings, ...oddEncodings].map((e) => ['POST', `POST / HTTP/1.1\r\nhost: app.test\r\n${e}\r\n0\r\n\r\n`, ''] as const),
  // What answers a WebSocket's handshake without taking it.
  ...answerFields.filter((f) => !f.startsWith('keep-alive')).map((f) => ['GET', `${get}${webSocket}\r\n`, `${ok}${f}content-length: 0\r\n\r\n`] as const),
  ...['204 No Content', '304 Not Modified', '301 Moved', '404 Not Found'].flatMap((s) =>
    ['\r\n', 'content-length: 0\r\n\r\n', 'content-length: 5\r\n\r\nhello'].map((l) => ['GET', `${get}${webSocket}\r\n`, `HTTP/1.1 ${s}\r\n${l}`] as const),
  ),
  ...['GET', 'HEAD'].flatMap((m) =>
    [
      ...[...statuses, ...oddStatuses].flatMap((s) => [
        `HTTP/1.1 ${s}\r\ncontent-length: 0\r\n\r\n`,
        `HTTP/1.1 ${s}\r\n\r\n`,
        `HTTP/1.1 ${s}\r\ncontent-length: 5\r\n\r\nhello`,
        `HTTP/1.1 ${s}\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
      ]),
      ...answerVersions.map((v) => `${v} 200 OK\r\ncontent-length: 5\r\n\r\nhello`),
      ...[...answerFields, ...oddAnswerFields].map((f) => `${ok}${f}content-length: 5\r\n\r\nhello`),
      ...[...chunkedBodies, ...oddChunkedBodies].map((b) => `${ok}transfer-encoding: chunked\r\n\r\n${b}`),
      ...oddLengths.map((l) => `${ok}${l}\r\nhello`),
      ...[...encodings, ...oddEncodings].map((e) => `${ok}${e}\r\n0\r\n\r\n`),
      `${ok}\r\nhello`,
      `${ok}content-length: 9\r\n\r\nhello`,
      `${ok}content-length: 5\r\n\r\nhello more`,
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n',
      '',
      'junk',
      'junk\r\n\r\n',
    ].map((a) => [m, `${m} / HTTP/1.1\r\nhost: app.test\r\n${m === 'POST' ? 'content-length: 5\r\n\r\nhello' : '\r\n'}`, a] as const),
  ),
];

/** Of an answer to HEAD only the head is sent, which may then be that of another. */
const alone = [
  ...new Map(
    listed.map(([method, request, answer]) => {
      const given = method === 'HEAD' && answer !== '' ? `${answer.split('\r\n\r\n')[0]}\r\n\r\n` : answer;
      return [`${request}${given}`, [method, request, given] as const];
    }),
  ).values(),
];

export const pieces: number = alone.length;
/** Those that a proxy takes differently where it stands at the edge, or before the application. */
export const placePieces: readonly number[] = alone.flatMap(([, request, answer], i) =>
  answer === '' && /x-forwarded|x-envoy|x-request-id|https?:\/\/|host:\s*\r|upgrade: foo|1\.0/i.test(request) ? [i] : [],
);

/** The piece of that number in one request, then the last. */
export function pieceCase(seed: number): Case {
  const [method, request, given] = alone[seed] as (typeof alone)[number];
  const usual = `${ok}content-length: 5\r\n\r\n${method === 'HEAD' ? '' : 'hello'}`;
  const ends = given !== '' && !/HTTP.*content-length|chunked\r\n\r\n[0-9a-f]/is.test(given);
  const writes = [
    { bytes: request, after: 0 },
    { bytes: `GET ${LAST} HTTP/1.1\r\nhost: app.test\r\nconnection: close\r\n\r\n`, after: 1 },
  ];
  return { seed, writes, methods: [method, 'GET'], answers: [{ when: 'end', parts: [given === '' ? usual : given], after: ends ? 'end' : 'keep' }] };
}

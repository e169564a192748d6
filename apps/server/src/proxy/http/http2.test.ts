import { request as httpRequest, type IncomingMessage } from 'node:http';
import * as http2 from 'node:http2';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { ErrorCode, Flag, frameHead, FrameType, headersFrames, preface, rstFrame, settingsFrame } from '../../http-wire/codec-h2/frames.ts';
import { HpackEncoder } from '../../http-wire/codec-h2/hpack-encoder.ts';
import type { ClusterConfig, ForwardAction } from '../config/model.ts';
import { cluster, listener, manager, chain, route, routes, startRaw, startRig, type Rig } from '../listener/testing/rig.ts';
import { startApp, track } from '../listener/testing/app.ts';

interface H2App {
  port: number;
  sessions: http2.ServerHttp2Session[];
}

async function h2App(handler: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void, settings: http2.Settings = {}): Promise<H2App> {
  const server = http2.createServer({ settings });
  const sessions: http2.ServerHttp2Session[] = [];
  server.on('session', (session) => sessions.push(session));
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    handler(stream, headers);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, sessions };
}

const speaking = (protocol: ClusterConfig['http']['protocol']): Partial<ClusterConfig> => ({ http: { ...cluster([]).http, protocol } });
const overHttp2 = speaking('http2');

async function rigFor(port: number, upstream: Partial<ClusterConfig> = {}, action: Partial<ForwardAction> = {}): Promise<Rig> {
  return track(await startRig({ clusters: [cluster([port], upstream)], routes: routes([route(action)]) }));
}

function client(port: number): http2.ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on('error', () => undefined);
  onTestFinished(() => session.destroy());
  return session;
}

interface Answer {
  status: number;
  headers: http2.IncomingHttpHeaders;
  body: string;
  trailers: http2.IncomingHttpHeaders;
}

function ask(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body?: string | Buffer,
  trailers?: http2.OutgoingHttpHeaders,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === undefined && trailers === undefined, waitForTrailers: trailers !== undefined });
    if (trailers !== undefined) stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    const answer: Answer = { status: 0, headers: {}, body: '', trailers: {} };
    stream.on('response', (head) => {
      answer.headers = head;
      answer.status = Number(head[':status']);
    });
    stream.on('trailers', (fields) => (answer.trailers = fields));
    stream.setEncoding('latin1').on('data', (part: string) => (answer.body += part));
    stream.on('error', reject);
    stream.on('close', () => (stream.rstCode === 0 ? resolve(answer) : reject(new Error(`reset with ${stream.rstCode}`))));
    if (body !== undefined || trailers !== undefined) stream.end(body);
  });
}

function ask1(
  port: number,
  options: { method?: string; path?: string; headers?: Record<string, string>; body?: string | Buffer } = {},
): Promise<{
  status: number;
  body: string;
  incoming: IncomingMessage;
}> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      { port, host: '127.0.0.1', agent: false, method: options.method ?? 'GET', path: options.path ?? '/', headers: options.headers ?? {} },
      (incoming) => {
        let body = '';
        incoming.setEncoding('latin1').on('data', (part: string) => (body += part));
        incoming.on('error', reject).on('end', () => resolve({ status: incoming.statusCode ?? 0, body, incoming }));
      },
    );
    sent.on('error', reject).end(options.body);
  });
}

const big = Buffer.alloc(3_000_000, 'abcdefghij');

test('HTTP/2 in, HTTP/1.1 out: heads, bodies, many at a time, one connection in', async () => {
  const app = await startApp((incoming, response) => {
    response.setHeader('x-seen', JSON.stringify(incoming.headers));
    incoming.pipe(response);
  });
  const rig = await rigFor(app);
  const session = client(rig.port);
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) => ask(session, { ':path': `/${i}`, ':method': 'POST', cookie: 'a=1', 'x-mine': 'yes' }, `body ${i}`)),
  );
  expect(answers.map((answer) => answer.body)).toEqual(Array.from({ length: 50 }, (_, i) => `body ${i}`));
  expect(answers[0]).toMatchObject({ status: 200, headers: { server: 'envoy' } });
  expect(JSON.parse(String(answers[0]?.headers['x-seen']))).toMatchObject({ 'x-mine': 'yes', cookie: 'a=1', host: `127.0.0.1:${rig.port}` });
  const large = await ask(session, { ':path': '/large', ':method': 'POST' }, big);
  expect(large.body === big.toString('latin1')).toBe(true);
  expect(rig.runtime.stats().listeners[0]).toMatchObject({ totalConnections: 1, totalRequests: 51 });
  expect(rig.records[0]).toMatchObject({ protocol: 'HTTP/2', status: 200, responseFlags: '-' });
});

test('HTTP/1.1 in, HTTP/2 out: one connection for all', async () => {
  const app = await h2App((stream, headers) => {
    stream.respond({ ':status': 200, 'x-path': headers[':path'] ?? '', 'x-authority': headers[':authority'] ?? '' });
    stream.pipe(stream);
  });
  const rig = await rigFor(app.port, overHttp2);
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, i) => ask1(rig.port, { method: 'POST', path: `/${i}`, body: `body ${i}`, headers: { host: 'a.test' } })),
  );
  expect(answers.map((answer) => answer.body)).toEqual(Array.from({ length: 40 }, (_, i) => `body ${i}`));
  expect(answers[3]?.incoming.headers).toMatchObject({ 'x-path': '/3', 'x-authority': 'a.test' });
  expect((await ask1(rig.port, { method: 'POST', body: big })).body === big.toString('latin1')).toBe(true);
  expect(app.sessions).toHaveLength(1);
});

test('gRPC shapes over HTTP/2 both ways: trailers, trailers only, te', async () => {
  const app = await h2App((stream, headers) => {
    if (headers[':path'] === '/only') return stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '5' }, { endStream: true });
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'x-te': headers.te ?? '' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': 'fine' }));
    stream.pipe(stream);
  });
  const rig = await rigFor(app.port, overHttp2);
  const session = client(rig.port);
  const call = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
  expect(await ask(session, { ...call, ':path': '/echo' }, 'message')).toMatchObject({
    body: 'message',
    headers: { 'x-te': 'trailers' },
    trailers: { 'grpc-status': '0', 'grpc-message': 'fine' },
  });
  expect(await ask(session, { ...call, ':path': '/only' }, 'message')).toMatchObject({ body: '', headers: { 'grpc-status': '5' } });
  expect(rig.records.map((record) => record.grpcStatus)).toEqual(['0', '5']);
});

test('gRPC messages are counted both ways, in whatever pieces they come', async () => {
  const framed = (payload: string): Buffer => Buffer.concat([Buffer.from([0, 0, 0, 0, payload.length]), Buffer.from(payload)]);
  const app = await h2App((stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.on('end', () => {
      for (const byte of Buffer.concat([framed('one'), framed(''), framed('three')])) stream.write(Buffer.from([byte]));
      stream.end();
    });
    stream.resume();
  });
  const rig = await rigFor(app.port, overHttp2);
  await ask(client(rig.port), { ':method': 'POST', ':path': '/', 'content-type': 'application/grpc' }, Buffer.concat([framed('a'), framed('b')]));
  expect(rig.records[0]).toMatchObject({ requestMessages: 2, responseMessages: 3 });
});

test.each([
  ['CR in a value', { 'x-a': 'a\rb' }],
  ['LF in a value', { 'x-a': 'a\nb' }],
  ['NUL in a value', { 'x-a': 'a\0b' }],
  ['an upper-case name', { 'X-A': 'b' }],
  ['a space in a name', { 'x a': 'b' }],
  ['Connection', { connection: 'close' }],
  ['Transfer-Encoding', { 'transfer-encoding': 'chunked' }],
  ['Upgrade', { upgrade: 'h2c' }],
  ['TE gzip', { te: 'gzip' }],
  ['two lengths', { 'content-length': '1\r\ncontent-length: 2' }],
  ['a length that is none', { 'content-length': '+1' }],
  ['a length with END_STREAM', { 'content-length': '5' }],
  ['a second path', { ':path': '/b' }],
  ['an unknown pseudo-header field', { ':x': 'y' }],
])('what could not be said in HTTP/1.1 never reaches it: %s', async (_, extra) => {
  const upstream = track(await startRaw((__, socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')));
  const rig = await rigFor(upstream.port);
  const literal = (text: string): string => String.fromCharCode(text.length) + text;
  const block = `\x82\x86\x84\x41\x01a${Object.entries(extra)
    .map(([name, value]) => `\0${literal(name)}${literal(value)}`)
    .join('')}`;
  const socket = connect(rig.port, '127.0.0.1', () => socket.write(preface + settingsFrame([]) + headersFrames(1, block, true, 16_384), 'latin1'));
  onTestFinished(() => void socket.destroy());
  let received = '';
  socket.on('data', (part: Buffer) => (received += part.toString('latin1')));
  await expect.poll(() => received).toContain(rstFrame(1, ErrorCode.protocol));
  expect(upstream.received).toEqual([]);
});

test('a body that is not as long as announced is never passed on as complete', async () => {
  const upstream = track(await startRaw(() => undefined));
  const rig = await rigFor(upstream.port);
  const socket = connect(rig.port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  const block = new HpackEncoder().lines(':method: POST\r\n:scheme: http\r\n:path: /\r\n:authority: a\r\ncontent-length: 5\r\n');
  let received = '';
  socket.on('data', (part: Buffer) => (received += part.toString('latin1')));
  socket.write(preface + settingsFrame([]) + headersFrames(1, block, false, 16_384), 'latin1');
  await expect.poll(() => rig.runtime.stats().clusters[0]?.activeRequests).toBe(1);
  socket.write(`${frameHead(3, FrameType.data, Flag.endStream, 1)}abc`, 'latin1');
  await expect.poll(() => received).toContain(rstFrame(1, ErrorCode.protocol));
  await expect.poll(() => rig.runtime.stats().clusters[0]).toMatchObject({ activeRequests: 0, activeConnections: 0 });
});

test('a window that grows is acknowledged before it is used', async () => {
  const rig = await rigFor(await startApp((_, response) => response.end('body')));
  const socket = connect(rig.port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  let received = '';
  socket.on('data', (part: Buffer) => (received += part.toString('latin1')));
  const block = new HpackEncoder().lines(':method: GET\r\n:scheme: http\r\n:path: /\r\n:authority: a\r\n');
  socket.write(preface + settingsFrame([[4, 0]]) + headersFrames(1, block, true, 16_384), 'latin1');
  // The head is there (its date is not compressed), and the body waits.
  await expect.poll(() => received).toContain(' GMT');
  const before = received.length;
  socket.write(settingsFrame([[4, 1]]), 'latin1');
  const acknowledged = frameHead(0, FrameType.settings, Flag.ack, 0);
  await expect.poll(() => received.slice(before)).toBe(`${acknowledged}${frameHead(1, FrameType.data, 0, 1)}b`);
});

test('answers of our own to gRPC are in its form', async () => {
  const rig = await rigFor(1, overHttp2);
  const answer = await ask(client(rig.port), { ':method': 'POST', ':path': '/', 'content-type': 'application/grpc' }, 'x');
  expect(answer).toMatchObject({ status: 200, body: '', headers: { 'grpc-status': '14', 'content-type': 'application/grpc' } });
  expect(answer.headers['grpc-message']).toMatch(/connection failure/);
  expect(rig.records[0]).toMatchObject({ responseFlags: 'UF', grpcStatus: '14' });
});

test('grpc-timeout is honoured and capped', async () => {
  const app = await h2App(() => undefined);
  const rig = await rigFor(app.port, overHttp2, { maxGrpcTimeoutMs: 0 });
  const session = client(rig.port);
  const call = { ':method': 'POST', ':path': '/', 'content-type': 'application/grpc' };
  expect((await ask(session, { ...call, 'grpc-timeout': '50m' }, 'x')).headers['grpc-status']).toBe('14');
  const capped = await rigFor(app.port, overHttp2, { maxGrpcTimeoutMs: 50 });
  expect((await ask(client(capped.port), { ...call, 'grpc-timeout': '1H' }, 'x')).headers['grpc-status']).toBe('14');
  expect([...rig.records, ...capped.records].map((record) => record.responseFlags)).toEqual(['UT', 'UT']);
});

test('request trailers pass from HTTP/2 to HTTP/1.1 and back', async () => {
  const app = await startApp((incoming, response) => {
    incoming.resume().on('end', () => {
      response.writeHead(200, { trailer: 'x-sum' });
      response.write('data');
      response.addTrailers({ 'x-sum': String(incoming.trailers['x-in']) });
      response.end();
    });
  });
  const rig = await rigFor(app);
  expect(await ask(client(rig.port), { ':method': 'POST', ':path': '/' }, 'x', { 'x-in': '7' })).toMatchObject({ body: 'data', trailers: { 'x-sum': '7' } });
});

test('a reset travels both ways', async () => {
  const closed: number[] = [];
  const app = await h2App((stream, headers) => {
    stream.on('close', () => closed.push(stream.rstCode));
    if (headers[':path'] === '/reset') stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
  });
  const rig = await rigFor(app.port, overHttp2);
  const session = client(rig.port);
  expect((await ask(session, { ':path': '/reset' })).status).toBe(503);
  expect(rig.records[0]?.responseFlags).toBe('UR');
  const stream = session.request({ ':path': '/hang' });
  stream.on('error', () => undefined);
  await expect.poll(() => rig.runtime.stats().clusters[0]?.activeRequests).toBe(1);
  stream.close(http2.constants.NGHTTP2_CANCEL);
  await expect.poll(() => closed).toHaveLength(2);
  await expect.poll(() => rig.records[1]).toMatchObject({ responseFlags: 'DR', status: 0 });
  expect(closed[1]).toBe(http2.constants.NGHTTP2_CANCEL);
});

test('what had come of an answer that breaks off goes out before the reset', async () => {
  const upstream = track(await startRaw((_, socket) => socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nbroken\r\n')));
  const rig = await rigFor(upstream.port);
  const stream = client(rig.port).request({ ':path': '/' });
  let body = '';
  stream.on('error', () => undefined).on('data', (part: Buffer) => (body += part.toString()));
  await new Promise((resolve) => stream.on('close', resolve));
  expect([body, stream.rstCode]).toEqual(['hello', http2.constants.NGHTTP2_INTERNAL_ERROR]);
});

test('a refused stream and one beyond a GOAWAY are tried again', async () => {
  let count = 0;
  const app = await h2App((stream) => {
    count++;
    if (count === 1) return stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    stream.respond({ ':status': 200 });
    stream.end('done');
  });
  const retry = { on: ['refused-stream'], statusCodes: [], retries: 2, perTryTimeoutMs: 0, perTryIdleTimeoutMs: 0, baseIntervalMs: 1, maxIntervalMs: 2 };
  const rig = await rigFor(app.port, overHttp2, {
    retry: { ...retry, avoidPreviousHosts: false, hostSelectionAttempts: 0, requestHeaders: [], retriableHeaders: [] },
  });
  expect(await ask1(rig.port, { method: 'POST', body: 'x' })).toMatchObject({ status: 200, body: 'done' });
  expect(rig.records[0]?.attempts).toBe(2);
  app.sessions[0]?.goaway(0, 1);
  expect((await ask1(rig.port, { method: 'POST', body: 'x' })).status).toBe(200);
  app.sessions[0]?.close();
  for (let i = 0; i < 5; i++) expect((await ask1(rig.port)).status).toBe(200);
});

test('above the streams of one connection another is opened', async () => {
  const held: (() => void)[] = [];
  const app = await h2App(
    (stream) => {
      held.push(() => {
        stream.respond({ ':status': 200 });
        stream.end();
      });
    },
    { maxConcurrentStreams: 3 },
  );
  const rig = await rigFor(app.port, overHttp2);
  // The first one brings the peer's settings.
  const first = ask1(rig.port);
  await expect.poll(() => held.length).toBe(1);
  const rest = Array.from({ length: 6 }, () => ask1(rig.port));
  await expect.poll(() => held.length).toBe(7);
  expect(app.sessions).toHaveLength(3);
  for (const release of held) release();
  for (const answer of await Promise.all([first, ...rest])) expect(answer.status).toBe(200);
  expect(rig.runtime.stats().clusters[0]).toMatchObject({ pendingRequests: 0, activeRequests: 0, activeConnections: 3 });
});

test.each(['http1', 'http2'] as const)('a WebSocket upgrade becomes a byte pipe over %s upstream', async (protocol) => {
  let port: number;
  if (protocol === 'http1') {
    port = track(
      await startRaw((text, socket) => {
        if (text.startsWith('GET')) socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nx-a: 1\r\n\r\n');
        else socket.write(`echo:${text}`);
      }),
    ).port;
  } else {
    ({ port } = await h2App(
      (stream, headers) => {
        stream.respond({ ':status': 200, 'x-protocol': String(headers[':protocol']) });
        stream.on('data', (part: Buffer) => stream.write(`echo:${part.toString()}`));
        stream.on('end', () => stream.end());
      },
      { enableConnectProtocol: true },
    ));
  }
  const rig = await rigFor(port, protocol === 'http2' ? overHttp2 : {});
  const upgraded = await new Promise<Socket>((resolve, reject) => {
    const sent = httpRequest({ port: rig.port, host: '127.0.0.1', headers: { connection: 'Upgrade', upgrade: 'websocket' } });
    sent
      .on('upgrade', (_, socket) => resolve(socket as Socket))
      .on('response', (r) => reject(new Error(String(r.statusCode))))
      .on('error', reject)
      .end();
  });
  upgraded.write('hi');
  expect(await new Promise((resolve) => upgraded.once('data', (part: Buffer) => resolve(part.toString())))).toBe('echo:hi');
  upgraded.destroy();
  await expect.poll(() => rig.records[0]).toMatchObject({ status: 101 });
  await expect.poll(() => rig.runtime.stats().clusters[0]?.activeRequests).toBe(0);

  const session = client(rig.port);
  await new Promise((resolve) => session.once('remoteSettings', resolve));
  const stream = session.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/', ':scheme': 'http', ':authority': 'a' }, { endStream: false });
  stream.on('error', () => undefined);
  expect(await new Promise((resolve) => stream.once('response', (head) => resolve(head[':status'])))).toBe(200);
  stream.write('there');
  expect(await new Promise((resolve) => stream.once('data', (part: Buffer) => resolve(part.toString())))).toBe('echo:there');
  stream.end();
  await expect.poll(() => rig.records.length).toBe(2);
});

test('interim responses, 100-continue and event streams pass at once', async () => {
  const app = await startApp((incoming, response) => {
    response.writeEarlyHints({ link: '</a>; rel=preload' });
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: 1\n\n');
    incoming.on('close', () => response.end());
  });
  const rig = await rigFor(app);
  const session = client(rig.port);
  const stream = session.request({ ':path': '/' });
  const hints: unknown[] = [];
  stream.on('headers', (head) => hints.push(head[':status']));
  expect(await new Promise((resolve) => stream.once('data', (part: Buffer) => resolve(part.toString())))).toBe('data: 1\n\n');
  expect(hints).toEqual([103]);
  stream.close();
});

test('CONNECT is refused, Host and authority agree, odd targets are refused', async () => {
  const app = await startApp((incoming, response) => response.end(String(incoming.headers.host)));
  const rig = await rigFor(app);
  const session = client(rig.port);
  await expect(
    new Promise((resolve, reject) => {
      const stream = session.request({ ':method': 'CONNECT', ':authority': 'a:1' });
      stream.on('response', (head) => resolve(head[':status'])).on('error', reject);
    }),
  ).resolves.toBe(404);
  expect((await ask(session, { ':path': '/', ':authority': 'a.test', host: 'b.test' })).body).toBe('a.test');
  expect((await ask(session, { ':path': '/admin#x' })).status).toBe(400);
  for (const path of ['x', '*', '/a b']) await expect(ask(session, { ':path': path })).rejects.toThrow('PROTOCOL_ERROR');
  await expect(ask(session, { ':path': '/', ':authority': 'u@a.test' })).rejects.toThrow('PROTOCOL_ERROR');
  await expect(ask(session, { ':path': '/', ':scheme': 'a b' })).rejects.toThrow('PROTOCOL_ERROR');
  await expect(ask(session, { ':path': '/', ':method': 'A B' })).rejects.toThrow('PROTOCOL_ERROR');
  // As Envoy, which knows methods and schemes by name in HTTP/1 only.
  expect((await ask(session, { ':path': '/', ':scheme': 'HtTp', ':method': 'M-SEARCH' })).status).toBe(200);
});

test('drain: requests under way end, the client is told to leave, none is lost', async () => {
  const held: (() => void)[] = [];
  const app = await startApp((_, response) => void held.push(() => response.end('late')));
  const rig = await startRig({ clusters: [cluster([app])] });
  const session = client(rig.port);
  let left = false;
  session.on('goaway', () => (left = true));
  const answer = ask(session, { ':path': '/' });
  await expect.poll(() => held.length).toBe(1);
  const drained = rig.runtime.drain(3000);
  await expect.poll(() => left).toBe(true);
  held[0]?.();
  expect(await answer).toMatchObject({ status: 200, body: 'late' });
  await drained;
  await expect.poll(() => session.closed).toBe(true);
});

test('a route that asks for the protocol of the client gets it', async () => {
  const protocols: string[] = [];
  const app = await h2App((stream) => {
    protocols.push('h2');
    stream.respond({ ':status': 200 });
    stream.end();
  });
  const rig = await rigFor(app.port, speaking('downstream'));
  expect((await ask(client(rig.port), { ':path': '/' })).status).toBe(200);
  expect(protocols).toEqual(['h2']);
});

test('HTTP/1.0 is answered 426 where it is not accepted', async () => {
  const rig = track(await startRig({ listener: listener({ chains: [chain({ http: manager({ acceptHttp10: false }) })] }) }));
  const socket = connect(rig.port, '127.0.0.1', () => socket.write('GET / HTTP/1.0\r\n\r\n'));
  expect(await new Promise((resolve) => socket.once('data', (part: Buffer) => resolve(part.toString())))).toMatch(/^HTTP\/1.1 426 /);
});

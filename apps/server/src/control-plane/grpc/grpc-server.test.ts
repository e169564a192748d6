// gRPC over HTTP/2 as PROTOCOL-HTTP2.md has it, against a client that is nothing but node:http2.

import { mkdtemp, rm } from 'node:fs/promises';
import { connect, constants } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createCertificateAuthority } from '../../certificates/ca.ts';
import { CODE, GrpcError } from './codes.ts';
import { unary } from './grpc-call.ts';
import type { CallHandler, GrpcCall, GrpcMethod } from './grpc-call.ts';
import { createGrpcServer } from './grpc-server.ts';

const echo: GrpcMethod = (call) => ({ message: (bytes) => void call.write([bytes.subarray(0, 1), bytes.subarray(1)]), ended: () => call.end() });

async function serve(method: GrpcMethod): Promise<{ session: ClientHttp2Session; stop: () => void }> {
  const server = createGrpcServer(new Map([['/t.T/Call', method]]), { maxMessageBytes: 4_000_000 });
  const session = connect(`http://127.0.0.1:${await server.listen('127.0.0.1', 0)}`);
  session.on('error', () => undefined);
  onTestFinished(() => {
    session.destroy();
    server.stop();
  });
  return { session, stop: server.stop };
}

function open(session: ClientHttp2Session, headers: OutgoingHttpHeaders = {}): ClientHttp2Stream {
  const stream = session.request({ ':method': 'POST', ':path': '/t.T/Call', 'content-type': 'application/grpc', te: 'trailers', ...headers });
  stream.on('error', () => undefined);
  return stream;
}

/** All that comes until the end: bytes, and the headers and trailers in one. */
function outcome(stream: ClientHttp2Stream): Promise<{ bytes: Buffer; fields: IncomingHttpHeaders }> {
  const chunks: Buffer[] = [];
  const fields: IncomingHttpHeaders = {};
  stream.on('response', (headers) => Object.assign(fields, headers));
  stream.on('trailers', (headers) => Object.assign(fields, headers));
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('end', () => stream.end());
  stream.resume();
  return new Promise((resolve) => stream.on('close', () => resolve({ bytes: Buffer.concat(chunks), fields })));
}

function frame(message: Uint8Array | string, flag = 0): Buffer {
  const body = Buffer.from(message as string);
  const prefix = Buffer.from([flag, 0, 0, 0, 0]);
  prefix.writeUInt32BE(body.length, 1);
  return Buffer.concat([prefix, body]);
}

test('messages cut anywhere, and many in one piece, come whole and in order; the status comes behind them', async () => {
  const { session } = await serve(echo);
  const sent = Buffer.concat(['a', 'bc', 'x'.repeat(300), 'last'].map((text) => frame(text)));
  const pieces = open(session);
  const cut = outcome(pieces);
  for (const byte of sent) pieces.write(Buffer.from([byte]));
  pieces.end();
  expect((await cut).bytes).toEqual(sent);
  const whole = open(session);
  whole.end(sent);
  const { bytes, fields } = await outcome(whole);
  expect(bytes).toEqual(sent);
  expect(fields).toMatchObject({ ':status': 200, 'content-type': 'application/grpc+proto', 'grpc-status': '0' });
});

test('a message of megabytes goes through both windows unchanged', async () => {
  const { session } = await serve(echo);
  const sent = frame(Buffer.from(Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 7) % 251)));
  const stream = open(session);
  stream.end(sent);
  expect((await outcome(stream)).bytes.equals(sent)).toBe(true);
});

test.each([
  ['too large', Buffer.from([0, 0xff, 0, 0, 0]), CODE.resourceExhausted],
  ['compressed', frame('x', 1), CODE.unimplemented],
  ['cut off', Buffer.from([0, 0, 0, 0, 9, 1]), CODE.invalidArgument],
])('a message that is %s ends its call, and only that', async (_, sent, code) => {
  const closed = vi.fn<() => void>();
  const { session } = await serve((call) => ({ ...echo(call), closed }));
  const stream = open(session);
  stream.end(sent);
  expect((await outcome(stream)).fields['grpc-status']).toBe(String(code));
  expect(closed).toHaveBeenCalledOnce();
  const next = open(session);
  next.end(frame('still here'));
  expect((await outcome(next)).fields['grpc-status']).toBe('0');
});

test.each([
  ['an unknown method', { ':path': '/t.T/Other' }, { ':status': 200, 'grpc-status': '12', 'grpc-message': 'this server has no method /t.T/Other' }],
  ['another content type', { 'content-type': 'application/json' }, { ':status': 415 }],
  ['gRPC-Web', { 'content-type': 'application/grpc-web+proto' }, { ':status': 415 }],
  ['another HTTP method', { ':method': 'PUT' }, { ':status': 405 }],
])('%s is refused', async (_, headers, expected) => {
  const { session } = await serve(echo);
  expect((await outcome(open(session, headers))).fields).toMatchObject(expected);
});

test('what a method rejects with is told in printable ASCII, and not at any length', async () => {
  const { session } = await serve(unary((_, request) => Promise.reject(new GrpcError(CODE.permissionDenied, request.toString()))));
  const tell = async (text: string): Promise<unknown> => {
    const stream = open(session);
    stream.end(frame(text));
    const { fields } = await outcome(stream);
    expect(fields['grpc-status']).toBe('7');
    return fields['grpc-message'];
  };
  expect(await tell('100 % größer\n')).toBe('100 %25 gr%c3%b6%c3%9fer%0a');
  expect(String(await tell('x'.repeat(100_000)))).toHaveLength(1_000);
});

test('a unary method takes one message, no more and no less', async () => {
  const { session } = await serve(unary((_, request) => Promise.resolve(request)));
  const answer = async (...messages: string[]): Promise<unknown> => {
    const stream = open(session);
    stream.end(Buffer.concat(messages.map((text) => frame(text))));
    return (await outcome(stream)).fields['grpc-status'];
  };
  expect([await answer('one'), await answer('one', 'two'), await answer()]).toEqual(['0', '3', '3']);
});

test('a call ends at its deadline', async () => {
  const { session } = await serve(echo);
  const stream = open(session, { 'grpc-timeout': '5m' });
  expect((await outcome(stream)).fields['grpc-status']).toBe(String(CODE.deadlineExceeded));
});

test('a client that ended its side is heard to the end by a handler that takes its time', async () => {
  const heard: string[] = [];
  const { session } = await serve((call) => ({
    message: (bytes) => {
      heard.push(bytes.toString());
      call.pause();
      setImmediate(() => call.resume());
    },
    ended: () => {
      heard.push('end');
      call.end();
    },
  }));
  const stream = open(session);
  stream.end(Buffer.concat(['1', '2', '3'].map((text) => frame(text))));
  expect((await outcome(stream)).fields['grpc-status']).toBe('0');
  expect(heard).toEqual(['1', '2', '3', 'end']);
});

test.each([constants.NGHTTP2_CANCEL, constants.NGHTTP2_NO_ERROR])(
  'a call that is reset (%i) while nobody reads it is over at once; what is written then goes nowhere',
  async (code) => {
    let paused: () => void = () => undefined;
    const waits = new Promise<void>((resolve) => (paused = resolve));
    let call: GrpcCall | undefined;
    let over: () => void = () => undefined;
    const closed = new Promise<void>((resolve) => (over = resolve));
    const { session } = await serve((opened): CallHandler => {
      call = opened;
      return {
        message: () => {
          opened.pause();
          paused();
        },
        ended: () => undefined,
        closed: over,
      };
    });
    const stream = open(session);
    stream.write(Buffer.concat([frame('1'), frame('x'.repeat(60_000))]));
    await waits;
    // By then the rest has come too.
    await new Promise((resolve) => session.ping(resolve));
    stream.close(code);
    await closed;
    call?.write([Buffer.from('late')]);
    call?.resume();
    call?.end();
    expect(call?.congested).toBe(false);
  },
);

test('a client that asks and does not read is not listened to any longer, until it reads', async () => {
  const size = 600_000;
  let taken = 0;
  const { session } = await serve((call) => ({
    message: () => {
      taken += 1;
      call.write([Buffer.alloc(size)]);
    },
    ended: () => call.end(),
  }));
  const stream = open(session);
  stream.pause();
  const requests = 50;
  for (let i = 0; i < requests; i += 1) stream.write(frame(String(i)));
  stream.end();
  // An answer on another stream of the connection: by then the server has read what came before.
  const other = open(session, { ':path': '/t.T/Other' });
  await outcome(other);
  expect(taken).toBeLessThan(4);
  const { bytes, fields } = await outcome(stream);
  expect(bytes).toHaveLength(requests * (5 + size));
  expect(fields['grpc-status']).toBe('0');
});

test('a large message leaves a chunk at a time, none so large that TLS keeps twice the buffer for it', async () => {
  const size = 300_000;
  const stateDir = await mkdtemp(join(tmpdir(), 'weft-grpc-'));
  const authority = await createCertificateAuthority({ stateDir, trustDomain: 'cluster.local' });
  const leaf = await authority.issueLeaf(
    { trustDomain: 'cluster.local', namespace: 'a', serviceAccount: 'b' },
    { hostNames: [{ type: 'dns', value: 'localhost' }] },
  );
  const method: GrpcMethod = (call) => ({ message: () => void call.write([Buffer.alloc(size)]), ended: () => call.end() });
  const server = createGrpcServer(new Map([['/t.T/Call', method]]), {
    maxMessageBytes: size,
    tls: { key: leaf.privateKeyPem, cert: leaf.certificatePem, ca: authority.rootCaPem },
  });
  const session = connect(`https://localhost:${await server.listen('127.0.0.1', 0)}`, { ca: authority.rootCaPem });
  onTestFinished(async () => {
    session.destroy();
    server.stop();
    vi.restoreAllMocks();
    await rm(stateDir, { recursive: true });
  });
  // What TLS is given at a time.
  const sizes: number[] = [];
  const prototype = Socket.prototype as Required<Socket>;
  const { _write: one, _writev: several } = prototype;
  vi.spyOn(prototype, '_write').mockImplementation(function (this: Socket, chunk: Buffer, ...rest) {
    sizes.push(chunk.length);
    one.call(this, chunk, ...rest);
  });
  vi.spyOn(prototype, '_writev').mockImplementation(function (this: Socket, chunks: { chunk: Buffer; encoding: BufferEncoding }[], done) {
    sizes.push(chunks.reduce((sum, { chunk }) => sum + chunk.length, 0));
    several.call(this, chunks, done);
  });
  const stream = open(session);
  stream.end(frame('?'));
  expect((await outcome(stream)).bytes).toHaveLength(5 + size);
  expect(sizes.length).toBeGreaterThan(size / 16_384);
  expect(Math.max(...sizes)).toBeLessThan(16_384);
});

test('stop tells clients to go and ends what they have open', async () => {
  const { session, stop } = await serve(echo);
  const stream = open(session);
  stream.write(frame('hello'));
  await new Promise((resolve) => stream.once('data', resolve));
  const gone = new Promise((resolve) => session.once('goaway', resolve));
  const closed = new Promise((resolve) => session.once('close', resolve));
  stop();
  expect(await gone).toBe(constants.NGHTTP2_NO_ERROR);
  await closed;
});

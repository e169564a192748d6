// The applications behind the mesh and those who ask them: what comes back is `200`, or says what went wrong.

import { once } from 'node:events';
import { type Agent, type IncomingMessage, type RequestOptions, createServer as createHttp1, request } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2, constants, createServer as createHttp2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { type AddressInfo, connect, createServer } from 'node:net';
import type { Duplex, Readable, Writable } from 'node:stream';

const ANSWER_WITHIN_MS = 30_000;
/** What the first GOAWAY names of those that are sent in two steps. */
const ANY_STREAM = 2 ** 31 - 1;
/** No proxy takes it for the beginning of something it knows. */
const PIECE = '\0'.repeat(500);

export interface App {
  port: number;
  close(): void;
}

/** Answers with its name, or with what it is sent (`x-do: echo`, WebSocket); by HTTP/1.1 or HTTP/2, as the first bytes have it. */
export async function startHttpApp(name: string): Promise<App> {
  const answer = (asked: Readable, headers: NodeJS.Dict<unknown>, to: Writable & { flushHeaders?(): void }): void => {
    if (headers['x-do'] !== 'echo') return void asked.resume().on('end', () => to.end(name));
    to.flushHeaders?.();
    asked.pipe(to).on('error', () => undefined);
  };
  const http1 = createHttp1({ keepAliveTimeout: 0, requestTimeout: 0 }, (asked, to) => answer(asked, asked.headers, to));
  http1.on('upgrade', (_, socket: Duplex) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n');
    socket.on('error', () => undefined).pipe(socket);
  });
  const http2 = createHttp2();
  http2.on('stream', (stream, headers) => {
    stream.on('error', () => undefined).respond({ ':status': 200 });
    answer(stream, headers, stream);
  });
  return startTcpApp((socket) => {
    socket.once('readable', () => {
      const first = socket.read() as Buffer | null;
      if (first === null) return socket.destroy();
      socket.unshift(first);
      return (first.subarray(0, 3).toString() === 'PRI' ? http2 : http1).emit('connection', socket);
    });
  });
}

/** Sends back what it is sent, unless `serve` does something else. */
export async function startTcpApp(serve: (socket: Duplex) => void = (socket) => socket.pipe(socket)): Promise<App> {
  const open = new Set<Duplex>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    open.add(socket);
    socket.on('error', () => undefined).on('close', () => open.delete(socket));
    serve(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const close = (): void => {
    server.close();
    for (const socket of open) socket.destroy();
  };
  return { port: (server.address() as AddressInfo).port, close };
}

/** One request by HTTP/1.1; `tls`, with that in a connection of its own. */
export function ask(port: number, host: string, n: number, { agent, tls }: { agent?: Agent; tls?: { ca: string } }): Promise<string> {
  const body = n % 5 === 0 ? 'x'.repeat(1_000) : '';
  const headers = { host, ...(n % 2 === 0 ? { 'x-user': 'a' } : {}), ...(body === '' ? {} : { 'content-length': body.length }) };
  const options = { port, headers, method: body === '' ? 'GET' : 'POST', path: n % 3 === 0 ? '/api/x' : '/', timeout: ANSWER_WITHIN_MS };
  return new Promise((resolve) => {
    const told = (answer: IncomingMessage): void => {
      answer.resume().on('end', () => resolve(String(answer.statusCode)));
      answer.on('error', (error) => resolve(error.message));
    };
    const asked =
      tls === undefined ? request({ ...options, agent }, told) : httpsRequest({ ...options, ...tls, agent: false, servername: host, host: '127.0.0.1' }, told);
    asked.on('error', (error) => resolve(error.message));
    asked.on('timeout', () => asked.destroy(new Error('no answer')));
    asked.end(body);
  });
}

/** Asks one after another by HTTP/2 over one connection until it is told to go. */
export class Http2Client {
  readonly #port: number;
  #session: ClientHttp2Session | undefined;
  /** The last stream the other side says it takes. */
  #lastTaken = 0;

  constructor(port: number) {
    this.#port = port;
  }

  async ask(host: string): Promise<string> {
    const session = await this.#open();
    return new Promise((resolve) => {
      if (typeof session === 'string') return resolve(session);
      const stream = session.request({ ':path': '/', ':authority': host });
      let status = '';
      stream.on('response', (head) => (status = String(head[':status'])));
      // One that had not left when the other side said that it takes no more of them is asked again: it refused none that came.
      stream.on('error', (error) =>
        resolve(stream.rstCode === constants.NGHTTP2_REFUSED_STREAM && this.#lastTaken === ANY_STREAM ? this.ask(host) : error.message),
      );
      stream.setTimeout(ANSWER_WITHIN_MS, () => resolve('no answer'));
      stream.on('close', () => resolve(status === '' ? 'closed' : status));
      stream.resume().end();
      return undefined;
    });
  }

  close(): void {
    this.#session?.destroy();
  }

  async #open(): Promise<ClientHttp2Session | string> {
    if (this.#session !== undefined && !this.#session.closed && !this.#session.destroyed) return this.#session;
    const session = connectHttp2(`http://127.0.0.1:${this.#port}`);
    this.#session = session;
    this.#lastTaken = 0;
    session.once('goaway', (_, last) => (this.#lastTaken = last));
    return new Promise((resolve) => {
      session.on('error', (error) => resolve(error.message)).once('connect', () => resolve(session));
    });
  }
}

/** A conversation under way: what was said comes back. */
interface Talk {
  read: Readable;
  write: Writable;
}

export type Kind = 'request' | 'http2' | 'websocket' | 'tcp';

/** Opens one and keeps it up until `over`; each word has to come back. */
export async function converse(kind: Kind, port: number, host: string, over: () => boolean): Promise<string> {
  const talk = kind === 'tcp' ? tcp(port) : kind === 'http2' ? await stream(port, host) : await upgraded(kind, port, host);
  if (typeof talk === 'string') return talk;
  const { read, write } = talk;
  let sent = 0;
  let back = 0;
  let broken: string | undefined;
  read.on('data', (chunk: Buffer) => (back += chunk.length));
  for (const part of new Set([read, write])) part.on('error', (error) => (broken ??= error.message));
  read.on('close', () => (broken ??= 'closed')).on('end', () => (broken ??= 'ended'));
  for (let said = 0; broken === undefined && !(over() && back === sent);) {
    if (back === sent && !over()) {
      write.write(PIECE);
      sent += PIECE.length;
      said = performance.now();
    } else if (performance.now() - said > ANSWER_WITHIN_MS) broken = 'no echo';
    await pause(20);
  }
  const told = broken === undefined ? '200' : `${broken} after ${sent} bytes, ${back} came back`;
  write.on('error', () => undefined).destroy();
  return told;
}

function tcp(port: number): Talk {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  return { read: socket, write: socket };
}

function stream(port: number, host: string): Promise<Talk | string> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  return new Promise((resolve) => {
    const both = session.request({ ':method': 'POST', ':path': '/', ':authority': host, 'x-do': 'echo' });
    both.on('close', () => session.destroy()).on('error', (error) => resolve(error.message));
    both.on('response', (head) => resolve(head[':status'] === 200 ? { read: both, write: both } : String(head[':status'])));
    session.on('error', (error) => resolve(error.message));
  });
}

function upgraded(kind: 'request' | 'websocket', port: number, host: string): Promise<Talk | string> {
  const headers = kind === 'websocket' ? { connection: 'Upgrade', upgrade: 'websocket' } : { 'x-do': 'echo' };
  const options: RequestOptions = { port, agent: false, headers: { ...headers, host }, method: kind === 'websocket' ? 'GET' : 'POST' };
  return new Promise((resolve) => {
    const asked = request({ ...options, timeout: ANSWER_WITHIN_MS });
    asked.on('error', (error) => resolve(error.message));
    asked.on('timeout', () => resolve('no answer'));
    asked.on('upgrade', (_, socket) => resolve({ read: socket, write: socket }));
    asked.on('response', (answer) => resolve(answer.statusCode === 200 && kind === 'request' ? { read: answer, write: asked } : String(answer.statusCode)));
    if (kind === 'websocket') asked.end();
    else asked.flushHeaders();
  });
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

// The callers: each sends one step to a local port and tells what it saw.

import { Agent, request as httpRequest } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { type Socket, connect } from 'node:net';
import { type ConnectionOptions, type TLSSocket, connect as connectTls } from 'node:tls';
import { WebSocket } from 'ws';
import type { AppName, GrpcStep, HttpStep, RawStep, Seen, ServiceSpec, WebSocketStep } from '../case.ts';
import { frame, unframe } from './app-grpc.ts';

export interface Target {
  port: number;
  /** Host header of the request: what an application would call its upstream. */
  host: string;
  /** Names this execution of a step to application and telemetry. */
  key: string;
  requestId: string;
  /** What is asked, where it is a service of the case. */
  service: ServiceSpec | undefined;
  /** Ends the request from the client's side. */
  signal?: AbortSignal;
  /** TLS to the port. */
  tls?: ConnectionOptions;
}

/** No answer within this is a failure of the case, not of the step. */
const PATIENCE_MS = 20_000;

const agent = new Agent({ keepAlive: true, maxSockets: 200 });
export const closeClients = (): void => agent.destroy();

/** Closes connections nobody uses now: a connection keeps the configuration of the listener that accepted it, on both data planes. */
export function closeIdleConnections(): void {
  for (const socket of Object.values(agent.freeSockets).flatMap((sockets) => sockets ?? [])) socket.destroy();
}

function failure(error: NodeJS.ErrnoException): Seen {
  const { code = '' } = error;
  if (code === 'ECONNREFUSED') return { failed: 'refused' };
  if (code.startsWith('ERR_SSL') || code.startsWith('ERR_TLS') || /alert/.test(error.message)) return { failed: 'tls' };
  return { failed: error.name === 'AbortError' ? 'aborted' : code === 'ECONNRESET' && error.message !== 'socket hang up' ? 'reset' : 'closed' };
}

export function sendHttp(step: HttpStep, target: Target): Promise<Seen> {
  return step.http2 === true ? sendHttp2(step, target) : sendHttp1(step, target);
}

/** Header values as the step has them, with what ties the request to its place. */
function requestHeaders(step: HttpStep | GrpcStep, target: Target): Record<string, string | readonly string[]> {
  return {
    'x-request-id': target.requestId,
    'x-key': target.key,
    ...(step.do === undefined ? {} : { 'x-do': JSON.stringify(step.do) }),
    ...(step.kind === 'http' ? step.headers : step.metadata),
  };
}

function sendHttp1(step: HttpStep, target: Target): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const headers = {
      host: target.host,
      ...requestHeaders(step, target),
      ...(step.trailers === undefined ? {} : { trailer: Object.keys(step.trailers).join(',') }),
    };
    const request = (target.tls === undefined ? httpRequest : httpsRequest)({
      ...(target.tls === undefined ? { agent } : { agent: false as const, ...target.tls }),
      host: '127.0.0.1',
      port: target.port,
      path: step.path ?? '/',
      method: step.method ?? 'GET',
      headers: headers as Record<string, string | string[]>,
      ...(target.signal === undefined ? {} : { signal: target.signal }),
    });
    const informational: number[] = [];
    const told = (): Partial<Seen> => (informational.length === 0 ? {} : { informational });
    request.setTimeout(PATIENCE_MS, () => request.destroy(new Error('no answer in time')));
    request.on('information', ({ statusCode }) => informational.push(statusCode));
    request.on('error', (error: NodeJS.ErrnoException) => (error.message === 'no answer in time' ? reject(error) : resolve({ ...told(), ...failure(error) })));
    request.on('upgrade', (response, socket) => {
      socket.destroy();
      resolve({ status: response.statusCode ?? 0 });
    });
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      const head = { ...told(), ...secured(target, response.socket), status: response.statusCode ?? 0, headers: lowerNames(response.rawHeaders) };
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', () => resolve({ ...head, ...readBody(Buffer.concat(chunks)), failed: 'closed' }));
      response.on('end', () => {
        const trailers = lowerNames(response.rawTrailers);
        resolve({ ...head, ...readBody(Buffer.concat(chunks)), ...(Object.keys(trailers).length === 0 ? {} : { trailers }) });
      });
    });
    if (step.trailers !== undefined) request.addTrailers(step.trailers);
    if (step.headers?.['expect'] === undefined) request.end(step.body);
    else {
      request.on('continue', () => request.end(step.body));
      request.flushHeaders();
    }
  });
}

/** What TLS to the port came to. */
function secured({ tls }: Target, socket: Socket): Partial<Seen> {
  if (tls === undefined) return {};
  const { alpnProtocol } = socket as TLSSocket;
  return {
    certificate: (socket as TLSSocket).getPeerCertificate().subjectaltname ?? 'none',
    ...(typeof alpnProtocol === 'string' ? { alpn: alpnProtocol } : {}),
  };
}

interface Http2Answer {
  secured: Partial<Seen>;
  headers: Record<string, string>;
  status: number;
  trailers: Record<string, string>;
  body: Buffer;
  reset: number;
  /** The last stream each GOAWAY allowed, until the answer was whole. */
  goaways: number[];
}

function exchangeHttp2(target: Target, headers: Record<string, string | readonly string[]>, body: Buffer | undefined): Promise<Http2Answer | Seen> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`${target.tls === undefined ? 'http' : 'https'}://127.0.0.1:${target.port}`, target.tls);
    const timer = setTimeout(() => {
      session.destroy();
      reject(new Error('no answer in time'));
    }, PATIENCE_MS);
    const end = (seen: Http2Answer | Seen): void => {
      clearTimeout(timer);
      session.close();
      resolve(seen);
    };
    session.on('error', (error) => end(failure(error as NodeJS.ErrnoException)));
    // A stream of a session that never connects ends like one the other side has reset.
    session.on('connect', () => {
      const stream = session.request({ ':authority': target.host, ...headers });
      const answer: Http2Answer = {
        secured: secured(target, session.socket as Socket),
        headers: {},
        status: 0,
        trailers: {},
        body: Buffer.alloc(0),
        reset: 0,
        goaways: [],
      };
      session.on('goaway', (_, last: number) => answer.goaways.push(last));
      target.signal?.addEventListener('abort', () => stream.close(8));
      stream.on('response', (received) => {
        answer.status = Number(received[':status']);
        answer.headers = flat(received);
      });
      stream.on('trailers', (received) => (answer.trailers = flat(received)));
      stream.on('data', (chunk: Buffer) => (answer.body = Buffer.concat([answer.body, chunk])));
      stream.on('error', () => undefined);
      stream.on('close', () => {
        answer.reset = stream.rstCode ?? 0;
        end(answer);
      });
      stream.end(body);
    });
  });
}

async function sendHttp2(step: HttpStep, target: Target): Promise<Seen> {
  const headers = { ':path': step.path ?? '/', ':method': step.method ?? 'GET', ...requestHeaders(step, target) };
  const answer = await exchangeHttp2(target, headers, step.body === undefined ? undefined : Buffer.from(step.body));
  if (!('reset' in answer)) return answer;
  return {
    ...answer.secured,
    ...(answer.status === 0 ? {} : { status: answer.status, headers: answer.headers, ...readBody(answer.body) }),
    ...(Object.keys(answer.trailers).length === 0 ? {} : { trailers: answer.trailers }),
    ...(answer.reset === 0 ? {} : { failed: 'reset' as const }),
    // The first allows all streams there may be; whether the second comes before the answer's end or after it is a matter of time.
    ...(answer.goaways[0] === undefined ? {} : { goaway: answer.goaways[0] }),
  };
}

export async function sendGrpc(step: GrpcStep, target: Target): Promise<Seen> {
  const headers = {
    ':method': 'POST',
    ':path': `/suite.Echo/${step.method ?? 'Say'}`,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...requestHeaders(step, target),
  };
  const messages = Array.from({ length: step.messages ?? 1 }, () => frame(step.message ?? 'hello'));
  const answer = await exchangeHttp2(target, headers, Buffer.concat(messages));
  if (!('reset' in answer)) return answer;
  const end = answer.trailers['grpc-status'] === undefined ? answer.headers : answer.trailers;
  const received = unframe(answer.body);
  const first = asEcho(received[0] ?? '');
  return {
    status: answer.status,
    headers: answer.headers,
    trailers: answer.trailers,
    ...(answer.reset === 0 ? {} : { failed: 'reset' as const }),
    ...(first === undefined ? {} : { app: first.app }),
    // What is no gRPC has no messages.
    grpc: {
      status: Number(end['grpc-status'] ?? -1),
      message: end['grpc-message'] ?? '',
      messages: answer.headers['content-type']?.startsWith('application/grpc') === true ? received : [],
    },
  };
}

export function sendRaw(step: RawStep, target: Target): Promise<Seen> {
  return new Promise((resolve, reject) => {
    let text = '';
    let sent = 0;
    const address = { port: target.port, host: '127.0.0.1' };
    const socket: Socket = target.tls === undefined ? connect(address) : connectTls({ ...address, ...target.tls });
    let peer: Partial<Seen> = {};
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no end in time; got ${JSON.stringify(text)}`));
    }, PATIENCE_MS);
    const end = (seen: Seen): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ ...peer, ...seen, text });
    };
    const next = (): void => {
      const bytes = step.send[sent];
      sent += 1;
      if (bytes !== undefined)
        socket.write(bytes.replaceAll('${host}', target.host).replaceAll('${key}', target.key).replaceAll('${id}', target.requestId), 'latin1');
    };
    let pausing = false;
    const advance = (): void => {
      const wanted = step.until?.[sent - 1];
      if (pausing || wanted === undefined || !(typeof wanted === 'string' ? text.includes(wanted) : wanted.test(text))) return;
      if (sent >= (step.until?.length ?? 0)) return end({});
      const go = (): void => {
        pausing = false;
        next();
        advance();
      };
      if (step.pauseMs === undefined) return go();
      pausing = true;
      setTimeout(go, step.pauseMs);
    };
    socket.on(target.tls === undefined ? 'connect' : 'secureConnect', () => {
      peer = secured(target, socket);
      next();
      advance();
    });
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      advance();
    });
    socket.on('error', (error) => end(failure(error)));
    socket.on('end', () => end({ failed: 'closed' }));
    socket.on('close', () => end({ failed: 'closed' }));
  });
}

export function sendWebSocket(step: WebSocketStep, target: Target): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const messages: string[] = [];
    const socket = new WebSocket(`${target.tls === undefined ? 'ws' : 'wss'}://127.0.0.1:${target.port}${step.path ?? '/'}`, {
      ...target.tls,
      headers: { host: step.host ?? target.host, 'x-request-id': target.requestId, 'x-key': target.key },
      handshakeTimeout: PATIENCE_MS,
    });
    socket.on('unexpected-response', (request, response) => {
      request.destroy();
      resolve({ status: response.statusCode ?? 0 });
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') resolve({ failed: 'refused' });
      else if (socket.readyState === WebSocket.OPEN) resolve({ messages, failed: 'closed' });
      else reject(error);
    });
    socket.on('close', () => resolve({ messages, failed: 'closed' }));
    socket.on('message', (data: Buffer) => {
      messages.push(data.toString());
      const next = step.messages[messages.length - 1];
      if (next !== undefined) return void setTimeout(() => socket.send(next), step.pauseMs ?? 0);
      socket.removeAllListeners('close');
      socket.close();
      const { app, headers } = JSON.parse(messages[0] ?? '{}') as { app: AppName; headers: Record<string, string> };
      resolve({ status: 101, app, upstream: { method: 'GET', path: step.path ?? '/', protocol: 'HTTP/1.1', headers, body: '' }, messages: messages.slice(1) });
    });
  });
}

type Echo = Pick<NonNullable<Seen['upstream']>, 'method' | 'path' | 'protocol' | 'headers' | 'body' | 'trailers'> & { app: string; connection: number };

function readBody(body: Buffer): Partial<Seen> {
  const text = body.toString();
  const echo = asEcho(text);
  if (echo === undefined) return { body: text.length > 2_000 ? `${text.length} bytes` : text };
  const { app, connection, ...upstream } = echo;
  return { app, connection, upstream };
}

function asEcho(text: string): Echo | undefined {
  if (!text.startsWith('{"app":')) return undefined;
  return JSON.parse(text) as Echo;
}

function lowerNames(raw: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase();
    const before = headers[name];
    headers[name] = before === undefined ? (raw[i + 1] ?? '') : `${before}${name === 'set-cookie' ? '\n' : ', '}${raw[i + 1]}`;
  }
  return headers;
}

function flat(headers: Readonly<Record<string, string | string[] | undefined | number>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => !name.startsWith(':'))
      .map(([name, value]) => [name, Array.isArray(value) ? value.join(name === 'set-cookie' ? '\n' : ', ') : String(value)]),
  );
}

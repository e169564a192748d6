// The applications behind the mesh, on real sockets: HTTP/1.1 and h2c on one port, gRPC, WebSocket, TCP that echoes or speaks first, TLS.

import { once } from 'node:events';
import { type IncomingMessage, type Server as HttpServer, type ServerResponse, createServer as createHttp } from 'node:http';
import { type Http2ServerRequest, type Http2ServerResponse, createSecureServer, createServer as createHttp2 } from 'node:http2';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { WebSocketServer } from 'ws';
import type { AppAction, AppName } from '../case.ts';
import { startAuthz } from './app-authz.ts';
import { answerGrpc } from './app-grpc.ts';
import type { Certificates } from './certificates.ts';

export interface Apps {
  port(app: AppName): number;
  /** What has reached the applications with this `x-key` so far, sorted by application. */
  arrived(key: string): readonly Arrival[];
  /** How many requests under this key hold now. */
  holding(key: string): number;
  /** Lets requests that `hold` under this key go on. */
  release(key: string): void;
  close(): Promise<void>;
}

export interface Arrival {
  app: AppName;
  method: string;
  path: string;
  headers: Record<string, string>;
}

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;

/** What all applications share: who came how often, who waits. */
export interface AppState {
  arrivals: Map<string, Arrival[]>;
  waiting: Map<string, Set<() => void>>;
  released: Set<string>;
  /** By name: what `GET /documents/<name>` answers. A request with the header `x-document` brings one. */
  documents: Map<string, string>;
}

/** How long the application `late` says nothing. */
const LATE_MS = 2_000;

export async function startApps(certificates: Certificates): Promise<Apps> {
  const state: AppState = { arrivals: new Map(), waiting: new Map(), released: new Set(), documents: new Map() };
  const servers = new Map<AppName, Server>();
  const sockets = new Set<Socket>();
  const listen = async (app: AppName, server: Server): Promise<void> => {
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => socket.destroy());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.set(app, server);
  };
  const http: HttpServer[] = [];
  for (const app of ['a', 'b', 'c', 'd'] as const) {
    const one = createHttp(
      { keepAliveTimeout: 0, requestTimeout: 0, insecureHTTPParser: true },
      (request, response) => void answer(app, state, request, response),
    );
    one.on('checkContinue', (request, response) => {
      response.writeContinue();
      void answer(app, state, request, response);
    });
    acceptWebSockets(one, app);
    http.push(one);
    const two = createHttp2({ maxSendHeaderBlockLength: 1_000_000 }, (request, response) => void answer(app, state, request, response));
    two.on('sessionError', () => undefined);
    await listen(app, byFirstBytes(one, two));
  }
  const authz = startAuthz();
  http.push(authz.one);
  await listen('authz', byFirstBytes(authz.one, authz.two));
  await listen(
    'echo',
    createServer((socket) => socket.on('data', (bytes) => socket.write(`echo:${bytes.toString()}`)).on('end', () => socket.end())),
  );
  await listen(
    'echo2',
    createServer((socket) => socket.on('data', (bytes) => socket.write(`echo2:${bytes.toString()}`)).on('end', () => socket.end())),
  );
  await listen(
    'first',
    createServer((socket) => {
      socket.write('220 ready\n');
      socket.on('data', (bytes) => socket.write(`first:${bytes.toString()}`)).on('end', () => socket.end());
    }),
  );
  await listen(
    'late',
    createServer((socket) => setTimeout(() => socket.end('late:'), LATE_MS)),
  );
  for (const app of ['tls', 'tls2'] as const) {
    const secure = createSecureServer(
      {
        ...{ cert: certificates.text('server.pem'), key: certificates.text('server.key'), allowHTTP1: true },
        ...{ ca: certificates.text('ca.pem'), requestCert: true, rejectUnauthorized: false },
      },
      (request, response) => void answer(app, state, request, response),
    );
    secure.on('sessionError', () => undefined);
    await listen(app, secure);
  }
  await listen('forward', forwardProxy());
  // This end of a connection: nobody listens there, and while it is open nobody else is given the port.
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const dead = connect((other.address() as AddressInfo).port, '127.0.0.1');
  await once(dead, 'connect');
  const deadPort = dead.localPort ?? 0;
  return {
    port: (app) => (app === 'dead' ? deadPort : (servers.get(app)?.address() as AddressInfo).port),
    arrived: (key) => (state.arrivals.get(key) ?? []).toSorted((x, y) => (x.app < y.app ? -1 : 1)),
    holding: (key) => state.waiting.get(key)?.size ?? 0,
    release(key) {
      state.released.add(key);
      for (const go of state.waiting.get(key) ?? []) go();
      state.waiting.delete(key);
    },
    async close() {
      dead.destroy();
      other.close();
      for (const socket of sockets) socket.destroy();
      for (const server of http) server.close();
      await Promise.all([...servers.values()].map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

/** What comes through CONNECT or a POST is told as asked for, then echoed; to `refused...` nothing leads. */
function forwardProxy(): Server {
  const asked = ({ method, url, headers }: IncomingMessage): string => `${method} ${url} ${headers.host}\n`;
  const proxy = createHttp((request, response) => {
    response.write(asked(request));
    request.on('data', (bytes: Buffer) => response.write(`forward:${bytes.toString()}`)).on('end', () => response.end());
  });
  proxy.on('connect', (request, socket: Socket) => {
    if (request.url?.startsWith('refused') === true) return void socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n');
    socket.write(`HTTP/1.1 200 OK\r\n\r\n${asked(request)}`);
    socket.on('data', (bytes: Buffer) => socket.write(`forward:${bytes.toString()}`)).on('end', () => socket.end());
  });
  return proxy;
}

/** HTTP/1 and HTTP/2 with prior knowledge on one port: the preface tells them apart. */
function byFirstBytes(one: HttpServer, two: ReturnType<typeof createHttp2>): Server {
  return createServer((socket) => {
    socket.once('readable', () => {
      const bytes = socket.read() as Buffer | null;
      if (bytes === null) {
        socket.destroy();
        return;
      }
      socket.unshift(bytes);
      (bytes.subarray(0, 3).toString() === 'PRI' ? two : one).emit('connection', socket);
    });
  });
}

function acceptWebSockets(server: HttpServer, app: AppName): void {
  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) => {
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      socket.end('HTTP/1.1 501 Not Implemented\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (ws) => {
      ws.send(JSON.stringify({ app, path: request.url, headers: namesAndValues(request.rawHeaders) }));
      ws.on('message', (data: Buffer) => ws.send(`${app}:${data.toString()}`));
      ws.on('error', () => undefined);
    });
  });
}

async function answer(app: AppName, state: AppState, request: Request, response: Response): Promise<void> {
  // Clients and proxies go away in the middle; that is what some cases are about.
  request.on('error', () => undefined);
  response.on('error', () => undefined);
  const key = String(request.headers['x-key'] ?? '');
  const arrivals = state.arrivals.get(key) ?? [];
  state.arrivals.set(key, arrivals);
  arrivals.push({ app, method: request.method ?? '', path: request.url ?? '', headers: namesAndValues(request.rawHeaders) });
  const act = actionOf(app, JSON.parse(String(request.headers['x-do'] ?? '{}')) as AppAction, arrivals.length);
  if (request.httpVersionMajor === 2 && String(request.headers['content-type'] ?? '').startsWith('application/grpc'))
    return answerGrpc(app, act, request as Http2ServerRequest, response as Http2ServerResponse);
  if (act.informational !== undefined && 'writeEarlyHints' in response && request.httpVersionMajor === 1)
    for (const code of act.informational) {
      if (code === 103) (response as ServerResponse).writeEarlyHints({ link: '</style.css>; rel=preload' });
      else if (code === 102) (response as ServerResponse).writeProcessing();
    }
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  } catch {
    return;
  }
  const document = request.headers['x-document'];
  if (typeof document === 'string') state.documents.set(document, Buffer.concat(chunks).toString());
  const wanted = request.url?.startsWith('/documents/') === true ? state.documents.get(request.url.slice('/documents/'.length)) : undefined;
  if (request.url?.startsWith('/documents/') === true) {
    response.statusCode = wanted === undefined ? 404 : 200;
    (response as ServerResponse).end(wanted);
    return;
  }
  if (act.hold === true && !state.released.has(key)) {
    const goesOn = await new Promise<boolean>((resolve) => {
      const waiting = state.waiting.get(key) ?? new Set();
      const go = (): void => resolve(true);
      state.waiting.set(key, waiting.add(go));
      response.once('close', () => {
        waiting.delete(go);
        resolve(false);
      });
    });
    if (!goesOn) return;
  }
  if (act.delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, act.delayMs));
  if (act.reset === 'before-headers' || act.reset === 'refused') return destroy(request, act.reset === 'refused');
  const echo = {
    app,
    connection: connectionOf(request),
    method: request.method,
    path: request.url,
    protocol: `HTTP/${request.httpVersion}`,
    headers: namesAndValues(request.rawHeaders),
    body: Buffer.concat(chunks).toString(),
    ...(Object.keys(request.trailers).length === 0 ? {} : { trailers: request.trailers }),
    ...(app === 'tls' || app === 'tls2' ? { tls: tlsOf(request.socket as TLSSocket) } : {}),
  };
  const body = act.size === undefined ? (act.body ?? JSON.stringify(echo)) : Buffer.alloc(act.size, 'x');
  response.statusCode = act.status ?? 200;
  for (const [name, value] of Object.entries(act.headers ?? {})) response.setHeader(name, name === 'set-cookie' ? value.split('\n') : value);
  if (act.headSize !== undefined) response.setHeader('x-long', 'x'.repeat(act.headSize));
  if (act.body === undefined && act.size === undefined && act.chunks === undefined) response.setHeader('content-type', 'application/json');
  if (act.trailers !== undefined) {
    if (request.httpVersionMajor === 1) response.setHeader('trailer', Object.keys(act.trailers).join(','));
    response.addTrailers(act.trailers);
  }
  if (act.reset === 'after-headers') {
    (response as ServerResponse).write('part', () => destroy(request));
    return;
  }
  if (act.chunks === undefined) {
    if (act.trailers === undefined && request.httpVersionMajor === 1 && request.method !== 'HEAD')
      response.setHeader('content-length', Buffer.byteLength(body));
    (response as ServerResponse).end(body);
    return;
  }
  for (const chunk of act.chunks) {
    await new Promise((resolve) => (response as ServerResponse).write(chunk, resolve));
    // Each chunk on its own, so that a proxy that collects them shows.
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  response.end();
}

/** What the client's hello said, and its certificate's name where it has a good one. */
function tlsOf(socket: TLSSocket): string {
  const client = socket.authorized ? `;client=${socket.getPeerCertificate().subjectaltname}` : '';
  return `sni=${socket.servername || 'none'}${client}`;
}

function actionOf(app: AppName, asked: AppAction, attempt: number): AppAction {
  if (asked.only !== undefined && asked.only !== app) return {};
  return asked.first !== undefined && attempt > asked.first ? (asked.after ?? {}) : asked;
}

let connections = 0;
const connectionNumbers = new WeakMap<object, number>();

/** One number per connection, of all applications. */
function connectionOf(request: Request): number {
  const connection = 'stream' in request ? (request.stream.session ?? request) : request.socket;
  const number = connectionNumbers.get(connection) ?? (connections += 1);
  connectionNumbers.set(connection, number);
  return number;
}

function destroy(request: Request, refused = false): void {
  if ('stream' in request) request.stream.close(refused ? 7 : 2);
  else request.socket.resetAndDestroy();
}

/** Lower-case names; several values joined. */
function namesAndValues(raw: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase();
    if (name.startsWith(':')) continue;
    headers[name] = headers[name] === undefined ? (raw[i + 1] ?? '') : `${headers[name]}, ${raw[i + 1]}`;
  }
  return headers;
}

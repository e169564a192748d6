// The proxy's admin interface on loopback, with Envoy's paths.

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import type { ProxyRuntime } from '../http/hooks.ts';
import type { Scrape } from '../telemetry/prometheus.ts';
import { nodeHttp } from '../transport/node-http.ts';
import type { Configuration } from '../xds-client/configuration.ts';
import { type Page, QueryError, type Reply, pagesOf, text } from './pages.ts';

export type ProxyState = 'PRE_INITIALIZING' | 'LIVE' | 'DRAINING';

export interface AdminOptions {
  /** 0 = any free one. */
  port: number;
  runtime: ProxyRuntime;
  configuration: Configuration;
  prometheus: Scrape;
  state(): ProxyState;
  info(): Record<string, unknown>;
  /** Gauges and counters of the process itself, by stats name. */
  stats(): Record<string, number>;
  /** Takes no more connections; running requests have this long. */
  drain(ms: number): void;
  /** `/ready` says DRAINING and connections end with their next response until it is taken back. */
  failHealth(failed: boolean): void;
  quit(): void;
  /** Access logs go on in new files where somebody has moved the old ones away. */
  reopenLogs(): void;
  logging: { enabled: boolean };
}

export interface Admin {
  port: number;
  close(): Promise<void>;
}

/** Resolves when it listens; rejects when the port is taken. */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const pages = pagesOf(options);
  const serve = (request: IncomingMessage, response: ServerResponse): void =>
    void answer(pages, request)
      .catch((error: unknown) => text(`${(error as Error).message}\n`, error instanceof QueryError ? 400 : 500))
      .then((reply) => send(response, reply));
  let http: Server | undefined;
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    http ??= nodeHttp().createServer(serve);
    http.emit('connection', socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        http?.closeAllConnections();
      }),
  };
}

function send(response: ServerResponse, { status, type, body }: Reply): void {
  response.writeHead(status, {
    'content-type': type,
    'cache-control': 'no-cache',
    'x-content-type-options': 'nosniff',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}

async function answer(pages: ReadonlyMap<string, Page>, request: IncomingMessage): Promise<Reply> {
  // A web page must not reach this port through the user's browser, by its own name or by a form.
  if (!/^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(request.headers.host ?? '') || request.headers.origin !== undefined)
    return text('this port answers to loopback programs only\n', 403);
  const url = new URL(request.url ?? '/', 'http://localhost');
  const page = pages.get(url.pathname);
  if (page === undefined) {
    const help = await pages.get('/help')?.answer(url.searchParams);
    return text(`invalid path. ${help?.body ?? ''}`, 404);
  }
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  if (method !== page.method) return text(`Method ${request.method} not allowed, ${page.method} required.`, 405);
  return page.answer(url.searchParams);
}

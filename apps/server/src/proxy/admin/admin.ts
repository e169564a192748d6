// The proxy's admin interface on loopback, with Envoy's paths.

import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import type { ProxyRuntime } from '../http/hooks.ts';
import type { Configuration } from '../xds-client/configuration.ts';
import { dumpConfiguration } from './config-dump.ts';
import { clustersText, statsText } from './stats-text.ts';

export type ProxyState = 'PRE_INITIALIZING' | 'LIVE' | 'DRAINING';

export interface AdminOptions {
  /** 0 = any free one. */
  port: number;
  runtime: ProxyRuntime;
  configuration: Configuration;
  prometheus: Registry;
  state(): ProxyState;
  info(): Record<string, unknown>;
  /** Gauges and counters of the process itself, by stats name. */
  stats(): Record<string, number>;
  drain(): void;
  quit(): void;
  logging: { enabled: boolean };
}

export interface Admin {
  port: number;
  close(): Promise<void>;
}

type Reply = { status: number; type: string; body: string };
const text = (body: string, status = 200): Reply => ({ status, type: 'text/plain; charset=utf-8', body });
const json = (value: unknown): Reply => ({ status: 200, type: 'application/json', body: `${JSON.stringify(value, null, 1)}\n` });

/** Resolves when it listens; rejects when the port is taken. */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const server: Server = createServer((request, response) => {
    void answer(options, request)
      .catch((error: unknown) => text(`${(error as Error).message}\n`, 500))
      .then((reply) => send(response, reply));
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
        server.closeAllConnections();
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

async function answer(options: AdminOptions, request: IncomingMessage): Promise<Reply> {
  // A web page must not reach this port through the user's browser, by its own name or by a form.
  if (!/^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(request.headers.host ?? '') || request.headers.origin !== undefined)
    return text('this port answers to loopback programs only\n', 403);
  const url = new URL(request.url ?? '/', 'http://localhost');
  const post = POST[url.pathname];
  if (post !== undefined)
    return request.method === 'POST' || (url.pathname === '/logging' && url.search === '') ? post(options, url) : text(`use POST for ${url.pathname}\n`, 405);
  const get = GET[url.pathname];
  if (get === undefined) return text(`no such page: ${url.pathname}\nThere are:\n${[...Object.keys(GET), ...Object.keys(POST)].join('\n')}\n`, 404);
  return request.method === 'GET' || request.method === 'HEAD' ? get(options, url) : text(`use GET for ${url.pathname}\n`, 405);
}

type Handler = (options: AdminOptions, url: URL) => Reply | Promise<Reply>;

const GET: Readonly<Record<string, Handler>> = {
  '/ready': (o) => text(`${o.state()}\n`, o.state() === 'LIVE' ? 200 : 503),
  '/stats': async (o, url) => (url.searchParams.get('format') === 'prometheus' ? prometheus(o) : text(statsText(o.runtime.stats(), o.stats()))),
  '/stats/prometheus': (o) => prometheus(o),
  '/config_dump': (o) => json(dumpConfiguration(o.configuration)),
  '/clusters': (o, url) =>
    url.searchParams.get('format') === 'json' ? json({ clusterStatuses: o.runtime.stats().clusters }) : text(clustersText(o.runtime.stats())),
  '/listeners': (o, url) => {
    const { listeners } = o.runtime.stats();
    return url.searchParams.get('format') === 'json'
      ? json({ listenerStatuses: listeners })
      : text(listeners.map((l) => `${l.name}::${l.address}:${l.port}${l.listening ? '' : ' (not bound)'}\n`).join(''));
  },
  '/server_info': (o) => json({ state: o.state(), ...o.info() }),
};

const POST: Readonly<Record<string, Handler>> = {
  '/drain_listeners': (o) => {
    o.drain();
    return text('OK\n');
  },
  '/quitquitquit': (o) => {
    // After the answer is out.
    setImmediate(o.quit);
    return text('OK\n');
  },
  '/logging': (o, url) => {
    const level = url.searchParams.get('level');
    if (level !== null && level !== 'info' && level !== 'off') return text(`level=${level}: this proxy has info and off\n`, 400);
    if (level !== null) o.logging.enabled = level === 'info';
    return text(`active loggers:\n  proxy: ${o.logging.enabled ? 'info' : 'off'}\n`);
  },
};

async function prometheus({ prometheus: registry }: AdminOptions): Promise<Reply> {
  return { status: 200, type: registry.contentType, body: await registry.metrics() };
}

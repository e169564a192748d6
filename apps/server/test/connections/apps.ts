// Applications that tell what came to them, connection by connection: bytes, the name asked for over TLS, how it ended. They answer
// with their name and every byte they get, HTTP/1 with a response.

import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

/** `first` speaks first; at `dead` nobody listens. */
export const APPS = ['a', 'b', 'c', 'tls', 'first', 'dead'] as const;
export type AppName = (typeof APPS)[number];

/** A connection an application saw. */
export interface Arrived {
  app: AppName;
  bytes: string;
  /** Name and protocol agreed on, over TLS. */
  hello: string;
  end: 'open' | 'fin' | 'reset';
}

export interface Apps {
  port(app: AppName): number;
  /** Those since the last call, once all of them have ended; those that sent nothing are left out. */
  arrived(): Promise<Arrived[]>;
  close(): Promise<void>;
}

const HTTP = /^(GET|POST|HEAD|PUT|OPTIONS|DELETE) /;

export async function startApps(identity: { chainPem: string; keyPem: string }): Promise<Apps> {
  let all: Arrived[] = [];
  let ended = (): void => undefined;
  const open = new Set<Socket>();
  const serve = (app: AppName, socket: Socket, hello: string): void => {
    const seen: Arrived = { app, bytes: '', hello, end: 'open' };
    all.push(seen);
    open.add(socket);
    const over = (how: 'fin' | 'reset'): void => {
      if (seen.end === 'open') seen.end = how;
      ended();
    };
    socket.on('close', () => open.delete(socket) && over('reset')).on('error', () => over('reset'));
    if (app === 'first') socket.write('220 first\r\n');
    socket.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1');
      const greeting = seen.bytes === '' ? `${app}<` : '';
      seen.bytes += text;
      if (seen.bytes.startsWith('PRI ')) socket.end();
      else if (!HTTP.test(seen.bytes)) socket.write(greeting + text, 'latin1');
      else if (/\r?\n\r?\n/.test(seen.bytes))
        socket.end(`HTTP/1.1 200 OK\r\nx-app: ${app}\r\ncontent-length: ${app.length}\r\nconnection: close\r\n\r\n${app}`);
    });
    socket.on('end', () => {
      over('fin');
      socket.end();
    });
  };
  const servers = new Map<AppName, Server>();
  for (const app of APPS) {
    const server =
      app === 'tls'
        ? createTlsServer(
            { cert: identity.chainPem, key: identity.keyPem, handshakeTimeout: 500, allowHalfOpen: true, ALPNProtocols: ['http/1.1', 'x'] },
            (socket) => serve(app, socket, `${socket.servername || 'none'} ${socket.alpnProtocol || 'none'}`),
          )
        : createServer({ allowHalfOpen: true }, (socket) => serve(app, socket, ''));
    server.on('tlsClientError', (_: Error, socket: Socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    servers.set(app, server);
  }
  const ports = new Map([...servers].map(([app, server]) => [app, (server.address() as AddressInfo).port]));
  servers.get('dead')?.close();
  return {
    port: (app) => ports.get(app) ?? 0,
    async arrived() {
      const deadline = setTimeout(() => ended(), 5_000);
      const late = performance.now() + 5_000;
      while (all.some(({ end }) => end === 'open') && performance.now() < late) await new Promise<void>((resolve) => (ended = resolve));
      clearTimeout(deadline);
      const some = all;
      all = [];
      return some.filter(({ bytes, hello }) => bytes !== '' || hello !== '').toSorted((x, y) => (x.app < y.app ? -1 : 1));
    },
    async close() {
      for (const socket of open) socket.destroy();
      servers.delete('dead');
      await Promise.all([...servers.values()].map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

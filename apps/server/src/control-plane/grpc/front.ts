// Takes connections in: TLS, then a place to be served in, then HTTP/2. Two things Node's own servers would do otherwise. TLS begins
// with bytes that have been read already: it makes a connection's read buffer as large as the first read it expects, 64 KB, and
// keeps it. And who must wait (after a restart all proxies come back together) waits here, where nothing of what it sends is kept.

import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { SecureContextOptions } from 'node:tls';
import { createAdmission } from '../admission.ts';
import type { Admission } from '../admission.ts';

/** A client that says nothing for so long is cut off; Node's own limit for a handshake. */
const SILENT_MS = 120_000;

export interface Front {
  readonly server: Server;
  /** New connections get this certificate; open ones keep theirs. */
  replaceCertificate(context: SecureContextOptions): void;
  /** Takes no more, and ends those that wait. */
  stop(): void;
}

export interface FrontOptions {
  /** Absent = plaintext. Clients may show a certificate; nothing is made of it here. */
  tls?: SecureContextOptions;
  admission: Admission;
  /** Serves a connection; `leave` gives back its place. */
  serve: (socket: Socket, leave: () => void) => void;
}

export function createFront({ tls, admission, serve }: FrontOptions): Front {
  const handshakes = createAdmission();
  /** Accepted and not served yet, by address; what to do when the handshake is over. */
  const waiting = new Map<string, { socket: Socket; shaken?: () => void }>();

  const admit = async (socket: Socket): Promise<void> => {
    const leave = await admission.enter();
    waiting.delete(addressOf(socket));
    socket.once('close', leave);
    if (socket.destroyed) leave();
    else serve(socket, leave);
  };
  const secure = tls === undefined ? undefined : createTlsServer({ ...tls, requestCert: true, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  secure?.on('secureConnection', (socket) => {
    socket.on('error', () => undefined);
    waiting.get(addressOf(socket))?.shaken?.();
    void admit(socket);
  });
  const begin = async (socket: Socket): Promise<void> => {
    if (secure === undefined) return admit(socket);
    const shaken = await handshakes.enter();
    socket.once('close', shaken);
    if (socket.destroyed) return shaken();
    waiting.set(addressOf(socket), { socket, shaken });
    secure.emit('connection', socket);
  };
  const server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => {
    const key = addressOf(socket);
    waiting.set(key, { socket });
    socket.on('error', () => undefined);
    socket.on('close', () => waiting.delete(key));
    socket.setTimeout(SILENT_MS, () => socket.destroy());
    socket.once('readable', () => {
      socket.setTimeout(0);
      // Ended without a word.
      if (socket.readableLength === 0) socket.destroy();
      else void begin(socket);
    });
  });
  return {
    server,
    replaceCertificate: (context) => secure?.setSecureContext(context),
    stop: () => {
      server.close();
      for (const { socket } of waiting.values()) socket.destroy();
    },
  };
}

const addressOf = (socket: Socket): string => `${socket.remoteAddress}:${socket.remotePort}`;

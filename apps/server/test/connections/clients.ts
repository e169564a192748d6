// Clients of any protocol: bytes in pieces, or TLS with bytes in it, and what they see until their connection is over.

import { type Socket, connect } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';

export interface Question {
  /** Name of the listener. */
  to: string;
  /** Written one after another. */
  pieces: readonly string[];
  /** A handshake first: name, protocols, whose certificate; `low`: nothing newer than TLS 1.2. */
  tls?: { name: string; protocols: readonly string[]; as: 'mesh' | 'stranger' | 'nobody'; low: boolean };
  /** What it does once it has heard something: ends its half, or resets. */
  last: 'fin' | 'reset';
}

export interface Seen {
  text: string;
  end: 'fin' | 'reset' | 'refused' | 'tls' | 'silent';
  /** Protocol the handshake agreed on. */
  protocol?: string | undefined;
  /** Port the client came from. */
  from: number;
}

export type Identities = Record<'mesh' | 'stranger', { chainPem: string; keyPem: string }>;

/** Who has heard nothing for so long is not going to, before its half ends. While Envoy looks at first bytes, an end close behind them is the end of the connection. */
const PATIENCE_MS = 300;

export function ask({ pieces, tls, last }: Question, port: number, identities: Identities): Promise<Seen> {
  if (port === 0) return Promise.resolve({ text: '', end: 'refused', from: 0 });
  return new Promise((resolve) => {
    const seen: Seen = { text: '', end: 'fin', from: 0 };
    const target = { host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true };
    const identity = tls === undefined || tls.as === 'nobody' ? {} : { cert: identities[tls.as].chainPem, key: identities[tls.as].keyPem };
    const secure = tls && {
      ...identity,
      ...(tls.name === '' ? {} : { servername: tls.name }),
      ...(tls.protocols.length === 0 ? {} : { ALPNProtocols: [...tls.protocols] }),
      ...(tls.low ? { maxVersion: 'TLSv1.2' as const } : {}),
      rejectUnauthorized: false,
    };
    const base = connect(target);
    // Node takes allowHalfOpen for TLS too; its types do not know.
    const options: ConnectionOptions = { ...secure, socket: base, ...{ allowHalfOpen: true } };
    const socket: Socket = secure === undefined ? base : connectTls(options);
    let patience: NodeJS.Timeout | undefined;
    const over = (end: Seen['end']): void => {
      clearTimeout(patience);
      seen.end = end;
      base.destroy();
      resolve(seen);
    };
    base.once('connect', () => (seen.from = base.localPort ?? 0));
    socket.once(secure === undefined ? 'connect' : 'secureConnect', () => {
      if ('alpnProtocol' in socket) seen.protocol = String(socket.alpnProtocol || 'none');
      void send();
    });
    const send = async (): Promise<void> => {
      for (const piece of pieces) {
        if (!socket.writable) return;
        await new Promise((done) => socket.write(piece, 'latin1', done));
        await new Promise((done) => setImmediate(done));
      }
      patience = setTimeout(finish, PATIENCE_MS);
      if (seen.text !== '') finish();
    };
    const finish = (): void => {
      clearTimeout(patience);
      if (last === 'fin') {
        patience = setTimeout(() => over('silent'), 15_000);
        socket.end();
      } else {
        base.resetAndDestroy();
        resolve(seen);
      }
    };
    socket.on('data', (chunk: Buffer) => {
      const first = seen.text === '';
      seen.text += chunk.toString('latin1');
      if (first && patience !== undefined) finish();
    });
    socket.on('end', () => over('fin'));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      const { code = '' } = error;
      over(code === 'ECONNREFUSED' ? 'refused' : code === 'ECONNRESET' || code === 'EPIPE' ? 'reset' : 'tls');
    });
    socket.on('close', () => over('reset'));
  });
}

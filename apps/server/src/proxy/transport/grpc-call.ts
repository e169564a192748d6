// What the proxy needs of gRPC: one call, on a connection of its own over TLS.

import { connect as connectTls, type TLSSocket } from 'node:tls';
import { GrpcMessages } from '@weft/mesh-core/wire';
import { fieldOf } from './field-lines.ts';
import { grpcFrame } from './grpc-frame.ts';
import { hostAndPort } from '../upstream/host-and-port.ts';
import { SingleExchange } from './single-exchange.ts';

export interface GrpcCallOptions {
  /** `host:port`; its certificate is for `localhost`. */
  address: string;
  rootCaPem: string;
  /** Whom the caller proves to be. */
  identity: { keyPem: string; chainPem: string } | undefined;
  /** `/package.Service/Method` */
  method: string;
  headers?: Readonly<Record<string, string>>;
  /** For the whole call; without it the connection is pinged instead. */
  deadlineMs?: number;
  onMessage(message: Uint8Array): void;
  /** Once, and the last thing heard. Undefined = the server ended the call, and it went well. */
  onEnd(error: Error | undefined): void;
}

export interface GrpcCall {
  send(message: Uint8Array): void;
  /** Nothing more to send. */
  finish(): void;
  /** Nothing more is heard. */
  close(): void;
}

const pingEveryMs = 30_000;
const pingTimeoutMs = 5_000;
const maxMessageBytes = 64 * 1024 * 1024;
const refusals = {
  compressed: () => new Error('a compressed message'),
  tooLarge: (length: number) => new Error(`a message of ${length} bytes`),
};

export function startGrpcCall(options: GrpcCallOptions): GrpcCall {
  const { host, port } = hostAndPort(options.address, 443);
  let ended = false;
  const end = (error: Error | undefined, told = true): void => {
    if (ended) return;
    ended = true;
    clearTimeout(deadline);
    clearInterval(pings);
    exchange.close();
    if (told) options.onEnd(error);
  };
  const deadline = options.deadlineMs === undefined ? undefined : setTimeout(() => end(new Error('no answer in time')), options.deadlineMs);
  const pings = options.deadlineMs !== undefined ? undefined : setInterval(() => ping(), pingEveryMs).unref();
  const ping = (): void => {
    if (socket.connecting) return;
    const late = setTimeout(() => end(new Error('pings are not answered')), pingTimeoutMs).unref();
    exchange.ping(() => clearTimeout(late));
  };

  const messages = new GrpcMessages(maxMessageBytes, refusals);
  let inHead = '';
  const socket = secure(options, host, port);
  const fields: [string, string][] = [
    [':method', 'POST'],
    [':scheme', 'https'],
    [':authority', 'localhost'],
    [':path', options.method],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...Object.entries(options.headers ?? {}),
  ];
  const exchange = new SingleExchange(socket, fields, {
    head: ({ status, fields: { text } }) => {
      if (status !== 200) end(new Error(`HTTP status ${status}`));
      // A call without any message may have its status there.
      inHead = text;
    },
    data: (bytes) => {
      messages.push(bytes);
      try {
        while (!ended) {
          const message = messages.next();
          if (message === undefined) return;
          options.onMessage(message);
        }
      } catch (error) {
        end(error as Error);
      }
    },
    end: (trailers) => {
      const status = fieldOf(trailers, 'grpc-status') ?? fieldOf(inHead, 'grpc-status');
      const text = fieldOf(trailers, 'grpc-message') ?? fieldOf(inHead, 'grpc-message') ?? '';
      if (status === undefined) end(new Error('the call ended without a status'));
      else end(status === '0' ? undefined : new Error(`gRPC status ${status}: ${decoded(text)}`));
    },
    failed: end,
  });

  return {
    send(message) {
      if (!ended) exchange.write(grpcFrame(message));
    },
    finish: () => exchange.finish(),
    close: () => end(undefined, false),
  };
}

/** Last TLS session of an identity. */
const sessions = new WeakMap<object, Buffer>();

/** Who comes back resumes its session, as Envoy does: after a loss of all connections nobody has to sign and verify again. */
function secure({ identity, rootCaPem }: GrpcCallOptions, host: string, port: number): TLSSocket {
  const options = { host, port, noDelay: true, servername: 'localhost', ALPNProtocols: ['h2'], ca: rootCaPem };
  if (identity === undefined) return connectTls(options);
  const socket = connectTls({ ...options, key: identity.keyPem, cert: identity.chainPem, session: sessions.get(identity) });
  return socket.on('session', (session) => sessions.set(identity, session));
}

/** `grpc-message` is percent-encoded. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

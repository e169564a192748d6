// What the proxy needs of gRPC: one call, on a connection of its own over TLS. On node:http2, as the control plane's server is.

import { connect, constants, type IncomingHttpHeaders } from 'node:http2';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { GrpcMessages } from '@weft/mesh-core/wire';
import { hostAndPort } from '../upstream/host-and-port.ts';

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
const windowBytes = 1024 * 1024;
const maxMessageBytes = 64 * 1024 * 1024;
const refusals = {
  compressed: () => new Error('a compressed message'),
  tooLarge: (length: number) => new Error(`a message of ${length} bytes`),
};

export function startGrpcCall(options: GrpcCallOptions): GrpcCall {
  const { host, port } = hostAndPort(options.address, 443);
  const session = connect('https://localhost', {
    settings: { enablePush: false, initialWindowSize: windowBytes },
    createConnection: () => secure(options, host, port),
  });
  let ended = false;
  const end = (error: Error | undefined, told = true): void => {
    if (ended) return;
    ended = true;
    clearTimeout(deadline);
    clearInterval(pings);
    session.destroy();
    if (told) options.onEnd(error);
  };
  const deadline = options.deadlineMs === undefined ? undefined : setTimeout(() => end(new Error('no answer in time')), options.deadlineMs);
  const pings = options.deadlineMs !== undefined ? undefined : setInterval(() => ping(), pingEveryMs).unref();
  const ping = (): void => {
    if (session.connecting) return;
    const late = setTimeout(() => end(new Error('pings are not answered')), pingTimeoutMs).unref();
    session.ping(() => clearTimeout(late));
  };

  const stream = session.request({
    ...{ ':method': 'POST', ':path': options.method, 'content-type': 'application/grpc', te: 'trailers' },
    ...options.headers,
  });
  // It is told of a turn late: by then the call may have ended.
  session.on('connect', () => session.destroyed || session.setLocalWindowSize(windowBytes));
  session.on('error', end);
  session.on('close', () => end(new Error('the connection was closed')));

  // The status may be told before the last messages have been read, in trailers or, without any message, in the head.
  let status: string | undefined;
  let text = '';
  const take = (headers: IncomingHttpHeaders): void => {
    status ??= headers['grpc-status']?.toString();
    text = headers['grpc-message']?.toString() ?? text;
    if (stream.readableEnded) settle();
  };
  const settle = (): void => {
    if (status === undefined) end(new Error('the call ended without a status'));
    else end(status === '0' ? undefined : new Error(`gRPC status ${status}: ${decoded(text)}`));
  };
  stream.on('error', end);
  stream.on('response', (headers) => {
    if (headers[':status'] === 200) take(headers);
    else end(new Error(`HTTP status ${headers[':status']}`));
  });
  stream.on('trailers', take);
  // Trailers are told in this turn.
  stream.on('end', () => (status === undefined ? setImmediate(settle) : settle()));

  const messages = new GrpcMessages(maxMessageBytes, refusals);
  stream.on('data', (chunk: Buffer) => {
    messages.push(chunk);
    try {
      while (!ended) {
        const message = messages.next();
        if (message === undefined) return;
        options.onMessage(message);
      }
    } catch (error) {
      end(error as Error);
    }
  });

  return {
    send(message) {
      if (ended) return;
      const frame = Buffer.alloc(5 + message.length);
      frame.writeUInt32BE(message.length, 1);
      frame.set(message, 5);
      stream.write(frame);
    },
    finish: () => void stream.end(),
    close: () => {
      if (!ended && !stream.destroyed) stream.close(constants.NGHTTP2_CANCEL);
      end(undefined, false);
    },
  };
}

/** Last TLS session of an identity. */
const sessions = new WeakMap<object, Buffer>();

/** Who comes back resumes its session, as Envoy does: after a loss of all connections nobody has to sign and verify again. */
function secure({ identity, rootCaPem }: GrpcCallOptions, host: string, port: number): TLSSocket {
  const options = { host, port, servername: 'localhost', ALPNProtocols: ['h2'], ca: rootCaPem };
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

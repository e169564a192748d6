// A gRPC server directly on node:http2: bytes in, bytes out, nothing made per message but its frame.

import { createServer } from 'node:http2';
import type { IncomingHttpHeaders, ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { PeerCertificate, SecureContextOptions, TLSSocket } from 'node:tls';
import { createAdmission } from '../admission.ts';
import type { Admission } from '../admission.ts';
import { CODE } from './codes.ts';
import { GrpcCall, respondWithoutBody } from './grpc-call.ts';
import type { GrpcMethod, Peer } from './grpc-call.ts';
import { createFront } from './front.ts';

export interface GrpcServerOptions {
  /** Absent = plaintext. */
  tls?: SecureContextOptions;
  /** New connections wait here for a place, which their first call gives back. */
  admission?: Admission;
  /** Of one message from a client. */
  maxMessageBytes: number;
  /** Connections end after this long, ±10 %: no new calls, and after `AGE_GRACE_MS` none at all. Absent = never. */
  maxConnectionAgeMs?: number;
}

export interface GrpcServer {
  /** Resolves with the port; rejects with the socket's error. */
  listen(host: string, port: number): Promise<number>;
  /** New connections get this certificate; open ones keep theirs. */
  replaceCertificate(context: SecureContextOptions): void;
  /** Tells every client to go, and ends what is still open a moment later. */
  stop(): void;
}

const MAX_CONCURRENT_STREAMS = 1_000;
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
const SWEEP_MS = 1_000;
const AGE_GRACE_MS = 5_000;
const STOP_GRACE_MS = 200;
/** `application/grpc` with an encoding of our choice, but not gRPC-Web. */
const CONTENT_TYPE = /^application\/grpc(?:$|[+;])/;

interface Session {
  peer: Peer;
  /** Gives back the place it was admitted to. */
  leave: () => void;
  /** When the next ping is due, or the answer to the last one (performance.now). */
  due: number;
  waiting: boolean;
  age: NodeJS.Timeout | undefined;
}

/** `methods` by path, `/package.Service/Method`. */
export function createGrpcServer(methods: ReadonlyMap<string, GrpcMethod>, options: GrpcServerOptions): GrpcServer {
  const { tls, admission = createAdmission(), maxMessageBytes, maxConnectionAgeMs } = options;
  const server = createServer({ settings: { maxConcurrentStreams: MAX_CONCURRENT_STREAMS } });
  /** Place of the connection that is just becoming a session. */
  let place: () => void = () => undefined;
  const front = createFront({
    ...(tls === undefined ? {} : { tls }),
    admission,
    serve: (socket, leave) => {
      place = leave;
      server.emit('connection', socket);
    },
  });
  const sessions = new Map<ServerHttp2Session, Session>();
  let sweep: NodeJS.Timeout | undefined;

  server.on('session', (session: ServerHttp2Session) => {
    const age =
      maxConnectionAgeMs === undefined ? undefined : setTimeout(() => retire(session, AGE_GRACE_MS), maxConnectionAgeMs * (0.9 + Math.random() * 0.2)).unref();
    sessions.set(session, { peer: peerOf(session), leave: place, due: performance.now() + KEEPALIVE_MS, waiting: false, age });
    session.on('error', () => undefined);
    session.on('close', () => {
      sessions.delete(session);
      clearTimeout(age);
    });
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    const { session } = stream;
    const known = session === undefined ? undefined : sessions.get(session as ServerHttp2Session);
    if (known === undefined) return stream.destroy();
    const path = headers[':path'] ?? '';
    const method = methods.get(path);
    const refusal = refuse(headers);
    if (refusal === undefined && method !== undefined) return new GrpcCall(stream, headers, { peer: known.peer, leave: known.leave, method, maxMessageBytes });
    known.leave();
    if (refusal !== undefined) return stream.respond({ ':status': refusal }, { endStream: true });
    return respondWithoutBody(stream, CODE.unimplemented, `this server has no method ${path}`);
  });

  /** A peer that does not answer is gone, though its connection may look alive for many minutes. */
  const keepAlive = (): void => {
    const now = performance.now();
    for (const [session, state] of sessions) {
      if (now < state.due || session.destroyed) continue;
      if (state.waiting) {
        // Not before everything that has come is read: it may have been us who had no time.
        setImmediate(() => state.waiting && session.destroy());
        continue;
      }
      state.waiting = true;
      state.due = now + KEEPALIVE_TIMEOUT_MS;
      session.ping(() => {
        state.waiting = false;
        state.due = now + KEEPALIVE_MS;
      });
    }
  };
  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        front.server.on('error', reject);
        front.server.listen(port, host, () => {
          sweep = setInterval(keepAlive, SWEEP_MS).unref();
          resolve((front.server.address() as AddressInfo).port);
        });
      }),
    replaceCertificate: front.replaceCertificate,
    stop: () => {
      clearInterval(sweep);
      front.stop();
      for (const session of sessions.keys()) retire(session, STOP_GRACE_MS);
    },
  };
}

/** GOAWAY: calls under way may end, new ones go elsewhere. */
function retire(session: ServerHttp2Session, graceMs: number): void {
  session.close();
  const timer = setTimeout(() => session.destroy(), graceMs).unref();
  session.on('close', () => clearTimeout(timer));
}

function peerOf(session: ServerHttp2Session): Peer {
  const socket = session.socket as TLSSocket;
  // Not getPeerX509Certificate, which takes four times as long. Of a client that showed none this is an empty object.
  const certificate: Partial<PeerCertificate> | undefined = session.encrypted ? socket.getPeerCertificate() : undefined;
  return { address: `${socket.remoteAddress}:${socket.remotePort}`, certificate: certificate?.raw };
}

/** The HTTP status of what is no gRPC request. */
function refuse(headers: IncomingHttpHeaders): number | undefined {
  if (!CONTENT_TYPE.test(headers['content-type'] ?? '')) return 415;
  return headers[':method'] === 'POST' ? undefined : 405;
}

// A gRPC server: bytes in, bytes out, nothing made per message but its frame.

import type { AddressInfo, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { PeerCertificate, SecureContextOptions } from 'node:tls';
import { createAdmission } from '../admission.ts';
import type { Admission } from '../admission.ts';
import { CODE } from './codes.ts';
import { GrpcCall, respondWithoutBody } from './grpc-call.ts';
import type { GrpcMethod, Peer } from './grpc-call.ts';
import { createFront } from './front.ts';
import { GrpcSession } from './grpc-session.ts';

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

const SWEEP_MS = 1_000;
const AGE_GRACE_MS = 5_000;
const STOP_GRACE_MS = 200;
/** `application/grpc` with an encoding of our choice, but not gRPC-Web. */
const CONTENT_TYPE = /^application\/grpc(?:$|[+;])/;

/** `methods` by path, `/package.Service/Method`. */
export function createGrpcServer(methods: ReadonlyMap<string, GrpcMethod>, options: GrpcServerOptions): GrpcServer {
  const { tls, admission = createAdmission(), maxMessageBytes, maxConnectionAgeMs } = options;
  const sessions = new Set<GrpcSession>();
  let sweep: NodeJS.Timeout | undefined;

  const serve = (socket: Socket, leave: () => void): void => {
    const peer = peerOf(socket);
    const session = new GrpcSession(socket, {
      request: (stream, { method: verb, path, fields }) => {
        const method = methods.get(path);
        const refused = refusal(verb, fields['content-type']);
        if (refused === undefined && method !== undefined) return new GrpcCall(stream, fields, { peer, leave, method, maxMessageBytes });
        leave();
        if (refused !== undefined) stream.refuse(refused);
        else respondWithoutBody(stream, CODE.unimplemented, `this server has no method ${path}`);
        return undefined;
      },
      closed: () => {
        sessions.delete(session);
        clearTimeout(age);
      },
    });
    sessions.add(session);
    const age =
      maxConnectionAgeMs === undefined ? undefined : setTimeout(() => retire(session, AGE_GRACE_MS), maxConnectionAgeMs * (0.9 + Math.random() * 0.2)).unref();
  };
  const front = createFront({ ...(tls === undefined ? {} : { tls }), admission, serve });

  const keepAlive = (): void => {
    const now = performance.now();
    for (const session of sessions) session.keepAlive(now);
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
      for (const session of sessions) retire(session, STOP_GRACE_MS);
    },
  };
}

/** GOAWAY: calls under way may end, new ones go elsewhere. */
function retire(session: GrpcSession, graceMs: number): void {
  session.drain();
  setTimeout(() => session.destroy(), graceMs).unref();
}

function peerOf(socket: Socket): Peer {
  // Not getPeerX509Certificate, which takes four times as long. Of a client that showed none this is an empty object.
  const certificate: Partial<PeerCertificate> | undefined = socket instanceof TLSSocket ? socket.getPeerCertificate() : undefined;
  return { address: `${socket.remoteAddress}:${socket.remotePort}`, certificate: certificate?.raw };
}

/** The HTTP status of what is no gRPC request. */
function refusal(method: string, contentType = ''): number | undefined {
  if (!CONTENT_TYPE.test(contentType)) return 415;
  return method === 'POST' ? undefined : 405;
}

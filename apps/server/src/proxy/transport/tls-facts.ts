// What a TLS connection says of itself. Node forgets it when the connection closes, and logs are written after that: who may ask
// later asks once before.

import { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { type DetailedPeerCertificate, TLSSocket } from 'node:tls';

export interface TlsFacts {
  /** `TLSv1.3` */
  version: string;
  /** OpenSSL's name. */
  cipher: string;
  /** Hex, '' = none. */
  sessionId: string;
  /** SNI, '' = none. */
  serverName: string;
  own: X509Certificate | undefined;
  /** The peer's certificate and those above it; empty = it has shown none. */
  peers: readonly X509Certificate[];
}

const known = new WeakMap<Socket, TlsFacts>();

/** Undefined = there is no TLS, or the connection has closed before anybody asked. */
export function tlsFacts(socket: Socket | undefined): TlsFacts | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  let facts = known.get(socket);
  if (facts === undefined && !socket.destroyed) known.set(socket, (facts = read(socket)));
  return facts;
}

function read(socket: TLSSocket): TlsFacts {
  const version = socket.getProtocol() ?? '';
  return {
    version,
    cipher: socket.getCipher().name,
    // TLS 1.3 has none; what OpenSSL keeps in its place nobody else knows.
    sessionId: version === 'TLSv1.3' ? '' : sessionId(socket.getSession()),
    serverName: 'servername' in socket && typeof socket.servername === 'string' ? socket.servername : '',
    own: socket.getX509Certificate(),
    peers: [...chain(socket.getPeerCertificate(true))],
  };
}

function* chain(leaf: DetailedPeerCertificate): Generator<X509Certificate> {
  // Of no certificate Node gives an object with nothing in it; a root is its own issuer.
  for (let one: Partial<DetailedPeerCertificate> = leaf; one.raw !== undefined; one = one.issuerCertificate ?? {}) {
    yield new X509Certificate(one.raw);
    if (one.issuerCertificate === one) return;
  }
}

/** Node 22 and 24 of late 2026 begin a client's session with this, and two bytes of length before the name of the server it is for. */
const BOUND_TO = Buffer.from('\0nodejs:tls:session:1\0');

/** SSLSession of OpenSSL: a sequence of its own version, TLS's, the cipher and the id. '' = it is something else. */
export function sessionId(session: Buffer | undefined): string {
  if (session?.subarray(0, BOUND_TO.length).equals(BOUND_TO)) {
    const name = BOUND_TO.length + 2;
    return sessionId(session.subarray(name + session.readUInt16BE(BOUND_TO.length)));
  }
  if (session?.[0] !== 0x30) return '';
  const lengthBytes = session.readUInt8(1);
  let at = lengthBytes < 0x80 ? 2 : 2 + (lengthBytes & 0x7f);
  for (let field = 0; field < 3; field++) at += 2 + session.readUInt8(at + 1);
  return session.subarray(at + 2, at + 2 + session.readUInt8(at + 1)).toString('hex');
}

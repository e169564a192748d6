// TLS on accepted sockets of one filter chain. The socket has been looked at already, so it is handed to a TLS server that never
// listens; a new certificate goes into that server and serves the next handshake.

import type { Socket } from 'node:net';
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import type { DownstreamTls } from '../config/model.ts';
import { compilePeerSans, dnsSans, uriSans } from './peer-identity.ts';
import type { SecretStore } from './secrets.ts';

export interface TlsClient {
  principal: string | undefined;
  /** SHA-256 of its certificate, lower-case hex, '' without one. */
  certificateHash: string;
  /** RFC 2253, '' without a certificate. */
  subject: string;
  dnsNames: readonly string[];
  ownIdentity: string;
}

export class TlsTerminator {
  private readonly config: DownstreamTls;
  private readonly secrets: SecretStore;
  private readonly accepts: (subjectAltName: string | undefined) => boolean;
  private readonly onSecure: (socket: TLSSocket, client: TlsClient) => void;
  private readonly onRefused: () => void;
  private readonly handshakeTimeoutMs: number;
  private readonly servers = new Map<boolean, Server>();
  private readonly unwatch: () => void;

  constructor(
    config: DownstreamTls,
    secrets: SecretStore,
    onSecure: (socket: TLSSocket, client: TlsClient) => void,
    onRefused: () => void,
    handshakeTimeoutMs = 15_000,
  ) {
    this.handshakeTimeoutMs = handshakeTimeoutMs;
    this.config = config;
    this.secrets = secrets;
    this.accepts = compilePeerSans(config.peerSans);
    this.onSecure = onSecure;
    this.onRefused = onRefused;
    this.unwatch = secrets.watch(() => this.reload());
  }

  /** False = the certificate is not here yet; the caller closes the socket. `offered`: the client's ALPN. */
  take(socket: Socket, offered: readonly string[], http2: boolean): boolean {
    // Without a protocol in common TLS would fail; Envoy goes on without ALPN, and so does this.
    const own = http2 ? this.config.alpn : this.config.alpn.filter((name) => name !== 'h2');
    const withAlpn = own.some((name) => offered.includes(name));
    let server = this.servers.get(withAlpn);
    if (server === undefined) {
      const options = this.options();
      if (options === undefined) return false;
      server = createServer({
        ...options,
        requestCert: this.config.requireClientCertificate || this.config.validationSecret !== undefined || this.config.ca !== undefined,
        rejectUnauthorized: this.config.requireClientCertificate,
        handshakeTimeout: this.handshakeTimeoutMs,
        allowHalfOpen: true,
        ...(withAlpn ? { ALPNProtocols: [...own] } : {}),
      });
      server.on('secureConnection', (secured: TLSSocket) => this.check(secured));
      server.on('tlsClientError', (_, failed) => {
        this.onRefused();
        failed.destroy();
      });
      this.servers.set(withAlpn, server);
    }
    server.emit('connection', socket);
    return true;
  }

  close(): void {
    this.unwatch();
  }

  private check(socket: TLSSocket): void {
    const certificate = socket.getPeerX509Certificate();
    // Also where none is needed, one that is shown must be good.
    const refused = certificate !== undefined && !socket.authorized;
    if (refused || (certificate === undefined ? this.config.requireClientCertificate : !this.accepts(certificate.subjectAltName))) {
      this.onRefused();
      socket.destroy();
      return;
    }
    this.onSecure(socket, {
      principal: certificate === undefined ? undefined : uriSans(certificate.subjectAltName)[0],
      certificateHash: certificate === undefined ? '' : certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
      subject: certificate === undefined ? '' : certificate.subject.split('\n').toReversed().join(','),
      dnsNames: certificate === undefined ? [] : dnsSans(certificate.subjectAltName),
      ownIdentity: this.secrets.identity(this.config.certificateSecret),
    });
  }

  private options(): SecureContextOptions | undefined {
    const { certificateSecret, certificate, validationSecret, ca } = this.config;
    const named = this.secrets.options(certificate === undefined ? certificateSecret : undefined, validationSecret);
    if (named === undefined) return undefined;
    return {
      ...named,
      ...(certificate === undefined ? {} : { cert: certificate.chainPem, key: certificate.keyPem }),
      ...(ca === undefined ? {} : { ca: ca.pem }),
    };
  }

  private reload(): void {
    const options = this.options();
    if (options !== undefined) for (const server of this.servers.values()) server.setSecureContext(options);
  }
}

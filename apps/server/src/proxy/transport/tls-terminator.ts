// TLS on accepted sockets of one filter chain. The socket has been looked at already, so it is handed to a TLS server that never
// listens; a new certificate goes into that server and serves the next handshake.

import { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { createSecureContext, createServer, type SecureContext, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import type { DownstreamTls, KeyPair } from '../config/model.ts';
import { compilePeerSans, compilePins, dnsSans, namesHost, uriSans } from './peer-identity.ts';
import { type SecretStore, contextParams } from './secrets.ts';

export interface TlsClient {
  principal: string | undefined;
  /** URI SANs of a certificate that is trusted. */
  uriNames: readonly string[];
  /** There is a certificate, and its CA is one of ours. */
  trusted: boolean;
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
  private readonly accepts: (certificate: X509Certificate) => boolean;
  private readonly onSecure: (socket: TLSSocket, client: TlsClient) => void;
  private readonly onRefused: (socket: TLSSocket, reason: string) => void;
  private readonly handshakeTimeoutMs: number;
  private readonly servers = new Map<boolean, Server>();
  private identities: readonly Identity[] = [];
  /** Contexts for names, where there are several certificates. */
  private readonly byName = new Map<string, SecureContext>();
  private readonly unwatch: () => void;

  constructor(
    config: DownstreamTls,
    secrets: SecretStore,
    onSecure: (socket: TLSSocket, client: TlsClient) => void,
    onRefused: (socket: TLSSocket, reason: string) => void,
    handshakeTimeoutMs = 15_000,
  ) {
    this.handshakeTimeoutMs = handshakeTimeoutMs;
    this.config = config;
    this.secrets = secrets;
    const named = compilePeerSans(config.peerSans);
    const pinned = config.pins === undefined ? () => true : compilePins(config.pins);
    this.accepts = (certificate) => named(certificate.subjectAltName) && pinned(certificate);
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
      const { requireClientCertificate, acceptUntrusted, validationSecret, ca } = this.config;
      server = createServer({
        ...options,
        ...(this.identities.length === 1
          ? {}
          : { SNICallback: (name: string, answer: (error: null, context?: SecureContext) => void) => answer(null, this.contextFor(name)) }),
        requestCert: requireClientCertificate || validationSecret !== undefined || ca !== undefined,
        rejectUnauthorized: requireClientCertificate && acceptUntrusted !== true,
        handshakeTimeout: this.handshakeTimeoutMs,
        allowHalfOpen: true,
        ...(withAlpn ? { ALPNProtocols: [...own] } : {}),
      });
      server.on('secureConnection', (secured: TLSSocket) => this.check(secured));
      if (this.identities.some(({ pair }) => pair.ocspStaple !== undefined))
        server.on('OCSPRequest', (served: Buffer, _: Buffer, answer: (error: null, staple: Buffer | null) => void) => {
          const staple = this.identities.find(({ certificate }) => certificate.raw.equals(served))?.pair.ocspStaple;
          answer(null, staple === undefined ? null : Buffer.from(staple));
        });
      server.on('tlsClientError', (error: NodeJS.ErrnoException, failed) => {
        this.onRefused(failed, error.code ?? error.message);
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
    const { requireClientCertificate, acceptUntrusted, certificateSecrets } = this.config;
    const certificate = socket.getPeerX509Certificate();
    // Also where none is needed, one that is shown must be good.
    const good = certificate === undefined ? !requireClientCertificate : acceptUntrusted === true || (socket.authorized && this.accepts(certificate));
    if (!good) {
      this.onRefused(socket, String(socket.authorizationError ?? 'CERTIFICATE_NOT_ACCEPTED'));
      socket.destroy();
      return;
    }
    const trusted = certificate !== undefined && socket.authorized;
    const uriNames = trusted ? uriSans(certificate.subjectAltName) : [];
    this.onSecure(socket, {
      principal: uriNames[0],
      uriNames,
      trusted,
      certificateHash: certificate === undefined ? '' : certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
      subject: certificate === undefined ? '' : certificate.subject.split('\n').toReversed().join(','),
      dnsNames: certificate === undefined ? [] : dnsSans(certificate.subjectAltName),
      ownIdentity: this.secrets.identity(certificateSecrets[0] ?? ''),
    });
  }

  /** Undefined while a secret is missing. */
  private options(): SecureContextOptions | undefined {
    const { certificateSecrets, certificates = [] } = this.config;
    const pairs = [...certificateSecrets.map((name) => this.secrets.keyPair(name)), ...certificates].filter((pair) => pair !== undefined);
    const trust = this.secrets.trust(this.config);
    if (trust === undefined || pairs.length < certificateSecrets.length + certificates.length) return undefined;
    this.identities = pairs.map((pair) => ({ pair, certificate: new X509Certificate(pair.chainPem) }));
    this.byName.clear();
    return { ...contextParams(this.config), ...trust, ...served(this.identities) };
  }

  /** As Envoy: among the certificates for the name where there are any, else among all. */
  private contextFor(name: string): SecureContext | undefined {
    const fitting = this.identities.filter(({ certificate }) => namesHost(certificate.subjectAltName, name));
    if (fitting.length === 0 || fitting.length === this.identities.length) return undefined;
    const key = fitting.map(({ certificate }) => certificate.fingerprint256).join();
    let context = this.byName.get(key);
    if (context === undefined)
      this.byName.set(key, (context = createSecureContext({ ...contextParams(this.config), ...this.secrets.trust(this.config), ...served(fitting) })));
    return context;
  }

  private reload(): void {
    const options = this.options();
    if (options !== undefined) for (const server of this.servers.values()) server.setSecureContext(options);
  }
}

interface Identity {
  pair: KeyPair;
  certificate: X509Certificate;
}

/** The first certificate of each kind of key: clients choose by what they can verify. */
function served(identities: readonly Identity[]): Pick<SecureContextOptions, 'cert' | 'key'> {
  const kinds = new Map<string | undefined, KeyPair>();
  for (const { pair, certificate } of identities) {
    const kind = certificate.publicKey.asymmetricKeyType;
    if (!kinds.has(kind)) kinds.set(kind, pair);
  }
  return { cert: [...kinds.values()].map((pair) => pair.chainPem), key: [...kinds.values()].map((pair) => pair.keyPem) };
}

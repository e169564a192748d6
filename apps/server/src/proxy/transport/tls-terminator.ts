// TLS on accepted sockets of one filter chain. The socket has been looked at already, so it is handed to a TLS server that never
// listens: one for each choice of certificates, with and without ALPN. A new secret makes new ones for the next handshakes.

import { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import type { DownstreamTls, KeyPair } from '../config/model.ts';
import { compilePeerSans, compilePins, digestOf, distinguishedName, namesHost, sansOf } from './peer-identity.ts';
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
  /** URI SANs of the certificate that was served. */
  ownNames: readonly string[];
}

export class TlsTerminator {
  private readonly config: DownstreamTls;
  private readonly secrets: SecretStore;
  private readonly accepts: (certificate: X509Certificate) => boolean;
  private readonly onSecure: (socket: TLSSocket, client: TlsClient) => void;
  private readonly onRefused: (socket: TLSSocket, reason: string) => void;
  private readonly handshakeTimeoutMs: number;
  private material: Material | undefined;
  private readonly servers = new Map<string, Server>();
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

  /** False = the certificate is not here yet; the caller closes the socket. `hello`: what the client offers, and its name for this server. */
  take(socket: Socket, hello: { protocols: readonly string[]; serverName: string }, http2: boolean): boolean {
    const material = (this.material ??= this.load());
    if (material === undefined) return false;
    // Without a protocol in common TLS would fail; Envoy goes on without ALPN, and so does this.
    const own = http2 ? this.config.alpn : this.config.alpn.filter((name) => name !== 'h2');
    const alpn = own.some((name) => hello.protocols.includes(name)) ? own : [];
    // Chosen here and not by a callback of TLS: OpenSSL 3.5 (Node 24) serves only the last key of a context it is given there.
    const identities = namedBy(material.identities, hello.serverName);
    const key = [...alpn, ...identities.map((one) => material.identities.indexOf(one))].join();
    let server = this.servers.get(key);
    if (server === undefined) this.servers.set(key, (server = this.serverFor({ ...material, identities }, alpn)));
    server.emit('connection', socket);
    return true;
  }

  close(): void {
    this.unwatch();
  }

  private check(socket: TLSSocket): void {
    const { requireClientCertificate, acceptUntrusted } = this.config;
    const certificate = socket.getPeerX509Certificate();
    // Also where none is needed, one that is shown must be good.
    const good = certificate === undefined ? !requireClientCertificate : acceptUntrusted === true || (socket.authorized && this.accepts(certificate));
    if (!good) {
      this.onRefused(socket, String(socket.authorizationError ?? 'CERTIFICATE_NOT_ACCEPTED'));
      socket.destroy();
      return;
    }
    const trusted = certificate !== undefined && socket.authorized;
    const uriNames = trusted ? sansOf(certificate.subjectAltName, 'uri') : [];
    this.onSecure(socket, {
      principal: uriNames[0],
      uriNames,
      trusted,
      certificateHash: certificate === undefined ? '' : digestOf(certificate.fingerprint256),
      subject: certificate === undefined ? '' : distinguishedName(certificate.subject),
      dnsNames: certificate === undefined ? [] : sansOf(certificate.subjectAltName, 'dns'),
      ownNames: sansOf(socket.getX509Certificate()?.subjectAltName, 'uri'),
    });
  }

  private serverFor({ trust, identities }: Material, alpn: readonly string[]): Server {
    const { requireClientCertificate, acceptUntrusted, validationSecret, ca } = this.config;
    const server = createServer({
      ...contextParams(this.config),
      ...trust,
      ...served(identities),
      requestCert: requireClientCertificate || validationSecret !== undefined || ca !== undefined,
      rejectUnauthorized: requireClientCertificate && acceptUntrusted !== true,
      handshakeTimeout: this.handshakeTimeoutMs,
      allowHalfOpen: true,
      ...(alpn.length > 0 ? { ALPNProtocols: [...alpn] } : {}),
    });
    server.on('secureConnection', (secured: TLSSocket) => this.check(secured));
    if (identities.some(({ pair }) => pair.ocspStaple !== undefined))
      server.on('OCSPRequest', (asked: Buffer, _: Buffer, answer: (error: null, staple: Buffer | null) => void) => {
        const staple = identities.find(({ certificate }) => certificate.raw.equals(asked))?.pair.ocspStaple;
        answer(null, staple === undefined ? null : Buffer.from(staple));
      });
    server.on('tlsClientError', (error: NodeJS.ErrnoException, failed) => {
      this.onRefused(failed, error.code ?? error.message);
      failed.destroy();
    });
    return server;
  }

  /** Undefined while a secret is missing. */
  private load(): Material | undefined {
    const { certificateSecrets, certificates = [] } = this.config;
    const pairs = [...certificateSecrets.map((name) => this.secrets.keyPair(name)), ...certificates].filter((pair) => pair !== undefined);
    const trust = this.secrets.trust(this.config);
    if (trust === undefined || pairs.length < certificateSecrets.length + certificates.length) return undefined;
    return { trust, identities: pairs.map((pair) => ({ pair, certificate: new X509Certificate(pair.chainPem) })) };
  }

  private reload(): void {
    const material = this.load();
    if (material === undefined) return;
    this.material = material;
    this.servers.clear();
  }
}

/** What handshakes are made with. */
interface Material {
  trust: SecureContextOptions;
  identities: readonly Identity[];
}

interface Identity {
  pair: KeyPair;
  certificate: X509Certificate;
}

/** As Envoy: the certificates for the name where there are any, else all. */
function namedBy(identities: readonly Identity[], name: string): readonly Identity[] {
  const fitting = identities.length === 1 ? [] : identities.filter(({ certificate }) => namesHost(certificate.subjectAltName, name));
  return fitting.length === 0 ? identities : fitting;
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

// Certificates by name as SDS delivers them. A new secret makes new TLS contexts; connections that are open keep theirs.

import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { Secret } from '../config/model.ts';
import { uriSans } from './peer-identity.ts';

export class SecretError extends Error {
  readonly code = 'WEFT_SECRET';
  constructor(name: string, cause: unknown) {
    super(`Secret "${name}" does not load: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

export class SecretStore {
  /** Rises with every change. */
  version = 0;
  private readonly secrets = new Map<string, Secret>();
  private readonly watchers = new Set<() => void>();

  /** @throws SecretError; the secret of that name before stays. */
  apply(secret: Secret): void {
    try {
      createSecureContext(secret.kind === 'certificate' ? { cert: secret.chainPem, key: secret.keyPem } : { ca: secret.caPem });
    } catch (error) {
      throw new SecretError(secret.name, error);
    }
    this.secrets.set(secret.name, secret);
    this.version++;
    for (const watcher of this.watchers) watcher();
  }

  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  /** What a context is made of; undefined while a named secret is missing. */
  options(certificate: string | undefined, validation: string | undefined): SecureContextOptions | undefined {
    const own = certificate === undefined ? undefined : this.secrets.get(certificate);
    const ca = validation === undefined ? undefined : this.secrets.get(validation);
    if ((certificate !== undefined && own?.kind !== 'certificate') || (validation !== undefined && ca?.kind !== 'validation')) return undefined;
    return {
      minVersion: 'TLSv1.2',
      ...(own?.kind === 'certificate' ? { cert: own.chainPem, key: own.keyPem } : {}),
      ...(ca?.kind === 'validation' ? { ca: ca.caPem } : {}),
      // No tickets: a resumed session would outlive a change of the trust bundle.
      secureOptions: ticketless,
    };
  }

  /** Own URI SAN of a certificate secret, '' when unknown. */
  identity(certificate: string): string {
    const secret = this.secrets.get(certificate);
    if (secret?.kind !== 'certificate') return '';
    return uriSans(new X509Certificate(secret.chainPem).subjectAltName)[0] ?? '';
  }
}

/** OpenSSL's SSL_OP_NO_TICKET. */
const ticketless = 0x4000;

// Certificates by name as SDS delivers them. A new secret makes new TLS contexts; connections that are open keep theirs.

import type { SecureContextOptions } from 'node:tls';
import type { KeyPair, PeerTrust, Secret, TlsParams } from '../config/model.ts';
import { mustLoad, systemRoots, type TrustOptions } from './secure-context.ts';

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
      mustLoad(
        secret.kind === 'certificate'
          ? { cert: secret.chainPem, key: secret.keyPem }
          : { ca: secret.caPem, ...(secret.crlPem === undefined ? {} : { crl: secret.crlPem }) },
      );
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

  keyPair(name: string): KeyPair | undefined {
    const secret = this.secrets.get(name);
    return secret?.kind === 'certificate' ? secret : undefined;
  }

  /** What a context trusts; undefined while a named secret is missing. `crlPem` is what the configuration itself has. */
  trust({ validationSecret, ca, crlPem }: PeerTrust): TrustOptions | undefined {
    const named = validationSecret === undefined ? undefined : this.secrets.get(validationSecret);
    if (validationSecret !== undefined && named?.kind !== 'validation') return undefined;
    const own = named?.kind === 'validation' ? named : undefined;
    const crl = [own?.crlPem, crlPem].filter((pem) => pem !== undefined);
    const roots = typeof ca === 'object' ? ca.pem : (own?.caPem ?? (ca === 'system' ? systemRoots() : []));
    return { ca: roots, ...(crl.length === 0 ? {} : { crl }) };
  }
}

/** OpenSSL's SSL_OP_NO_TICKET: a resumed session would outlive a change of the trust bundle. */
const TICKETLESS = 0x4000;

/** The parts of a context that are neither certificates nor trust. */
export function contextParams({ minVersion = 'TLSv1.2', maxVersion = 'TLSv1.3', ciphers, ecdhCurve, sigalgs }: Partial<TlsParams>): SecureContextOptions {
  return {
    minVersion,
    maxVersion,
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(ecdhCurve === undefined ? {} : { ecdhCurve }),
    ...(sigalgs === undefined ? {} : { sigalgs }),
    secureOptions: TICKETLESS,
  };
}

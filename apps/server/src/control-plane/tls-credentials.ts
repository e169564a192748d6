// Server credentials of the mTLS port: the client certificate is asked for, not demanded, and our own can be replaced while serving.

import { constants } from 'node:crypto';
import { ServerCredentials } from '@grpc/grpc-js';

export interface ServerKeyPair {
  privateKeyPem: string;
  certificatePem: string;
}

/**
 * A workload without a certificate must reach the signing service with its join token, so TLS lets it in and each
 * service decides. grpc-js' own `createSsl` can only demand a certificate or not ask for one.
 */
export class OptionalClientCertificate extends ServerCredentials {
  readonly #rootCaPem: string;

  constructor(rootCaPem: string, pair: ServerKeyPair) {
    super({ requestCert: true, rejectUnauthorized: false }, secureContext(rootCaPem, pair));
    this.#rootCaPem = rootCaPem;
  }

  /** New connections get the new certificate; open ones keep theirs. */
  replace(pair: ServerKeyPair): void {
    this.updateSecureContextOptions(secureContext(this.#rootCaPem, pair));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

function secureContext(rootCaPem: string, pair: ServerKeyPair) {
  return {
    ca: rootCaPem,
    key: pair.privateKeyPem,
    cert: pair.certificatePem,
    minVersion: 'TLSv1.2' as const,
    // No resumption: every connection proves its certificate anew.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

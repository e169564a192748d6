// TLS contexts. OpenSSL reads every certificate of a context and keeps it, so those of the same options are one; and Node would read
// all of the system's roots for a context without a CA.

import { readFileSync } from 'node:fs';
import { createSecureContext, rootCertificates, type SecureContext, type SecureContextOptions } from 'node:tls';

/** Who is trusted; nobody = `[]`. */
export type TrustOptions = Required<Pick<SecureContextOptions, 'ca'>> & Pick<SecureContextOptions, 'crl'>;

/** Throws what OpenSSL has against certificates, keys, lists or parameters. */
export function mustLoad(options: SecureContextOptions): void {
  createSecureContext({ ca: [], ...options });
}

const contexts = new Map<string, SecureContext>();
const mostContexts = 64;

/** A context of these options, from those made before. */
export function sharedContext(options: SecureContextOptions & TrustOptions): SecureContext {
  const key = JSON.stringify(options.ca === roots ? { ...options, ca: 'system' } : options);
  let context = contexts.get(key);
  if (context === undefined) {
    context = createSecureContext(options);
    // The oldest is what a certificate before was for.
    for (const oldest of contexts.keys()) if (contexts.size >= mostContexts) contexts.delete(oldest);
    contexts.set(key, context);
  }
  return context;
}

/** Where systems keep what they trust, as Istio's agent looks for it. */
const bundles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/ssl/cert.pem',
];
let roots: string[] | undefined;

/** What the system trusts, else what Node does, and NODE_EXTRA_CA_CERTS. */
export function systemRoots(env: NodeJS.ProcessEnv = process.env): string[] {
  if (roots !== undefined) return roots;
  const system = firstOf([env['WEFT_SSL_CERT_FILE'] ?? env['SSL_CERT_FILE'], ...bundles]);
  const extra = firstOf([env['WEFT_NODE_EXTRA_CA_CERTS'] ?? env['NODE_EXTRA_CA_CERTS']]);
  return (roots = [...(system === undefined ? rootCertificates : [system]), ...(extra === undefined ? [] : [extra])]);
}

/** The first file that can be read. */
function firstOf(files: readonly (string | undefined)[]): string | undefined {
  for (const file of files)
    try {
      if (file !== undefined) return readFileSync(file, 'utf8');
    } catch {
      // The next is tried.
    }
  return undefined;
}

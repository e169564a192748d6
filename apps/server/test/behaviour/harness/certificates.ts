// Certificates of the world outside the mesh: as files for rules that name files, as base64 for Secrets, as text for clients.

import { X509Certificate, createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testAuthority } from '../../../src/proxy/listener/testing/certificates.ts';

/** By file name: `ca.pem`, and of each leaf `<name>.pem` and `<name>.key`. */
export interface Certificates {
  text(file: string): string;
  path(file: string): string;
  /** SHA-256 of a certificate, and of its public key, as a Gateway has them. */
  hash(file: string): string;
  spki(file: string): string;
}

/** Who has one of the public authority; `stranger` has the same of an authority nobody trusts, `strange-ca.pem`. */
const LEAVES: Readonly<Record<string, string>> = {
  server: '*.example.org',
  edge: 'edge.example.com',
  'edge-two': 'two.example.com',
  client: 'client.example.com',
};

export async function issueCertificates(dir: string): Promise<Certificates> {
  const [known, strange] = [await testAuthority('known'), await testAuthority('strange')];
  const files = new Map([
    ['ca.pem', known.caPem],
    ['strange-ca.pem', strange.caPem],
  ]);
  for (const [name, { chainPem, keyPem }] of [
    ...(await Promise.all(Object.entries(LEAVES).map(async ([name, host]) => [name, await known.issue(host)] as const))),
    ['stranger', await strange.issue('client.example.com')] as const,
  ]) {
    files.set(`${name}.pem`, chainPem);
    files.set(`${name}.key`, keyPem);
  }
  mkdirSync(dir, { recursive: true });
  for (const [name, text] of files) writeFileSync(join(dir, name), text);
  const text = (file: string): string => files.get(file) ?? fail(file);
  return {
    text,
    path: (file) => (files.has(file) ? join(dir, file) : fail(file)),
    hash: (file) => new X509Certificate(text(file)).fingerprint256,
    spki: (file) =>
      createHash('sha256')
        .update(new X509Certificate(text(file)).publicKey.export({ type: 'spki', format: 'der' }))
        .digest('base64'),
  };
}

function fail(file: string): never {
  throw new Error(`no ${file} among the suite's certificates`);
}

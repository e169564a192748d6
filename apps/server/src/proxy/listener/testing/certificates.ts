import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(globalThis.crypto);
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const rsa = { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' };

export interface TestAuthority {
  caPem: string;
  /** For a SPIFFE id, or a DNS name. */
  issue(name: string, key?: 'ec' | 'rsa'): Promise<{ chainPem: string; keyPem: string }>;
  /** A revocation list with these certificates. */
  revoke(chains: readonly string[]): Promise<string>;
}

/** A root of its own and leaves with one name. */
export async function testAuthority(name = 'root'): Promise<TestAuthority> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const validity = { notBefore: new Date(Date.now() - 60_000), notAfter: new Date(Date.now() + 3_600_000) };
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity,
    name: `CN=${name}`,
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  });
  return {
    caPem: root.toString('pem'),
    async revoke(chains) {
      const entries = chains.map((chain) => ({ serialNumber: new x509.X509Certificate(chain).serialNumber, revocationDate: validity.notBefore }));
      const list = await x509.X509CrlGenerator.create({
        ...{ issuer: root.subject, thisUpdate: validity.notBefore, nextUpdate: validity.notAfter, entries },
        ...{ signingKey: keys.privateKey, signingAlgorithm: algorithm },
      });
      return list.toString('pem').replaceAll(/(BEGIN|END) CRL/g, '$1 X509 CRL');
    },
    async issue(name, key = 'ec') {
      const own = await webcrypto.subtle.generateKey(key === 'rsa' ? rsa : algorithm, true, ['sign', 'verify']);
      const leaf = await x509.X509CertificateGenerator.create({
        ...validity,
        subject: 'O=weft test',
        issuer: root.subject,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: algorithm,
        extensions: [new x509.SubjectAlternativeNameExtension([{ type: name.includes('://') ? 'url' : 'dns', value: name }], true)],
      });
      const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', own.privateKey)).toString('base64');
      return { chainPem: leaf.toString('pem'), keyPem: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n` };
    },
  };
}

// Requests and certificates a workload (or an attacker) makes by itself.

import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { generateKeyPair, privateKeyPem } from '../x509.ts';

const SIGNING = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** A CSR with these URI names and its key. */
export async function createCsrWithKey(uris: readonly string[], extra: { dns?: string; ca?: boolean } = {}): Promise<{ csr: string; privateKeyPem: string }> {
  const keys = await generateKeyPair();
  const names = [...uris.map((value) => ({ type: 'url' as const, value })), ...(extra.dns === undefined ? [] : [{ type: 'dns' as const, value: extra.dns }])];
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: SIGNING,
    extensions: [
      ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
      ...(extra.ca === true ? [new x509.BasicConstraintsExtension(true)] : []),
    ],
  });
  return { csr: request.toString('pem'), privateKeyPem: await privateKeyPem(keys.privateKey) };
}

export async function createCsr(uris: readonly string[], extra: { dns?: string; ca?: boolean } = {}): Promise<string> {
  return (await createCsrWithKey(uris, extra)).csr;
}

/** A certificate that claims an identity but is signed by nobody. */
export async function selfSignedLeaf(uri: string): Promise<string> {
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    keys: await generateKeyPair(),
    signingAlgorithm: SIGNING,
    name: 'O=Weft',
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'url', value: uri }])],
  });
  return certificate.toString('pem');
}

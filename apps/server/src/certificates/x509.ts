// Certificates of the mesh, ECDSA P-256 with SHA-256 throughout.

import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { parseSpiffeId, spiffeId } from '@weft/mesh-core/model';
import type { Identity } from '@weft/mesh-core/model';
import { CertificateError } from './errors.ts';

x509.cryptoProvider.set(webcrypto);

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const CLOCK_SKEW_MS = 60_000;
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const BASIC_CONSTRAINTS = '2.5.29.19';
const SUBJECT_ALT_NAME = '2.5.29.17';

export interface KeyPair {
  publicKey: webcrypto.CryptoKey;
  privateKey: webcrypto.CryptoKey;
}

export async function generateKeyPair(): Promise<KeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) as Promise<KeyPair>;
}

export async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY') + '\n';
}

/** Reads a PKCS #8 P-256 key; throws DOMException on anything else. */
export async function importPrivateKey(pem: string): Promise<webcrypto.CryptoKey> {
  const [der] = x509.PemConverter.decode(pem);
  return webcrypto.subtle.importKey('pkcs8', der ?? new ArrayBuffer(0), ALGORITHM, true, ['sign']);
}

/** A self-signed root. `now` and `lifeMs` in ms. */
export async function createRoot(keys: KeyPair, trustDomain: string, now: number, lifeMs: number): Promise<x509.X509Certificate> {
  return x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ O: ['Weft'] }, { CN: [`Weft root of ${trustDomain}`] }],
    notBefore: new Date(now - CLOCK_SKEW_MS),
    notAfter: new Date(now + lifeMs),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: `spiffe://${trustDomain}` }]),
    ],
  });
}

export interface LeafRequest {
  identity: Identity;
  publicKey: x509.PublicKeyType;
  now: number;
  ttlMs: number;
  /** Only the control plane's own certificate carries names clients check as a host. */
  hostNames?: readonly { type: 'dns' | 'ip'; value: string }[];
}

/** A leaf as X509-SVID wants it: exactly one URI SAN, not a CA, both usages, critical key usage, never outliving its root. */
export async function createLeaf(root: x509.X509Certificate, rootKey: webcrypto.CryptoKey, request: LeafRequest): Promise<x509.X509Certificate> {
  const notAfter = Math.min(request.now + request.ttlMs, root.notAfter.getTime());
  return x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{ O: ['Weft'] }],
    issuer: root.subject,
    notBefore: new Date(request.now - CLOCK_SKEW_MS),
    notAfter: new Date(notAfter),
    signingAlgorithm: ALGORITHM,
    publicKey: request.publicKey,
    signingKey: rootKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth, x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: spiffeId(request.identity) }, ...(request.hostNames ?? [])]),
      await x509.AuthorityKeyIdentifierExtension.create(root.publicKey),
    ],
  });
}

/**
 * Checks a CSR for `identity`: its own signature, no CA, no SAN but (at most) the identity itself. Everything else it
 * asks for is ignored, because the leaf is built from the identity alone. Returns the key to certify.
 */
export async function readCsr(pem: string, identity: Identity): Promise<x509.PublicKey> {
  let csr: x509.Pkcs10CertificateRequest;
  let signed: boolean;
  try {
    csr = new x509.Pkcs10CertificateRequest(pem);
    signed = await csr.verify();
  } catch (cause) {
    throw new CertificateError('WEFT_CSR_INVALID', 'the certificate signing request is not a PKCS #10 request in PEM', { cause });
  }
  if (!signed) throw new CertificateError('WEFT_CSR_INVALID', 'the certificate signing request is not signed by its own key');
  const algorithm = csr.publicKey.algorithm as { name: string; namedCurve?: string; modulusLength?: number };
  if (algorithm.namedCurve !== 'P-256' && algorithm.namedCurve !== 'P-384' && (algorithm.modulusLength ?? 0) < 2_048) {
    throw new CertificateError(
      'WEFT_CSR_INVALID',
      `the key of the certificate signing request is ${algorithm.name} ${algorithm.namedCurve ?? algorithm.modulusLength ?? ''}; use ECDSA P-256`,
    );
  }
  if (asksForCa(csr)) throw new CertificateError('WEFT_CSR_CA', 'the certificate signing request asks for a certificate authority');
  const wanted = spiffeId(identity);
  for (const extension of csr.extensions.filter((e) => e.type === SUBJECT_ALT_NAME)) {
    for (const name of new x509.SubjectAlternativeNameExtension(extension.rawData).names.items) {
      if (name.type !== 'url' || name.value !== wanted)
        throw new CertificateError('WEFT_CSR_OTHER_IDENTITY', `the certificate signing request asks for ${name.value}; the caller is ${wanted}`);
    }
  }
  return csr.publicKey;
}

export interface PeerCertificate {
  identity: Identity;
  serial: string;
  /** Unix ms. */
  notAfter: number;
}

/** The identity a peer's certificate proves; throws WEFT_PEER_CERTIFICATE_REFUSED. `now` in unix ms. */
export async function verifyLeaf(der: Uint8Array, root: x509.X509Certificate, trustDomain: string, now: number): Promise<PeerCertificate> {
  const refuse = (reason: string): CertificateError => new CertificateError('WEFT_PEER_CERTIFICATE_REFUSED', `the peer's certificate ${reason}`);
  let leaf: x509.X509Certificate;
  try {
    leaf = new x509.X509Certificate(new Uint8Array(der));
  } catch (cause) {
    throw new CertificateError('WEFT_PEER_CERTIFICATE_REFUSED', "the peer's certificate cannot be read", { cause });
  }
  if (leaf.issuer !== root.subject || !(await leaf.verify({ publicKey: root.publicKey, signatureOnly: true }))) throw refuse('is not signed by this mesh');
  if (now < leaf.notBefore.getTime() || now > leaf.notAfter.getTime())
    throw refuse(`is valid from ${leaf.notBefore.toISOString()} to ${leaf.notAfter.toISOString()} only`);
  if (leaf.getExtension(x509.BasicConstraintsExtension)?.ca === true) throw refuse('is a signing certificate');
  const usages = leaf.getExtension(x509.KeyUsagesExtension)?.usages ?? 0;
  if ((usages & (x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign)) !== 0) throw refuse('may sign certificates');
  if (leaf.getExtension(x509.ExtendedKeyUsageExtension)?.usages.includes(CLIENT_AUTH) !== true) throw refuse('is not for clients');
  const uris = leaf.getExtension(x509.SubjectAlternativeNameExtension)?.names.items.filter((n) => n.type === 'url') ?? [];
  const [uri, ...others] = uris;
  if (uri === undefined || others.length > 0) throw refuse(`has ${uris.length} URI names; a workload has exactly one`);
  const identity = parseSpiffeId(uri.value);
  if (identity === undefined || identity.trustDomain !== trustDomain) throw refuse(`names ${uri.value}, which is no workload of ${trustDomain}`);
  return { identity, serial: leaf.serialNumber, notAfter: leaf.notAfter.getTime() };
}

function asksForCa(csr: x509.Pkcs10CertificateRequest): boolean {
  return csr.extensions.some((e) => e.type === BASIC_CONSTRAINTS && new x509.BasicConstraintsExtension(e.rawData).ca);
}

/** Positive, 126 bits of randomness. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

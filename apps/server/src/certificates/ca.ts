// The mesh's certificate authority: one self-signed root in the state directory, short-lived leaves, join tokens.

import 'reflect-metadata';
import { createPrivateKey, createPublicKey, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { X509Certificate } from '@peculiar/x509';
import type { PublicKeyType } from '@peculiar/x509';
import { parseSpiffeId, spiffeId } from '@weft/mesh-core/model';
import type { Identity } from '@weft/mesh-core/model';
import { CertificateError } from './errors.ts';
import { signJoinToken, verifyJoinTokenWith } from './join-token.ts';
import type { JoinClaims } from './join-token.ts';
import { rememberingVerifier } from './remembering-verifier.ts';
import { readSecretFile, writeSecretFile } from './state-file.ts';
import { createLeaf, createRoot, generateKeyPair, importPrivateKey, privateKeyPem, readCsr, verifyLeaf } from './x509.ts';
import type { LeafRequest, PeerCertificate } from './x509.ts';

export { createSecretProvider } from './secret-provider.ts';

const DAY_MS = 86_400_000;
const LEAF_TTL_MS = DAY_MS;
const ROOT_LIFE_MS = 3_650 * DAY_MS;
const TOKEN_TTL_MS = 600_000;

interface Leaf {
  /** Leaf first; the root is not part of it. */
  certificatePem: string;
  serial: string;
  /** Unix ms. */
  notBefore: number;
  notAfter: number;
}

export interface CertificateAuthority {
  readonly trustDomain: string;
  /** The bundle peers must trust. */
  readonly rootCaPem: string;
  /** A new key and a leaf for `identity`; `ttlMs` at most (and by default) 24 h. */
  issueLeaf(identity: Identity, options?: { ttlMs?: number; hostNames?: LeafRequest['hostNames'] }): Promise<Leaf & { privateKeyPem: string }>;
  /** A leaf for the key of a CSR. Throws CertificateError when the CSR is broken or asks for more than `identity`. */
  signCsr(csrPem: string, identity: Identity, ttlMs?: number): Promise<Leaf>;
  /** `ttlMs` by default 10 min. */
  issueJoinToken(claims: { namespace: string; workload: string; serviceAccount: string; ttlMs?: number }): string;
  /** Throws CertificateError WEFT_TOKEN_INVALID or WEFT_TOKEN_EXPIRED. */
  verifyJoinToken(token: string): JoinClaims;
  /** What a peer's certificate (DER) proves. Throws CertificateError WEFT_PEER_CERTIFICATE_REFUSED. */
  verifyPeer(der: Uint8Array): Promise<PeerCertificate>;
}

/** Opens the authority of `stateDir`, creating root and token key on first use. `clock` gives unix ms. */
export async function createCertificateAuthority(options: { stateDir: string; trustDomain: string; clock?: () => number }): Promise<CertificateAuthority> {
  const { trustDomain } = options;
  const clock = options.clock ?? Date.now;
  const { root, key } = await openRoot(join(options.stateDir, 'ca', 'root.pem'), trustDomain, clock());
  const tokenKey = await openTokenKey(join(options.stateDir, 'ca', 'token.key'));

  const issue = async (request: Omit<LeafRequest, 'now' | 'ttlMs'> & { ttlMs: number | undefined }): Promise<Leaf> => {
    const { identity } = request;
    // Whatever is not Istio's exact form would be a certificate nobody can match.
    if (identity.trustDomain !== trustDomain || parseSpiffeId(spiffeId(identity)) === undefined) {
      throw new CertificateError('WEFT_IDENTITY_INVALID', `${spiffeId(identity)} is not an identity of ${trustDomain}`);
    }
    const leaf = await createLeaf(root, key, { ...request, now: clock(), ttlMs: Math.min(request.ttlMs ?? LEAF_TTL_MS, LEAF_TTL_MS) });
    return { certificatePem: `${leaf.toString('pem')}\n`, serial: leaf.serialNumber, notBefore: leaf.notBefore.getTime(), notAfter: leaf.notAfter.getTime() };
  };

  return {
    trustDomain,
    rootCaPem: `${root.toString('pem')}\n`,
    issueLeaf: async (identity, { ttlMs, hostNames } = {}) => {
      const pair = await generateKeyPair();
      const leaf = await issue({ identity, publicKey: pair.publicKey as unknown as PublicKeyType, ttlMs, ...(hostNames === undefined ? {} : { hostNames }) });
      return { ...leaf, privateKeyPem: await privateKeyPem(pair.privateKey) };
    },
    signCsr: async (csrPem, identity, ttlMs) => issue({ identity, publicKey: await readCsr(csrPem, identity), ttlMs }),
    issueJoinToken: ({ ttlMs = TOKEN_TTL_MS, namespace, workload, serviceAccount }) =>
      signJoinToken({ namespace, workload, serviceAccount, expiresAt: clock() + ttlMs }, tokenKey),
    verifyJoinToken: (token) => verifyJoinTokenWith(token, tokenKey, clock()),
    verifyPeer: rememberingVerifier((der) => verifyLeaf(der, root, trustDomain, clock()), clock),
  };
}

async function openRoot(path: string, trustDomain: string, now: number) {
  const stored = await readSecretFile(path);
  if (stored !== undefined) {
    const certificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(stored)?.[0];
    const keyPem = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/.exec(stored)?.[0];
    if (certificate === undefined || keyPem === undefined || !belongTogether(certificate, keyPem)) {
      throw new CertificateError(
        'WEFT_CA_STATE_INVALID',
        `${path} must hold the root certificate and its key; restore it, or delete it to start a new root (all workloads must then join again)`,
      );
    }
    const root = new X509Certificate(certificate);
    if (!root.subject.endsWith(` ${trustDomain}`))
      throw new CertificateError('WEFT_CA_STATE_INVALID', `${path} is the root of another trust domain (${root.subject}); this mesh is ${trustDomain}`);
    return { root, key: await importPrivateKey(keyPem) };
  }
  const pair = await generateKeyPair();
  const root = await createRoot(pair, trustDomain, now, ROOT_LIFE_MS);
  await writeSecretFile(path, `${root.toString('pem')}\n${await privateKeyPem(pair.privateKey)}`);
  return { root, key: pair.privateKey };
}

function belongTogether(certificate: string, keyPem: string): boolean {
  const ofKey = createPublicKey(createPrivateKey(keyPem)).export({ type: 'spki', format: 'der' });
  return Buffer.from(new X509Certificate(certificate).publicKey.rawData).equals(ofKey);
}

async function openTokenKey(path: string): Promise<Buffer> {
  const stored = await readSecretFile(path);
  if (stored !== undefined) {
    const key = Buffer.from(stored.trim(), 'base64');
    if (key.length !== 32)
      throw new CertificateError('WEFT_CA_STATE_INVALID', `${path} must hold 32 bytes in base64; delete it to start anew (open join tokens end)`);
    return key;
  }
  const key = randomBytes(32);
  await writeSecretFile(path, `${key.toString('base64')}\n`);
  return key;
}

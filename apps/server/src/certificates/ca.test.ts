import 'reflect-metadata';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import type { TLSSocket } from 'node:tls';
import * as x509 from '@peculiar/x509';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createCertificateAuthority, createSecretProvider } from './ca.ts';
import type { CertificateAuthority } from './ca.ts';
import { createCsr, selfSignedLeaf } from './testing/csr.ts';

const reviews = { trustDomain: 'cluster.local', namespace: 'bookinfo', serviceAccount: 'reviews' };
const REVIEWS_ID = 'spiffe://cluster.local/ns/bookinfo/sa/reviews';
let stateDir: string;
let ca: CertificateAuthority;
let now: number;

beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'weft-ca-'));
  now = Date.now();
  ca = await createCertificateAuthority({ stateDir, trustDomain: 'cluster.local', clock: () => now });
});
afterEach(() => rm(stateDir, { recursive: true }));

test('a leaf is what X509-SVID asks for', async () => {
  const leaf = new x509.X509Certificate((await ca.issueLeaf(reviews)).certificatePem);
  expect(leaf.getExtension(x509.SubjectAlternativeNameExtension)?.names.items.map((n) => [n.type, n.value])).toEqual([['url', REVIEWS_ID]]);
  expect(leaf.getExtension(x509.BasicConstraintsExtension)?.ca).toBe(false);
  expect(leaf.getExtension(x509.KeyUsagesExtension)).toMatchObject({ critical: true, usages: x509.KeyUsageFlags.digitalSignature });
  expect(leaf.getExtension(x509.ExtendedKeyUsageExtension)?.usages.toSorted()).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  expect(leaf.notAfter.getTime() - now).toBeGreaterThan(86_399_000 - 1_000);
  expect(leaf.notAfter.getTime() - now).toBeLessThanOrEqual(86_400_000);
});

test('the root survives a restart, for its owner only', async () => {
  const again = await createCertificateAuthority({ stateDir, trustDomain: 'cluster.local' });
  expect(again.rootCaPem).toBe(ca.rootCaPem);
  expect(again.verifyJoinToken(ca.issueJoinToken({ namespace: 'a', workload: 'w', serviceAccount: 's' })).workload).toBe('w');
  expect((await stat(join(stateDir, 'ca', 'root.pem'))).mode & 0o777).toBe(0o600);
  expect((await stat(join(stateDir, 'ca', 'token.key'))).mode & 0o777).toBe(0o600);
  await expect(createCertificateAuthority({ stateDir, trustDomain: 'local' })).rejects.toMatchObject({ code: 'WEFT_CA_STATE_INVALID' });
  await writeFile(join(stateDir, 'ca', 'root.pem'), (await readFile(join(stateDir, 'ca', 'root.pem'), 'utf8')).slice(0, 300));
  await expect(createCertificateAuthority({ stateDir, trustDomain: 'cluster.local' })).rejects.toMatchObject({ code: 'WEFT_CA_STATE_INVALID' });
});

test('join tokens: the claims come back; expired, tampered and foreign ones are refused', async () => {
  const claims = { namespace: 'bookinfo', workload: 'reviews-v1', serviceAccount: 'reviews' };
  const token = ca.issueJoinToken({ ...claims, ttlMs: 1_000 });
  expect(ca.verifyJoinToken(token)).toEqual({ ...claims, expiresAt: now + 1_000 });
  const [header, , signature] = token.split('.');
  const forged = Buffer.from(JSON.stringify({ ...claims, serviceAccount: 'admin', expiresAt: now + 1_000 })).toString('base64url');
  for (const bad of [`${header}.${forged}.${signature}`, `${token}A`, `${token}.`, token.slice(0, -2), '', 'a.b.c']) {
    expect(() => ca.verifyJoinToken(bad), bad).toThrow(expect.objectContaining({ code: 'WEFT_TOKEN_INVALID' }));
  }
  now += 1_000;
  expect(() => ca.verifyJoinToken(token)).toThrow(expect.objectContaining({ code: 'WEFT_TOKEN_EXPIRED' }));
});

test('a CSR gets a leaf of the caller, whatever else it asks for', async () => {
  const leaf = new x509.X509Certificate((await ca.signCsr(await createCsr([REVIEWS_ID]), reviews, 10 * 365 * 86_400_000)).certificatePem);
  expect(leaf.notAfter.getTime() - now).toBeLessThanOrEqual(86_400_000);
  expect(leaf.getExtension(x509.SubjectAlternativeNameExtension)?.names.items.map((n) => n.value)).toEqual([REVIEWS_ID]);
  await expect(ca.signCsr(await createCsr([]), reviews)).resolves.toMatchObject({ serial: expect.any(String) });
});

test.each([
  ['another identity', async () => createCsr(['spiffe://cluster.local/ns/bookinfo/sa/ratings']), 'WEFT_CSR_OTHER_IDENTITY'],
  ['a second URI', async () => createCsr([REVIEWS_ID, 'spiffe://cluster.local/ns/bookinfo/sa/reviews-evil']), 'WEFT_CSR_OTHER_IDENTITY'],
  ['a trailing slash', async () => createCsr([`${REVIEWS_ID}/`]), 'WEFT_CSR_OTHER_IDENTITY'],
  ['a host name', async () => createCsr([REVIEWS_ID], { dns: 'bank.example' }), 'WEFT_CSR_OTHER_IDENTITY'],
  ['CA=true', async () => createCsr([REVIEWS_ID], { ca: true }), 'WEFT_CSR_CA'],
  ['a broken signature', async () => breakLastByte(await createCsr([REVIEWS_ID])), 'WEFT_CSR_INVALID'],
  ['no CSR at all', async () => 'hello', 'WEFT_CSR_INVALID'],
])('refuses a CSR with %s', async (_, csr, code) => {
  await expect(ca.signCsr(await csr(), reviews)).rejects.toMatchObject({ code });
});

test('a peer is who its leaf says, unless the leaf is expired, foreign, or a root', async () => {
  const leaf = await ca.issueLeaf(reviews, { ttlMs: 3_600_000 });
  expect(await ca.verifyPeer(derOf(leaf.certificatePem))).toEqual({ identity: reviews, serial: leaf.serial, notAfter: leaf.notAfter });
  const refused = expect.objectContaining({ code: 'WEFT_PEER_CERTIFICATE_REFUSED' });
  await expect(ca.verifyPeer(derOf(ca.rootCaPem))).rejects.toEqual(refused);
  await expect(ca.verifyPeer(derOf(await selfSignedLeaf(REVIEWS_ID)))).rejects.toEqual(refused);
  await expect(ca.verifyPeer(new Uint8Array([1, 2, 3]))).rejects.toEqual(refused);
  now += 3_600_001;
  await expect(ca.verifyPeer(derOf(leaf.certificatePem))).rejects.toEqual(refused);
});

test('two workloads greet each other over TLS with issued leaves', async () => {
  const [a, b] = await Promise.all([ca.issueLeaf(reviews), ca.issueLeaf({ ...reviews, serviceAccount: 'ratings' })]);
  const server = createServer({ key: a.privateKeyPem, cert: a.certificatePem, ca: ca.rootCaPem, requestCert: true, rejectUnauthorized: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = (server.address() as { port: number }).port;
  const accepted = once(server, 'secureConnection') as Promise<[TLSSocket]>;
  const client = connect({ port, host: '127.0.0.1', key: b.privateKeyPem, cert: b.certificatePem, ca: ca.rootCaPem, checkServerIdentity: () => undefined });
  await once(client, 'secureConnect');
  const [peer] = await accepted;
  expect((await ca.verifyPeer(peer.getPeerCertificate().raw)).identity.serviceAccount).toBe('ratings');
  expect(client.getPeerCertificate().subjectaltname).toBe(`URI:${REVIEWS_ID}`);
  client.destroy();
  server.close();
});

test('secrets renew at half life under a new version, shared by all leases of an identity', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const provider = createSecretProvider({ ca, graceMs: 0, clock: () => now, random: () => 0.5, ttlMs: 60_000 });
    let renewals = 0;
    let renewed: () => void = () => undefined;
    const done = new Promise<void>((resolve) => (renewed = resolve));
    const lease = await provider.acquire(reviews, () => {
      renewals += 1;
      renewed();
    });
    const other = await provider.acquire(reviews, () => undefined);
    const before = lease.resources().get('default');
    const bundle = lease.resources().get('ROOTCA');
    expect(other.resources()).toBe(lease.resources());
    now += 29_000;
    vi.advanceTimersByTime(29_000);
    expect(renewals).toBe(0);
    now += 1_500;
    vi.advanceTimersByTime(1_500);
    await done;
    expect(lease.resources().get('default')?.version).not.toBe(before?.version);
    expect(lease.resources().get('ROOTCA')?.version).toBe(bundle?.version);
    expect(lease.certificate().notAfter).toBeGreaterThan(now + 59_000 - 1_000);
    lease.release();
    other.release();
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test('a certificate that was renewed while its proxy came back is renewed again', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    let leaf: ReturnType<typeof ca.issueLeaf> | undefined;
    const watched = { ...ca, issueLeaf: (...of: Parameters<typeof ca.issueLeaf>) => (leaf = ca.issueLeaf(...of)) };
    const provider = createSecretProvider({ ca: watched, clock: () => now, random: () => 0.5, ttlMs: 60_000 });
    const lease = await provider.acquire(reviews, () => undefined);
    now += 30_500;
    vi.advanceTimersByTime(30_500);
    lease.release();
    await leaf;
    await new Promise((resolve) => setImmediate(resolve));
    const again = await provider.acquire(reviews, () => undefined);
    expect(vi.getTimerCount()).toBe(1);
    again.release();
    provider.close();
    await new Promise((resolve) => setImmediate(resolve));
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

function derOf(pem: string): Uint8Array {
  return new Uint8Array(x509.PemConverter.decode(pem)[0] ?? new ArrayBuffer(0));
}

function breakLastByte(pem: string): string {
  const der = derOf(pem);
  der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
  return x509.PemConverter.encode(der, 'CERTIFICATE REQUEST');
}

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { expect, onTestFinished, test, vi } from 'vitest';

/** As a process that has just begun. */
const fresh = (): Promise<typeof import('./secure-context.ts')> => {
  vi.resetModules();
  return import('./secure-context.ts');
};

test('contexts of the same options are one, others are others, and the oldest makes room', async () => {
  const { sharedContext } = await fresh();
  const ca = rootCertificates.slice(0, 1);
  const first = sharedContext({ ca, minVersion: 'TLSv1.2' });
  expect(sharedContext({ ca: [...ca], minVersion: 'TLSv1.2' })).toBe(first);
  expect(sharedContext({ ca, minVersion: 'TLSv1.3' })).not.toBe(first);
  for (let i = 0; i < 64; i++) sharedContext({ ca: [], ticketKeys: Buffer.alloc(48, i) });
  expect(sharedContext({ ca, minVersion: 'TLSv1.2' })).not.toBe(first);
});

test('the roots of the system are those of SSL_CERT_FILE and NODE_EXTRA_CA_CERTS, by their own names or by those a proxy has', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-roots-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const [system, extra] = [join(dir, 'system.pem'), join(dir, 'extra.pem')];
  const [one, other] = rootCertificates as [string, string];
  writeFileSync(system, one);
  writeFileSync(extra, other);
  expect((await fresh()).systemRoots({ SSL_CERT_FILE: system, NODE_EXTRA_CA_CERTS: extra })).toEqual([one, other]);
  expect((await fresh()).systemRoots({ WEFT_SSL_CERT_FILE: system, WEFT_NODE_EXTRA_CA_CERTS: join(dir, 'none.pem') })).toEqual([one]);
});

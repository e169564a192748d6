// A certificate that was good stays good until it ends: a reconnect of a thousand proxies brings the same ones again, and a full
// check costs 2 ms.

import { createHash } from 'node:crypto';
import type { PeerCertificate } from './x509.ts';

/** Certificates remembered; each takes some 500 bytes. */
const KEPT = 10_000;

type Verify = (der: Uint8Array) => Promise<PeerCertificate>;

/** `verify` run once for each certificate (SHA-256 of its DER) and again after its end; refusals are not remembered. `clock` gives unix ms. */
export function rememberingVerifier(verify: Verify, clock: () => number): Verify {
  const good = new Map<string, PeerCertificate & { since: number }>();
  return async (der) => {
    const key = createHash('sha256').update(der).digest('base64');
    const known = good.get(key);
    const now = clock();
    // `since`: a clock set back must not make a certificate good before its time.
    if (known !== undefined && now >= known.since && now <= known.notAfter) return known;
    const peer = await verify(der);
    good.delete(key);
    good.set(key, { ...peer, since: now });
    if (good.size > KEPT) for (const oldest of good.keys()) if (good.delete(oldest)) break;
    return peer;
  };
}

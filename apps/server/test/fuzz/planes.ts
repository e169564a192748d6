// Whole configurations: what users may write, with requests aimed at it, does the same on the embedded proxy and on Envoy.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Apps, startApps } from '../behaviour/harness/apps.ts';
import { issueCertificates } from '../behaviour/harness/certificates.ts';
import { closeClients } from '../behaviour/harness/clients.ts';
import { type World, differencesOf, randomWorld } from '../behaviour/random/world.ts';
import type { Target } from './target.ts';

/** `requests`: of each configuration. */
export function planesTarget(requests: number): Target {
  const dir = mkdtempSync(join(tmpdir(), 'weft-random-'));
  let apps: Promise<Apps> | undefined;
  return {
    name: 'planes',
    limitMs: 180_000,
    make: (random) => JSON.stringify(randomWorld(random, requests)),
    async check(input) {
      apps ??= issueCertificates(dir).then(startApps);
      const found = await differencesOf(JSON.parse(input) as World, await apps);
      if (found.length > 0) throw new Error(`embedded | envoy\n${found.join('\n')}`);
      return true;
    },
    async close() {
      closeClients();
      await (await apps)?.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

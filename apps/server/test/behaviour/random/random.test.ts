// Random configuration and random requests on both data planes: the same seeds each time. `npm run fuzz -- --target planes` takes
// others, for as long as it is told.

import { expect, test } from 'vitest';
import { planesTarget } from '../../fuzz/planes.ts';
import { Random } from '../../fuzz/random.ts';
import { PLANES } from '../../planes/planes.ts';

const SEEDS = [1, 2, 3, 4, 5, 6];
/** Of each configuration. */
const REQUESTS = 40;

test.skipIf(PLANES.length < 2)('embedded and Envoy do the same with random configuration and requests', { timeout: 120_000 }, async () => {
  const target = planesTarget(REQUESTS);
  const found: string[] = [];
  for (const seed of SEEDS) {
    const told = await Promise.resolve(target.check(target.make(new Random(seed)))).catch((error: unknown) => String(error));
    if (typeof told === 'string') found.push(`seed ${seed}: ${told}`);
  }
  await target.close?.();
  process.stderr.write(`${SEEDS.length} configurations, ${SEEDS.length * REQUESTS} requests compared\n`);
  expect(found).toEqual([]);
});

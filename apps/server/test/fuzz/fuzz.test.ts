// `npm test` takes the first cases of seed 1, the same ones each time, for a few seconds; `npm run fuzz` takes new ones, for longer. A failure names the
// seed that brings it back.

import { afterAll, expect, test } from 'vitest';
import { configTargets } from './config.ts';
import { connectionsTarget } from './connections.ts';
import { editsTarget } from './edits.ts';
import { requestTarget, responseTarget } from './http1.ts';
import { framesTarget, hpackTarget, hpackEncodeTarget } from './http2.ts';
import { planesTarget } from './planes.ts';
import { Random } from './random.ts';
import { PLANES } from '../planes/planes.ts';
import { socketsTarget } from './sockets.ts';
import { upstreamFramesTarget, upstreamTarget } from './upstream.ts';
import { tokenTarget } from './jwt.ts';
import type { Target } from './target.ts';
import { xdsTarget } from './xds.ts';

const wanted = process.env.FUZZ_TARGET ?? '';
const given = process.env.FUZZ_SEED;
const onlyOne = process.env.FUZZ_ONE !== undefined;
const targets: readonly Target[] = [
  requestTarget(),
  responseTarget(),
  hpackTarget(),
  hpackEncodeTarget(),
  await framesTarget(),
  await upstreamTarget(),
  await upstreamFramesTarget(),
  socketsTarget(),
  xdsTarget(),
  tokenTarget(),
  ...configTargets(),
  // Of their own seeds `npm test` has tests elsewhere.
  ...(given !== undefined && PLANES.length > 1 ? [planesTarget(120), connectionsTarget(60), editsTarget(60)] : []),
];
const chosen = targets.filter((target) => target.name.includes(wanted));
const seconds = Number(process.env.FUZZ_SECONDS ?? 8) / Math.max(1, chosen.length);
const firstSeed = Number(given ?? 1);
const most = given === undefined ? 20_000 : Infinity;

const uncaught: unknown[] = [];
const remember = (error: unknown): void => void uncaught.push(error);
process.on('uncaughtExceptionMonitor', remember);
afterAll(async () => {
  process.off('uncaughtExceptionMonitor', remember);
  for (const target of targets) await target.close?.();
});

test.each(chosen.map((target) => [target.name, target] as const))('fuzz %s', { timeout: seconds * 1000 + 200_000 }, async (name, target) => {
  const end = performance.now() + seconds * 1000;
  let tested = 0;
  let seed = firstSeed;
  do {
    const input = target.make(new Random(seed));
    const started = performance.now();
    try {
      if (await target.check(input)) tested++;
      if (uncaught.length > 0) throw uncaught.pop();
      expect(performance.now() - started, 'ms for one case').toBeLessThan(target.limitMs ?? 20_000);
    } catch (error) {
      const reproducer = `npm run fuzz -- --target ${name} --seed ${seed} --one`;
      throw new Error(`${(error as Error).message}\ninput: ${JSON.stringify(input.slice(0, 4000))}\nreproduce: ${reproducer}`, { cause: error });
    }
    seed++;
  } while (!onlyOne && seed - firstSeed < most && performance.now() < end);
  process.stderr.write(`fuzz ${name}: ${seed - firstSeed} cases from seed ${firstSeed}, ${tested} got past the first gate\n`);
  if (!onlyOne) expect(tested).toBeGreaterThan(0);
});

test('a target of that name exists', () => {
  expect(chosen.length, `targets: ${targets.map((target) => target.name).join(', ')}`).toBeGreaterThan(0);
});

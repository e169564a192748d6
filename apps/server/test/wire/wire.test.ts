// The embedded proxy and Envoy, byte by byte: what clients and applications see of each other through the one they see through the other. `npm test`
// takes every piece by itself and the first seeds; `npm run fuzz -- --target wire` goes on with new ones. A failure names its seed.

import { describe, expect, test } from 'vitest';
import { PLANES } from '../planes/planes.ts';
import { pieceCase, pieces, randomCase } from './cases.ts';
import { http2Case, http2PieceCase, http2Pieces } from './http2-cases.ts';
import { comparable, differences } from './compare.ts';
import { startRig, type Case, type Outcome } from './rig.ts';

const LANES = 24;
const seconds = process.env['FUZZ_SECONDS'];
const one = process.env['FUZZ_ONE'] !== undefined;
const first = Number(process.env['FUZZ_SEED'] ?? 1);

/** Seeds of cases with differences, and these. `next` gives seeds until there are no more. */
async function compare(make: (seed: number) => Case, next: () => number | undefined): Promise<{ count: number; found: Map<number, string[]> }> {
  const rigs = [await startRig('envoy', LANES), await startRig('embedded', LANES)] as const;
  const all = new Map<number, [Outcome, Outcome]>();
  const lane = async (number: number): Promise<void> => {
    for (let seed = next(); seed !== undefined; seed = next()) {
      const it = make(seed);
      all.set(seed, await Promise.all([rigs[0].run(it, number), rigs[1].run(it, number)]));
    }
  };
  await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));
  const logs = [await rigs[0].stop(), await rigs[1].stop()] as const;
  const found = new Map<number, string[]>();
  for (const [seed, outcomes] of all) {
    outcomes.forEach((outcome, i) => (outcome.log = logs[i]?.get(outcome.from) ?? []));
    const early = make(seed).answers.some(({ when }) => when === 'head');
    const differ = differences(comparable(outcomes[0], early), comparable(outcomes[1], early));
    if (differ.length > 0) found.set(seed, differ);
  }
  return { count: all.size, found };
}

/** On a busy machine one of two may have come first for once: what differs must do so again. */
async function expectNone(name: string, make: (seed: number) => Case, next: () => number | undefined): Promise<void> {
  const { count, found } = await compare(make, next);
  let suspects = found;
  for (let again = 0; again < 2 && suspects.size > 0; again++) {
    const seeds = suspects.keys();
    suspects = (await compare(make, () => seeds.next().value)).found;
  }
  process.stderr.write(`wire ${name}: ${count} exchanges compared, ${suspects.size} differ\n`);
  const told = [...suspects].map(([seed, differ]) => {
    const { writes, http2, answers } = make(seed);
    const sent: readonly object[] = http2?.streams ?? writes;
    const wire = `> ${sent.map((it) => JSON.stringify(it).slice(0, 1000)).join('\n> ')}\n< ${answers.map((answer) => JSON.stringify(answer).slice(0, 1000)).join('\n< ')}`;
    return `${name} ${seed} (Envoy | embedded)\n${wire}\n${differ.join('\n')}${name.startsWith('pieces') ? '' : `\nreproduce: npm run fuzz -- --target wire --seed ${seed} --one`}`;
  });
  expect(told.slice(0, 20).join('\n\n'), `${suspects.size} exchanges differ`).toBe('');
}

function upTo(begin: number, end: number, until = Infinity): () => number | undefined {
  let seed = begin;
  return () => (seed < end && performance.now() < until ? seed++ : undefined);
}

const skip = PLANES.length < 2;
const seeded = [
  ['HTTP/1', randomCase, 100],
  ['HTTP/2', http2Case, 60],
] as const;

describe.skipIf(skip || seconds !== undefined)('each piece by itself', () => {
  test('HTTP/1', { timeout: 120_000 }, () => expectNone('pieces of HTTP/1', pieceCase, upTo(0, pieces)));
  test('HTTP/2', { timeout: 120_000 }, () => expectNone('pieces of HTTP/2', http2PieceCase, upTo(0, http2Pieces)));
});

describe.skipIf(skip)('seeds', () => {
  test.each(seeded)('%s', { timeout: Number(seconds ?? 0) * 1000 + 120_000 }, async (name, make, count) => {
    if (one) return expectNone(name, make, upTo(first, first + 1));
    if (seconds === undefined) return expectNone(name, make, upTo(first, first + count));
    await expectNone(name, make, upTo(first, Infinity, performance.now() + (Number(seconds) * 1000) / seeded.length));
  });
});

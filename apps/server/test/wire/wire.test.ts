// The embedded proxy and Envoy, byte by byte: what clients and applications see of each other through the one they see through the other. `npm test`
// takes every piece by itself and the first seeds; `npm run fuzz -- --target wire` goes on with new ones, with
// `--group 'pieces of HTTP/1, gateway'` and the like with the pieces at other listeners. A failure names its group and seed.

import { expect, test } from 'vitest';
import { PLANES } from '../planes/planes.ts';
import { pieceCase, pieces as piecesOfHttp1, placePieces, randomCase } from './cases.ts';
import { http2Case, http2PieceCase, http2Pieces } from './http2-cases.ts';
import { http2AppCase, http2AppPieceCase, http2AppPieces, refusedPieces } from './http2-app-cases.ts';
import { appLeaveCase, appLeaves, endingCase, tunnelCase, tunnelEnds } from './ending-cases.ts';
import { earlyLeaves, leaveCase, leaves } from './leave-cases.ts';
import { comparable, differences } from './compare.ts';
import type { Case, ListenerKind, Outcome } from './case.ts';
import { startRig } from './rig.ts';

/** Most of the time nothing happens, for a second each. */
const LANES = 28;
const seconds = process.env['FUZZ_SECONDS'];
const one = process.env['FUZZ_ONE'] !== undefined;
/** Of pieces their number. */
const first = Number(process.env['FUZZ_SEED'] ?? 1);

type Make = (seed: number) => Case;
/** Cases of one kind by their numbers. */
interface Group {
  name: string;
  make: Make;
  first: number;
  count: number;
  /** There are no more. */
  finite?: true;
}
interface Exchange {
  group: Group;
  seed: number;
  differ: readonly string[];
}

/** Those that differ. */
async function compare(next: () => Pick<Exchange, 'group' | 'seed'> | undefined): Promise<{ count: Map<Group, number>; found: Exchange[] }> {
  const rigs = await Promise.all([startRig('envoy', LANES), startRig('embedded', LANES)]);
  const all: [Pick<Exchange, 'group' | 'seed'>, Case, [Outcome, Outcome]][] = [];
  const lane = async (number: number): Promise<void> => {
    for (let one = next(); one !== undefined; one = next()) {
      const it = one.group.make(one.seed);
      all.push([one, it, await Promise.all([rigs[0].run(it, number), rigs[1].run(it, number)])]);
    }
  };
  await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));
  const logs = await Promise.all(rigs.map((rig) => rig.stop()));
  const count = new Map<Group, number>();
  const found: Exchange[] = [];
  for (const [{ group, seed }, it, outcomes] of all) {
    outcomes.forEach((outcome, i) => Object.assign(outcome, logs[i]?.get(outcome.from)));
    const differ = differences(comparable(outcomes[0], it), comparable(outcomes[1], it));
    count.set(group, (count.get(group) ?? 0) + 1);
    if (differ.length > 0) found.push({ group, seed, differ });
  }
  return { count, found };
}

/** On a busy machine one of two may have come first for once: what differs must do so again. */
async function expectNone(next: Parameters<typeof compare>[0]): Promise<void> {
  const { count, found } = await compare(next);
  let suspects = found;
  for (let again = 0; again < 2 && suspects.length > 0; again++) {
    const rest = suspects.values();
    suspects = (await compare(() => rest.next().value)).found;
  }
  const counts = [...count].map(([{ name }, exchanges]) => `${name} ${exchanges}`).join(', ');
  process.stderr.write(`wire: ${counts} exchanges compared, ${suspects.length} differ\n`);
  const told = suspects.map(({ group, seed, differ }) => {
    const { about = '', writes, http2, answers, leaves } = group.make(seed);
    const sent: readonly unknown[] = http2 === undefined ? writes : http2.raw === undefined ? http2.streams : [http2.raw];
    const wire = `> ${sent.map((it) => JSON.stringify(it).slice(0, 1000)).join('\n> ')}\n< ${answers.map((answer) => JSON.stringify(answer).slice(0, 1000)).join('\n< ')}`;
    const leaving = leaves === undefined ? '' : `\nleaves ${JSON.stringify(leaves).slice(0, 1000)}`;
    const again = `\nreproduce: npm run fuzz -- --target wire --group '${group.name}' --seed ${seed} --one`;
    return `${group.name} ${seed} ${about} (Envoy | embedded)\n${wire}${leaving}\n${differ.join('\n')}${again}`;
  });
  expect(told.slice(0, 20).join('\n\n'), `${suspects.length} exchanges differ`).toBe('');
}

/** One group after the other. */
function* each(groups: readonly Group[]): Generator<Pick<Exchange, 'group' | 'seed'>> {
  for (const group of groups) for (let i = 0; i < group.count; i++) yield { group, seed: group.first + i };
}

/** One of each group, again and again until then, as far as there are any. */
function* rounds(groups: readonly Group[], until: number): Generator<Pick<Exchange, 'group' | 'seed'>> {
  let left = groups;
  for (let i = 0; left.length > 0 && performance.now() < until; i++) {
    left = left.filter(({ finite, count }) => finite === undefined || i < count);
    for (const group of left) yield { group, seed: group.first + i };
  }
}

const LISTENERS: readonly ListenerKind[] = ['outbound', 'inbound', 'gateway', 'mesh'];
const at = (listener: ListenerKind, name: string, make: Make, count: number): Group => ({
  name: listener === 'outbound' ? name : `${name}, ${listener}`,
  make: (seed) => ({ ...make(seed), listener }),
  first,
  count: one ? 1 : count,
});
const pieces = LISTENERS.map((listener) =>
  (
    [
      ['pieces of HTTP/1', pieceCase, piecesOfHttp1],
      ['pieces of HTTP/2', http2PieceCase, http2Pieces],
      ['pieces of HTTP/2 applications', http2AppPieceCase, http2AppPieces],
      ['clients that leave', leaveCase, leaves],
      ['applications that leave', appLeaveCase, appLeaves],
      ['tunnels', tunnelCase, tunnelEnds],
    ] as const
  ).map(([name, make, count]): Group => ({ ...at(listener, name, make, count), first: one ? first : 0, finite: true })),
);
/** Elsewhere only when asked for by name. */
const usualPieces = [...(pieces[0] ?? []).slice(0, 4), ...(pieces.at(-1) ?? []).slice(4)];
const placed = LISTENERS.slice(1)
  .flatMap((listener) => [
    at(listener, 'places of HTTP/1', (i) => pieceCase(placePieces[i] ?? 0), placePieces.length),
    at(listener, 'places of clients that leave', (i) => leaveCase(earlyLeaves[i] ?? 0), earlyLeaves.length),
    at(listener, 'places of HTTP/2 applications', (i) => http2AppPieceCase(refusedPieces[i] ?? 0), refusedPieces.length),
  ])
  .map((places): Group => ({ ...places, first: one ? first : 0, finite: true }));
const seeded = LISTENERS.flatMap((listener) => [
  at(listener, 'HTTP/1', randomCase, listener === 'outbound' ? 100 : 25),
  at(listener, 'HTTP/2', http2Case, 25),
  at(listener, 'HTTP/2 applications', http2AppCase, 25),
  at(listener, 'ends', endingCase, 25),
]);
const group = process.env['FUZZ_GROUP'];

/** Several groups share what it takes to start the two. */
test.skipIf(PLANES.length < 2)('embedded and Envoy do the same', { timeout: Number(seconds ?? 0) * 1000 + 300_000 }, async () => {
  const given =
    group === undefined
      ? seconds === undefined
        ? [...usualPieces, ...placed, ...seeded]
        : seeded
      : [...pieces.flat(), ...placed, ...seeded].filter(({ name }) => name === group);
  const cases = seconds === undefined || one ? each(given) : rounds(given, performance.now() + Number(seconds) * 1000);
  await expectNone(() => cases.next().value ?? undefined);
});

// Random edits of a live mesh under traffic, the same seeds each time. `npm run fuzz -- --target edits` takes others.

import { expect, test } from 'vitest';
import { Random } from '../fuzz/random.ts';
import { runEdits } from './run.ts';
import { randomWorlds } from './worlds.ts';

test('no request goes wrong while endpoints, subsets, routes and policies change and the control plane dies', { timeout: 300_000 }, async () => {
  const { problems, answered, conversations } = await runEdits(randomWorlds(new Random(1), 30));
  process.stderr.write(`30 edits, ${answered} requests answered, ${conversations} conversations kept up\n`);
  expect(problems).toEqual([]);
  expect(answered).toBeGreaterThan(0);
});

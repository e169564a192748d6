// Edits of a live mesh under traffic: no request goes wrong, on the embedded proxy and on Envoy.

import { runEdits } from '../edits/run.ts';
import { type Worlds, randomWorlds } from '../edits/worlds.ts';
import type { Target } from './target.ts';

/** `count`: edits one after another. */
export function editsTarget(count: number): Target {
  return {
    name: 'edits',
    limitMs: 300_000,
    make: (random) => JSON.stringify(randomWorlds(random, count)),
    async check(input) {
      const { problems, answered } = await runEdits(JSON.parse(input) as Worlds);
      if (problems.length > 0) throw new Error(problems.join('\n'));
      return answered > 0;
    },
  };
}

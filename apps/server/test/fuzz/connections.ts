// TCP, TLS and protocols found out by looking do the same on the embedded proxy and on Envoy.

import { type World, randomWorld } from '../connections/configuration.ts';
import { differencesOf } from '../connections/world.ts';
import type { Target } from './target.ts';

/** `count`: connections to each configuration. */
export function connectionsTarget(count: number): Target {
  return {
    name: 'connections',
    limitMs: 180_000,
    make: (random) => JSON.stringify(randomWorld(random, count)),
    async check(input) {
      const found = await differencesOf(JSON.parse(input) as World);
      if (found.length > 0) throw new Error(`embedded | envoy\n${found.join('\n')}`);
      return true;
    },
  };
}

// weft traffic split, load.

import type { Load, TrafficSplit } from '@weft/mesh-core/api';
import { type Command, Option } from 'commander';
import { StartError } from '../agent/errors.ts';
import { clientOf } from './objects-commands.ts';
import { print, table } from './print.ts';

export function registerTraffic(program: Command): void {
  const output = (): Option => new Option('-o, --output <form>', 'output form').choices(['table', 'json']).default('table');

  program
    .command('traffic')
    .description('how requests are shared out')
    .command('split')
    .description('show the split of a service, or set it: weft traffic split reviews v1=80 v2=20')
    .argument('<service>')
    .argument('[weights...]')
    .option('-n, --namespace <namespace>', 'namespace', 'bookinfo')
    .addOption(output())
    .action(async (service: string, weights: string[], options: { namespace: string; output: string }, command: Command) => {
      const client = clientOf(command);
      const path = `/api/v1/traffic-split/${options.namespace}/${service}`;
      let split = (await client.getJson(path)) as TrafficSplit;
      if (weights.length > 0) split = (await client.putJson(path, { weights: parseWeights(weights), resourceVersion: split.resourceVersion })) as TrafficSplit;
      if (options.output === 'json') return print(JSON.stringify(split, undefined, 2));
      return print(
        table(
          ['SUBSET', 'WEIGHT', 'OBSERVED', 'REQUESTS/S', 'ERRORS', 'P95'],
          split.destinations.map((d) => [
            d.subset,
            `${d.weight} %`,
            d.observed < 0 ? '-' : `${d.observed.toFixed(1)} %`,
            d.rps.toFixed(1),
            `${(d.errors * 100).toFixed(2)} %`,
            d.p95 < 0 ? '-' : `${d.p95.toFixed(0)} ms`,
          ]),
        ),
      );
    });

  program
    .command('load')
    .description("show the demo's load, or set it to requests per second")
    .argument('[rps]')
    .action(async (rps: string | undefined, _options: object, command: Command) => {
      const client = clientOf(command);
      const wanted = Number(rps ?? 0);
      if (rps !== undefined && !(wanted >= 0 && wanted <= 2_000)) throw new StartError('WEFT_USAGE', `the load is ${rps}; it must be a number from 0 to 2000`);
      const load = (await (rps === undefined ? client.getJson('/api/v1/load') : client.putJson('/api/v1/load', { rps: wanted }))) as Load;
      print(`${load.rps} requests/s wanted, ${load.actualRps} sent; ${load.ok} ok, ${load.failed} failed of ${load.sent}`);
    });
}

function parseWeights(words: readonly string[]): Record<string, number> {
  const weights: Record<string, number> = {};
  for (const word of words) {
    const match = /^([^=]+)=(\d+)%?$/.exec(word);
    const [, name, value] = match ?? [];
    if (name === undefined || value === undefined) throw new StartError('WEFT_USAGE', `${word} is no weight; write <subset>=<percent>, like v2=20`);
    weights[name] = Number(value);
  }
  return weights;
}

// `npm run fuzz -- [--seconds N] [--target NAME] [--seed N] [--one] [--group NAME]`: the fuzz targets of apps/server/test/fuzz (`planes` and `connections` are the embedded proxy beside Envoy, `edits` both under traffic while everything changes), N seconds in all, and
// `wire`, the embedded proxy beside Envoy (apps/server/test/wire), N seconds.
// `--one` runs the one case of that seed, as a failure prints it; `--group`, those of one name among the cases of `wire`.
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { bin, ensureGenerated, ensureInstalled, requireNode, root } from './lib/setup.mjs';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    target: { type: 'string' },
    seed: { type: 'string' },
    one: { type: 'boolean' },
    group: { type: 'string' },
  },
});
requireNode();
ensureInstalled();
ensureGenerated();
const seed = values.seed ?? String(Math.floor(Math.random() * 2 ** 30));
const env = { ...process.env, FUZZ_SECONDS: values.seconds, FUZZ_SEED: seed };
if (values.target !== undefined) env.FUZZ_TARGET = values.target;
if (values.group !== undefined) env.FUZZ_GROUP = values.group;
if (values.one) env.FUZZ_ONE = '1';
const files = values.target === undefined ? ['test/fuzz', 'test/wire'] : [values.target === 'wire' ? 'test/wire' : 'test/fuzz'];
const result = spawnSync(process.execPath, [bin('vitest', 'vitest.mjs'), 'run', '--project', 'server', ...files], { cwd: root, stdio: 'inherit', env });
process.exit(result.status ?? 1);

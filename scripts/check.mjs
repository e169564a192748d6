// `npm run check`: the one command that decides before a commit. Format, types, lint, unused code, unit tests.
import { bin, checkSource, ensureGenerated, ensureInstalled, requireNode, run } from './lib/setup.mjs';

requireNode();
ensureInstalled();
ensureGenerated();
checkSource();
run(process.execPath, [bin('vitest', 'vitest.mjs'), 'run']);

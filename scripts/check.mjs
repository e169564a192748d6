// `npm run check`: the one command that decides before a commit. Format, types, lint, unused code, unit tests.
import { bin, ensureGenerated, ensureInstalled, requireNode, run } from './lib/setup.mjs';

requireNode();
ensureInstalled();
ensureGenerated();
run(process.execPath, [bin('oxfmt', 'bin/oxfmt'), '--check'], { quiet: true });
run(process.execPath, [bin('typescript', 'bin/tsc'), '-b']);
run(process.execPath, [bin('oxlint', 'bin/oxlint'), '--type-aware', '--quiet']);
run(process.execPath, [bin('knip', 'bin/knip.js')]);
run(process.execPath, [bin('vitest', 'vitest.mjs'), 'run']);

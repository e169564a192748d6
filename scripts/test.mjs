// `npm test`: all set-up, then everything: types, lint, unit and behaviour tests, browser journeys.
// Ends with one plain line `N passed, N failed, N skipped` for CI.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensureEngines } from './engines/ensure.mjs';
import { bin, checkSource, ensureBuilt, ensureGenerated, ensureInstalled, requireNode, root } from './lib/setup.mjs';

requireNode();
ensureInstalled();
ensureGenerated();
checkSource();
ensureBuilt();
const engines = await ensureEngines();

const totals = { passed: 0, failed: 0, skipped: 0 };
const reports = join(root, '.cache/reports');
rmSync(reports, { recursive: true, force: true });
mkdirSync(reports, { recursive: true });

const env = { ...process.env, ...engines };
const unitReport = join(reports, 'unit.json');
runTests([bin('vitest', 'vitest.mjs'), 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${unitReport}`], env);
if (existsSync(unitReport)) {
  const report = JSON.parse(readFileSync(unitReport, 'utf8'));
  totals.passed += report.numPassedTests;
  totals.failed += report.numFailedTests + (report.numFailedTests === 0 && !report.success ? 1 : 0);
  totals.skipped += report.numPendingTests + report.numTodoTests;
} else totals.failed += 1;

const journeyReport = join(reports, 'journeys.json');
runTests([bin('@playwright/test', 'cli.js'), 'test', '--config', 'playwright/playwright.config.ts'], { ...env, PLAYWRIGHT_JSON_OUTPUT_NAME: journeyReport });
if (existsSync(journeyReport)) {
  const { stats } = JSON.parse(readFileSync(journeyReport, 'utf8'));
  totals.passed += stats.expected + stats.flaky;
  totals.failed += stats.unexpected;
  totals.skipped += stats.skipped;
} else totals.failed += 1;

process.stdout.write(`\n${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped\n`);
process.exit(totals.failed === 0 && totals.passed > 0 ? 0 : 1);

function runTests(args, environment) {
  const result = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit', env: environment });
  if (result.status !== 0) process.stderr.write(`weft: ${args[0]} ended with ${result.status ?? result.signal}\n`);
}

// Builds istio-oracle (Istio's own code as a command, ../shared/tools/istio-oracle beside the checkout) with Go into
// ~/.cache/weft/engines/istio-oracle, for the tests that compare with Istio. Idempotent: an existing binary is left alone.
// About 4 minutes of CPU the first time, so it is run by hand or by CI's cache step:
//   node scripts/engines/istio-oracle.mjs
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = process.env.WEFT_ORACLE_SOURCE ?? fileURLToPath(new URL('../../../shared/tools/istio-oracle', import.meta.url));
const BUILD_LIMIT_MS = 20 * 60_000;

/** Path of the binary, built when absent; undefined with the reason on stderr when it cannot be built here. */
export function ensureIstioOracle() {
  const target = join(process.env.WEFT_ENGINES ?? join(homedir(), '.cache/weft/engines'), 'istio-oracle');
  const binary = join(target, 'istio-oracle');
  if (existsSync(binary)) return binary;
  if (!existsSync(source)) return skipped(`its source is not at ${source}; set WEFT_ORACLE_SOURCE`);
  mkdirSync(target, { recursive: true });
  // Built beside its place, then renamed: a half-written binary must never look finished.
  const built = spawnSync('go', ['build', '-trimpath', '-o', `${binary}.new`, '.'], { cwd: source, timeout: BUILD_LIMIT_MS, encoding: 'utf8' });
  if (built.status !== 0) return skipped(built.error?.message ?? built.stderr.trim().split('\n').at(-1));
  renameSync(`${binary}.new`, binary);
  return binary;
}

function skipped(reason) {
  process.stderr.write(`weft: skipped: istio-oracle cannot be built here: ${reason}\n`);
  return undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const binary = ensureIstioOracle();
  if (binary === undefined) process.exitCode = 1;
  else process.stdout.write(`${binary}\n`);
}

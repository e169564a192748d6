// Builds a real Jaeger (all-in-one) with Go into ~/.cache/weft/engines/jaeger/jaeger, for the test that exports spans to it.
// Idempotent: an existing binary is left alone. About 6 minutes of CPU, once a machine; without Go on PATH the test says so.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MODULE = 'github.com/jaegertracing/jaeger@v1.76.0';
const BUILD_LIMIT_MS = 30 * 60_000;

/** Path of the binary, built when absent; undefined with the reason on stderr when it cannot be built here. */
export function ensureJaeger() {
  const target = join(process.env.WEFT_ENGINES ?? join(homedir(), '.cache/weft/engines'), 'jaeger');
  const binary = join(target, 'jaeger');
  if (existsSync(binary)) return binary;
  process.stderr.write('weft: building Jaeger (go build, once a machine, about 6 minutes of CPU)\n');
  const downloaded = go(['mod', 'download', '-json', MODULE], tmpdir(), 5 * 60_000);
  if (downloaded === undefined) return undefined;
  const source = JSON.parse(downloaded).Dir;
  const work = mkdtempSync(join(tmpdir(), 'weft-jaeger-'));
  try {
    // The module cache is read-only and `go build` needs the module's own go.sum, hence the copy.
    cpSync(source, work, { recursive: true, mode: 0 });
    spawnSync('chmod', ['-R', 'u+w', work]);
    const built = join(work, 'weft-jaeger-binary');
    if (go(['build', '-trimpath', '-ldflags', '-s -w', '-o', built, './cmd/jaeger'], work, BUILD_LIMIT_MS) === undefined) return undefined;
    mkdirSync(target, { recursive: true });
    // Copy next to the target, then rename: a half-written binary must never look finished.
    cpSync(built, `${binary}.new`);
    renameSync(`${binary}.new`, binary);
    return binary;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function go(args, cwd, timeout) {
  const result = spawnSync('go', args, { cwd, timeout, encoding: 'utf8', maxBuffer: 64 << 20 });
  if (result.status === 0) return result.stdout;
  const reason = result.error?.message ?? result.stderr.trim().split('\n').at(-1);
  process.stderr.write(`weft: skipped: jaeger not installable here: go ${args[0]}: ${reason || `ended with ${result.status ?? result.signal}`}\n`);
  return undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const binary = ensureJaeger();
  if (binary === undefined) process.exitCode = 1;
  else process.stdout.write(`${binary}\n`);
}

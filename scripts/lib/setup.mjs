// Set-up shared by start, build, check and test: dependencies installed, protobuf code generated, everything compiled,
// each step only when its inputs changed. Uses Node alone, because it runs before `npm ci`.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const cache = join(root, '.cache');

/** Ends the process with one clear line when this Node is too old for the toolchain. */
export function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19))
    fail(`Weft needs Node 20.19 or newer, this is ${process.versions.node} (${process.execPath}). Install a newer Node and try again.`);
}

export function fail(message) {
  process.stderr.write(`weft: ${message}\n`);
  process.exit(1);
}

/** Runs a command; on failure shows its output and ends the process. */
export function run(command, args, options = {}) {
  const { quiet = false, ...rest } = options;
  const result = spawnSync(command, args, { cwd: root, stdio: quiet ? 'pipe' : 'inherit', encoding: 'utf8', ...rest });
  if (result.error) fail(`cannot run ${command}: ${result.error.message}`);
  if (result.status !== 0) {
    if (quiet) process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
    fail(`${[command, ...args].join(' ')} ended with ${result.status ?? result.signal}`);
  }
}

/** Path of a package's executable script, to run with this Node. */
export function bin(packageName, path) {
  return join(root, 'node_modules', packageName, path);
}

/** Runs `work` unless its inputs have not changed since it last succeeded. */
function step(name, inputs, outputs, work) {
  const stampFile = join(cache, `${name}.stamp`);
  const stamp = fingerprint(inputs);
  if (outputs.every((o) => existsSync(join(root, o))) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;
  work();
  try {
    mkdirSync(cache, { recursive: true });
    writeFileSync(stampFile, stamp);
  } catch (error) {
    fail(`cannot write ${stampFile}: ${error.message}. Make ${root} writable.`);
  }
}

/** Hash of names and contents of all files below the inputs. Not of times: npm rewrites the lock file at every install. */
function fingerprint(inputs) {
  const hash = createHash('sha256');
  const visit = (path) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return;
    if (stat.isDirectory()) {
      for (const entry of readdirSync(path).toSorted())
        if (!['node_modules', 'dist', 'gen', 'dist-test', 'dist-types'].includes(entry)) visit(join(path, entry));
    } else hash.update(`${relative(root, path)}:${stat.size}\n`).update(readFileSync(path));
  };
  for (const input of inputs) visit(join(root, input));
  return hash.digest('hex');
}

export function ensureInstalled() {
  step('install', ['package-lock.json'], ['node_modules/typescript', 'node_modules/fastify'], () => {
    process.stderr.write('weft: installing dependencies (npm install)\n');
    // Not `npm ci`: it refuses a lock file that lacks the binaries of other platforms (oxlint, oxfmt), which a registry
    // that serves one platform leaves out. The versions are those of the lock file all the same.
    run(process.platform === 'win32' ? 'npm.cmd' : 'npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], { quiet: true });
  });
}

export function ensureGenerated() {
  step(
    'protos',
    ['packages/mesh-core/protos', 'scripts/generate-protos.mjs', 'package-lock.json'],
    ['packages/mesh-core/src/gen/envoy', 'packages/mesh-core/src/gen/wire-schemas.ts'],
    () => {
      run(process.execPath, [join(root, 'scripts/generate-protos.mjs')], { quiet: true });
    },
  );
}

function viteBuild(workspace) {
  run(process.execPath, [bin('vite', 'bin/vite.js'), 'build', workspace, '--logLevel', 'error'], { quiet: true });
}

/** Compiles server and core (tsc), puts the proxy's program together and builds the console (vite). */
export function ensureBuilt() {
  step(
    'server',
    ['packages/mesh-core/src', 'packages/mesh-core/package.json', 'apps/server/src', 'apps/server/vite.config.ts', 'tsconfig.base.json', '.cache/protos.stamp'],
    ['apps/server/dist/cli/main.js', 'apps/server/dist/proxy-program/main.cjs'],
    () => {
      process.stderr.write('weft: compiling the server\n');
      run(process.execPath, [bin('typescript', 'bin/tsc'), '-b', 'apps/server'], { quiet: true });
      viteBuild('apps/server');
    },
  );
  if (!existsSync(join(root, 'apps/web/src/app/main.tsx'))) return;
  step('web', ['packages/mesh-core/src/api', 'packages/mesh-core/src/config', 'packages/mesh-core/src/model', 'apps/web'], ['apps/web/dist/index.html'], () => {
    process.stderr.write('weft: building the console\n');
    viteBuild('apps/web');
  });
}

/** Format, types, lint and unused code of the whole tree. */
export function checkSource() {
  run(process.execPath, [bin('oxfmt', 'bin/oxfmt'), '--check'], { quiet: true });
  run(process.execPath, [bin('typescript', 'bin/tsc'), '-b']);
  run(process.execPath, [bin('oxlint', 'bin/oxlint'), '--type-aware', '--quiet']);
  run(process.execPath, [bin('knip', 'bin/knip.js')]);
}

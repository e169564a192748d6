// `weft run`: puts one program of the user into the mesh for as long as it runs.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { MeshObject } from '@weft/mesh-core/model';
import { type ControlClient, createControlClient } from './control-client.ts';
import { untilApplicationIdle } from './drain.ts';
import { findEnvoy } from './envoy.ts';
import { StartError } from './errors.ts';
import { type HealthCheckOptions, startHealthCheck } from './health-check.ts';
import { holdPort, openPortBook } from './ports.ts';
import { type ProgramPort, servedPorts, serviceOf, unservedPorts } from './served-ports.ts';
import { openStateDirectory } from './state-directory.ts';
import { startProxy } from './start-proxy.ts';
import { STOP_SIGNALS } from './stop-signals.ts';
import { type Upstream, type WorkloadPlan, planWorkload, proxySpec, serviceFor, upstreamEnvironment, workloadEntry } from './workload.ts';

/** How long peers may take to take notice, and requests under way to end. */
const FINISH_MS = 5_000;

export interface RunOptions {
  server: string;
  service: string;
  namespace: string;
  version: string;
  serviceAccount?: string;
  labels: Readonly<Record<string, string>>;
  /** `region/zone/subzone`; '' = unknown. */
  locality: string;
  /** Where the program listens; none = it only calls others. */
  ports: readonly ProgramPort[];
  /** Name of a port that has none. */
  protocol: string;
  /** `reviews.bookinfo` or `reviews.bookinfo:9080`; empty = every service of the mesh. */
  upstreams: readonly string[];
  /** Of its first port. */
  healthPath?: string;
  proxy: 'embedded' | 'envoy';
  /** See EnvoyOptions.secondAdminPort. */
  envoyPair: boolean;
  portBase: number;
  stateDir: string;
  command: readonly [string, ...string[]];
}

/** Runs until the program ends or a signal comes; resolves to the program's exit code (128 + n for a signal). */
export async function runInMesh(options: RunOptions, log: (line: string) => void): Promise<number> {
  // Before anything is promised to the mesh: who answers on the port is to be the program.
  const appPorts = options.ports.map(({ port }) => port);
  const releasePorts = await holdPorts(appPorts);
  openStateDirectory(options.stateDir);
  const binary = options.proxy === 'envoy' ? findEnvoy(process.env) : undefined;
  const client = createControlClient(options.server, `weft run ${options.service}`);
  const services = await client.list('Service');
  const ports = openPortBook(join(options.stateDir, 'ports'), options.portBase, appPorts);
  const served = servedPorts(options, services);
  const plan = await planWorkload(
    {
      service: options.service,
      namespace: options.namespace,
      version: options.version,
      labels: options.labels,
      locality: options.locality,
      ...(options.serviceAccount === undefined ? {} : { serviceAccount: options.serviceAccount }),
      ports: served,
      upstreams: chooseUpstreams(options, services, await client.list('ServiceEntry')),
    },
    ports,
  );
  const secondAdminPort = binary !== undefined && options.envoyPair ? await ports.allocate(`${plan.workload}.${plan.namespace}/second admin`) : undefined;
  const adminPorts = [plan.adminPort, ...(secondAdminPort === undefined ? [] : [secondAdminPort])];
  const isClient = served.length === 0;
  const hasService = isClient || serviceOf(plan, services) !== undefined;
  const ownService = hasService ? undefined : serviceFor(plan);

  // The sidecar first, then the program, then the registration: no peer is sent to a port nobody serves.
  const name = `run-${plan.workload}.${plan.namespace}`;
  const spec = await proxySpec(plan, client, join(options.stateDir, 'proxies'));
  const sidecar = await startProxy({ name, spec, binary, secondAdminPort, stateDir: options.stateDir, client, log });
  const environment = { ...process.env, ...(isClient ? {} : { PORT: String(appPorts[0]) }), ...upstreamEnvironment(plan) };
  const [command, ...args] = options.command;
  await releasePorts();
  const program = spawn(command, args, { stdio: 'inherit', env: environment });
  const ended = new Promise<number>((resolve, reject) => {
    program.once('error', (error) => reject(new StartError('WEFT_CHILD_FAILED', `cannot run ${command}: ${error.message}`)));
    program.once('exit', (code, signal) => resolve(code ?? (signal === null ? 1 : 128 + signalNumber(signal))));
  });
  let registered = false;
  // Writes in order, one after the other: a late "unhealthy" must not overtake the removal.
  let writing: Promise<void> = Promise.resolve();
  const write = (work: () => Promise<void>): void => {
    writing = writing.then(work).catch((error: unknown) => log((error as Error).message));
  };
  const healthCheck: Omit<HealthCheckOptions, 'ports'> = {
    ...(options.healthPath === undefined ? {} : { path: options.healthPath }),
    intervalMs: 1_000,
    failureThreshold: 3,
    onChange: (health, reason) => {
      if (health === 'healthy' && !registered) {
        registered = true;
        write(async () => {
          // Another instance may have made it meanwhile, with its own port: two of them must not take turns.
          const missing = ownService !== undefined && serviceOf(plan, await client.list('Service', plan.namespace)) === undefined;
          await client.apply([...(missing ? [ownService] : []), workloadEntry(plan)], `weft run ${plan.workload}`);
          log(`${plan.workload}.${plan.namespace} is in the mesh`);
          const rest = unservedPorts(options, served, services);
          if (rest.length > 0)
            log(
              `Service ${plan.namespace}/${plan.service} has ports this program does not serve: ${rest.join(', ')}. If it listens there, name them: --port <name>:<port>`,
            );
        });
      } else if (registered) {
        log(`${plan.workload} is ${health}: ${reason}`);
        write(() => client.apply([workloadEntry(plan, health)], `${plan.workload} is ${health}`));
      }
    },
  };
  // Who only calls others is nothing peers could look up.
  if (isClient) log(`${plan.workload}.${plan.namespace} is in the mesh, as a client`);
  const stopHealthCheck = isClient ? () => undefined : startHealthCheck({ ports: appPorts, ...healthCheck });
  let left: Promise<void> | undefined;
  const leaveMesh = (): Promise<void> => {
    left ??= (async () => {
      stopHealthCheck();
      await writing;
      if (registered)
        await leave(plan, ownService, client).catch((error: unknown) => log(`could not take ${plan.workload} out of the mesh: ${(error as Error).message}`));
    })();
    return left;
  };
  // Peers first stop choosing this workload, then what they sent is finished, then the program hears of it. A second signal does not wait.
  const onSignal = (signal: NodeJS.Signals): void => {
    if (left !== undefined) return void program.kill(signal);
    void leaveMesh()
      .then(() => Promise.all(adminPorts.map((port) => untilApplicationIdle(port, FINISH_MS))))
      .finally(() => program.kill(signal));
  };
  for (const name of STOP_SIGNALS) process.on(name, onSignal);
  try {
    return await ended;
  } finally {
    await leaveMesh();
    for (const name of STOP_SIGNALS) process.off(name, onSignal);
    await sidecar.stop();
  }
}

/** All of them, or none. */
async function holdPorts(ports: readonly number[]): Promise<() => Promise<void>> {
  const held: (() => Promise<void>)[] = [];
  const release = async (): Promise<void> => void (await Promise.all(held.map((one) => one())));
  try {
    for (const port of new Set(ports)) held.push(await holdPort(port));
  } catch (error) {
    await release();
    throw error;
  }
  return release;
}

/** Takes the workload out; the Service goes too when this run made it, nobody has made it another since and nothing else serves it. */
export async function leave(
  plan: Pick<WorkloadPlan, 'namespace' | 'workload' | 'service'>,
  ownService: MeshObject | undefined,
  client: Pick<ControlClient, 'remove' | 'untilAcknowledged' | 'list'>,
): Promise<void> {
  await client.remove({ kind: 'WorkloadEntry', namespace: plan.namespace, name: plan.workload });
  await client.untilAcknowledged(FINISH_MS);
  if (ownService === undefined) return;
  const service = serviceOf(plan, await client.list('Service', plan.namespace));
  if (!isDeepStrictEqual(service?.spec, ownService.spec)) return;
  const entries = await client.list('WorkloadEntry', plan.namespace);
  const served = entries.some((e) => (e.spec as { labels?: Record<string, string> }).labels?.['app'] === plan.service);
  if (!served) await client.remove({ kind: 'Service', namespace: plan.namespace, name: plan.service });
}

/** Without a choice all services of the mesh; hosts of ServiceEntries (`--upstream api.example.com:443`) only when they are asked for. */
export function chooseUpstreams(
  options: Pick<RunOptions, 'service' | 'namespace' | 'upstreams'>,
  services: readonly MeshObject[],
  entries: readonly MeshObject[],
): Upstream[] {
  const known = services
    .filter((s) => s.metadata.name !== options.service || s.metadata.namespace !== options.namespace)
    .flatMap((s) =>
      ((s.spec as { ports?: { port: number; name?: string; appProtocol?: string }[] }).ports ?? []).map(
        ({ port, name = '', appProtocol: protocol = name }) => ({
          name: `${s.metadata.name}.${s.metadata.namespace}`,
          host: `${s.metadata.name}.${s.metadata.namespace}.svc.cluster.local`,
          port,
          protocol,
        }),
      ),
    );
  const foreign = entries.flatMap((e) => {
    const { hosts = [], ports = [] } = e.spec as { hosts?: string[]; ports?: { number: number; protocol?: string }[] };
    return hosts.flatMap((host) => ports.map(({ number, protocol = '' }) => ({ host, port: number, protocol })));
  });
  if (options.upstreams.length === 0) return known.map(({ host, port, protocol }) => ({ host, port, protocol }));
  return options.upstreams.map((wanted) => {
    const [text = '', portText] = wanted.split(':');
    const name = text.includes('.') ? text.split('.').slice(0, 2).join('.') : `${text}.${options.namespace}`;
    const port = (p: number): boolean => portText === undefined || p === Number(portText);
    const found = foreign.find((f) => f.host === text && port(f.port)) ?? known.find((k) => k.name === name && port(k.port));
    if (found === undefined)
      throw new StartError(
        'WEFT_USAGE',
        `--upstream ${wanted}: the mesh has no such service. It has ${[...known.map((k) => `${k.name}:${k.port}`), ...foreign.map((f) => `${f.host}:${f.port}`)].join(', ') || 'none'}.`,
      );
    return { host: found.host, port: found.port, protocol: found.protocol };
  });
}

function signalNumber(signal: NodeJS.Signals): number {
  return { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGKILL: 9, SIGTERM: 15 }[signal as string] ?? 1;
}

// `weft up`: starts server, proxies and demo, tells when traffic is on the graph, and stops all of it again.

import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Load } from '@weft/mesh-core/api';
import { DEFAULT_MESH_SETTINGS, type MeshObject } from '@weft/mesh-core/model';
import { type Child, startChild } from '../agent/child.ts';
import { type ControlClient, createControlClient } from '../agent/control-client.ts';
import { findEnvoy, startEnvoy } from '../agent/envoy.ts';
import { StartError } from '../agent/errors.ts';
import { openPortBook } from '../agent/ports.ts';
import { PROXY_FLAGS, PROXY_PROGRAM, proxyEnv } from '../agent/proxy-flags.ts';
import { proxySpec, workloadEntry } from '../agent/workload.ts';
import type { ProxySpec } from '../proxy/config/proxy-spec.ts';
import { SERVER_ENV, type ServerOptions } from '../server-options.ts';
import { type DemoPlan, demoSpec, gatewaySpec, planDemo, withGatewayPort } from './demo-plan.ts';
import { untilTraffic } from './until-traffic.ts';
import { type UpOptions, checkMachine } from './up-options.ts';

const dist = dirname(dirname(fileURLToPath(import.meta.url)));
const repository = resolve(dist, '../../..');
const SEED = join(repository, 'examples/bookinfo/bookinfo.yaml');

export interface RunningMesh {
  url: string;
  plan: DemoPlan;
  children: Readonly<Record<string, Child>>;
  stop(): Promise<void>;
}

/** Resolves when traffic is on the graph. On failure, and on `interrupt`, everything started so far is stopped, and the error says why. */
export async function up(options: UpOptions, log: (line: string) => void, interrupt: AbortSignal): Promise<RunningMesh> {
  await checkMachine(options);
  const envoyBinary = options.envoy.length > 0 || options.dataPlane === 'envoy' ? findEnvoy(process.env) : undefined;
  const children: Record<string, Child> = {};
  let endLoad: () => Promise<void> = () => Promise.resolve();
  const stop = async (): Promise<void> => {
    await endLoad();
    for (const names of stopOrder(Object.keys(children))) {
      await Promise.all(
        names.map(async (name) => {
          const child = children[name];
          delete children[name];
          await child?.stop();
        }),
      );
    }
  };
  const start = async (): Promise<RunningMesh> => {
    const run = join(options.stateDir, 'run');
    const logs = join(options.stateDir, 'logs');
    mkdirSync(run, { recursive: true });
    const ports = openPortBook(join(options.stateDir, 'ports'), options.portBase);
    const plan = await planDemo(ports, options.gatewayPort);

    const node = (name: string, script: string, spec: unknown, readyLine: (line: string) => boolean): Child => {
      interrupt.throwIfAborted();
      const specFile = join(run, `${name}.json`);
      writeFileSync(specFile, JSON.stringify(spec, null, 2), { mode: 0o600 });
      const isProxy = script === PROXY_PROGRAM;
      const child = startChild({
        name,
        command: process.execPath,
        args: [...(isProxy ? PROXY_FLAGS : []), join(dist, script), specFile],
        logFile: join(logs, `${name}.log`),
        readyLine,
        keepSockets: isProxy,
        env: isProxy ? proxyEnv(process.env) : name === 'server' ? { ...process.env, ...SERVER_ENV } : process.env,
        pidFile: join(run, `${name}.pid`),
        onExit: (reason) => log(`${name} ${reason}; starting it again (log: ${join(logs, `${name}.log`)})`),
      });
      children[name] = child;
      return child;
    };
    const isReady = (line: string): boolean => line.startsWith('{"ready"');

    const server = node('server', 'main.js', serverOptions(options, plan), isReady);
    // The services do not need the mesh to start: both come up side by side.
    const demo = node('demo', 'demo/main.js', demoSpec(plan, 0), isReady);
    endLoad = () => finishLoad(plan.controlPort);
    await Promise.all([server.ready(), demo.ready()]);

    const url = `http://127.0.0.1:${options.port}`;
    const client = createControlClient(url, 'weft up');
    await seed(client, options.gatewayPort);
    await client.apply(
      plan.workloads.map((w) => workloadEntry(w)),
      'register the demo workloads',
    );

    const onEnvoy = (workload: string): boolean => options.dataPlane === 'envoy' || options.envoy.includes(workload);
    const stateDir = join(options.stateDir, 'proxies');
    const specs: ProxySpec[] = await Promise.all([gatewaySpec(plan.gateway, client, stateDir), ...plan.workloads.map((w) => proxySpec(w, client, stateDir))]);
    const unknown = options.envoy.find((name) => !specs.some((s) => s.workload === name));
    if (unknown !== undefined)
      throw new StartError('WEFT_USAGE', `--envoy ${unknown}: the demo has no such workload. It has ${specs.map((s) => s.workload).join(', ')}.`);
    const embedded = specs.filter((s) => !onEnvoy(s.workload));
    const proxies = embedded.length === 0 ? undefined : node('proxies', PROXY_PROGRAM, embedded, isReady);
    const envoyFilters = envoyBinary === undefined ? [] : await client.list('EnvoyFilter');
    for (const spec of specs.filter((s) => onEnvoy(s.workload))) {
      interrupt.throwIfAborted();
      const second = options.envoyPair ? { secondAdminPort: await ports.allocate(`${spec.workload}.${spec.namespace}/second admin`) } : {};
      children[`envoy-${spec.workload}`] = await startEnvoy({
        ...second,
        spec: { ...spec, ...(options.envoyTelemetry === undefined ? {} : { envoyTelemetry: options.envoyTelemetry }) },
        binary: envoyBinary ?? '',
        filters: envoyFilters,
        dir: join(run, `envoy-${spec.workload}`),
        logFile: join(logs, `envoy-${spec.workload}.log`),
        log,
      });
    }
    await proxies?.ready();
    await setLoad(plan.controlPort, options.load);
    if (options.load > 0) await untilTraffic(client, 60_000);
    return { url, plan, children, stop };
  };
  try {
    return await Promise.race([start(), once(interrupt, 'abort').then(() => Promise.reject(interrupt.reason as Error))]);
  } catch (error) {
    await stop();
    throw error;
  }
}

function serverOptions(options: UpOptions, plan: DemoPlan): ServerOptions {
  return {
    stateDir: options.stateDir,
    host: '127.0.0.1',
    port: options.port,
    xdsPort: options.xdsPort,
    xdsTlsPort: options.xdsTlsPort,
    otlpGrpcPort: options.otlpGrpcPort,
    otlpHttpPort: options.otlpHttpPort,
    settings: {
      ...DEFAULT_MESH_SETTINGS,
      tracingSamplingPercent: options.traceSampling,
      accessLogFile: options.accessLogFile,
      accessLogEncoding: options.accessLogEncoding,
      otlp: { host: '127.0.0.1', grpcPort: options.otlpGrpcPort, httpPort: options.otlpHttpPort },
    },
    demoControlUrl: `http://127.0.0.1:${plan.controlPort}/`,
    ...(options.traceExport === undefined ? {} : { traceExport: options.traceExport }),
    consoleDir: join(repository, 'apps/web/dist'),
  };
}

/** Writes the demo's configuration on the very first start only; afterwards it is the user's. */
async function seed(client: ControlClient, gatewayPort: number): Promise<void> {
  const services = await client.list('Service', 'bookinfo');
  if (services.length === 0) {
    if (!existsSync(SEED)) throw new StartError('WEFT_STATE_DIR', `the demo configuration ${SEED} is missing from this checkout`);
    await client.applyYaml(readFileSync(SEED, 'utf8'), 'demo configuration');
  }
  const gateway = (await client.list('Gateway', 'bookinfo')).find((g) => g.metadata.name === 'bookinfo-gateway');
  if (gateway !== undefined && portOf(gateway) !== gatewayPort) await client.apply([withGatewayPort(gateway, gatewayPort)], `--gateway-port ${gatewayPort}`);
}

function portOf(gateway: MeshObject): number | undefined {
  return (gateway.spec as { servers?: { port?: { number?: number } }[] }).servers?.[0]?.port?.number;
}

async function setLoad(controlPort: number, rps: number): Promise<Load> {
  const response = await fetch(`http://127.0.0.1:${controlPort}/`, { method: 'PUT', body: JSON.stringify({ rps }), signal: AbortSignal.timeout(5_000) });
  return (await response.json()) as Load;
}

/** Ends the load and waits for what was sent; a demo that does not answer has none. */
async function finishLoad(controlPort: number): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (Date.now() < deadline) {
    const load = await setLoad(controlPort, 0).catch(() => undefined);
    if (load === undefined || load.sent === load.ok + load.failed) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** From the edge inwards, so that what is under way can finish: gateway, sidecars, applications, then the server all report to. */
function stopOrder(names: readonly string[]): string[][] {
  const outer = ['envoy-ingressgateway'];
  const inner = ['demo', 'server'];
  const rest = names.filter((name) => !outer.includes(name) && !inner.includes(name) && name !== 'proxies');
  return [outer, ['proxies'], rest, ...inner.map((name) => [name])];
}

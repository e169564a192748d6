// `weft gateway`: a gateway proxy for as long as it runs, and the Service the mesh finds it by.

import { join } from 'node:path';
import type { MeshObject } from '@weft/mesh-core/model';
import { createControlClient } from './control-client.ts';
import { findEnvoy } from './envoy.ts';
import { StartError } from './errors.ts';
import { isFree, openPortBook } from './ports.ts';
import { openStateDirectory } from './state-directory.ts';
import { startProxy } from './start-proxy.ts';
import { STOP_SIGNALS } from './stop-signals.ts';
import { withGrant } from './workload.ts';

/** How long peers may take to take notice. */
const FINISH_MS = 5_000;

export interface GatewayPort {
  name: string;
  /** Of the Service, and of Gateway objects. */
  port: number;
  /** Where the proxy listens for it. */
  listen: number;
}

export interface GatewayOptions {
  server: string;
  name: string;
  namespace: string;
  /** Of the Gateway API, whose proxy this is. */
  gateway?: string;
  labels: Readonly<Record<string, string>>;
  /** None, and a Gateway named: those of its listeners. */
  ports: readonly GatewayPort[];
  proxy: 'embedded' | 'envoy';
  portBase: number;
  stateDir: string;
}

/** Runs until a signal comes. */
export async function runGateway(asked: GatewayOptions, log: (line: string) => void): Promise<void> {
  const client = createControlClient(asked.server, `weft gateway ${asked.name}`);
  const found = asked.ports.length === 0 && asked.gateway !== undefined ? await portsOf(client, asked.namespace, asked.gateway) : undefined;
  const options = { ...asked, ports: found ?? asked.ports };
  const { name, namespace } = options;
  const binary = options.proxy === 'envoy' ? findEnvoy(process.env) : undefined;
  for (const { name: port, port: number, listen } of options.ports)
    if (found === undefined && !(await isFree(listen)))
      throw new StartError(
        'WEFT_PORT_TAKEN',
        `cannot listen on 127.0.0.1:${listen}, it is taken or needs root: write another one, like --port ${port}:${number}:${21_000 + (number % 1_000)}`,
      );
  openStateDirectory(options.stateDir);
  const ports = openPortBook(
    join(options.stateDir, 'ports'),
    options.portBase,
    options.ports.map((p) => p.listen),
  );
  // Nobody asked for these numbers: others will do where they are taken.
  if (found !== undefined) options.ports = await withFreePorts(found, (p) => ports.allocate(`${name}.${namespace}/${p}`));
  const adminPort = await ports.allocate(`${name}.${namespace}/admin`);
  const labels = gatewayLabels(options);
  const spec = await withGrant(
    {
      ...{ workload: name, namespace, serviceAccount: name, labels, adminPort, role: 'router', httpProxyPort: 0, upstreams: [] },
      inbound: options.ports.map(({ name: port, port: servicePort, listen }) => ({ name: port, servicePort, listenPort: listen, appPort: listen })),
      stateDir: join(options.stateDir, 'proxies'),
    },
    client,
  );
  const proxy = await startProxy({ name: `gateway-${name}.${namespace}`, spec, binary, secondAdminPort: undefined, stateDir: options.stateDir, client, log });
  const objects = gatewayObjects(options, await client.list('Service', namespace));
  try {
    const stopped = new Promise<void>((resolve) => {
      for (const name of STOP_SIGNALS) process.once(name, () => resolve());
    });
    if (objects.length > 0) await client.apply(objects, `weft gateway ${name}`);
    log(
      [
        `gateway ${name}.${namespace} is in the mesh`,
        ...(options.gateway === undefined ? [] : [`it is the proxy of Gateway ${options.gateway}`]),
        ...(Object.keys(options.labels).length === 0 ? [] : [`Gateways find it by ${labelText(options.labels)}`]),
        ...options.ports.map((p) => `port ${p.port} is at 127.0.0.1:${p.listen}`),
      ].join('; '),
    );
    await stopped;
    for (const { kind, metadata } of objects.toReversed()) await client.remove({ kind, namespace, name: metadata.name });
    if (objects.length > 0) await client.untilAcknowledged(FINISH_MS);
  } finally {
    await proxy.stop();
  }
}

function labelText(labels: GatewayOptions['labels']): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ');
}

interface Listeners {
  listeners?: readonly { name: string; port: number }[];
}

async function portsOf(client: ReturnType<typeof createControlClient>, namespace: string, gateway: string): Promise<GatewayPort[]> {
  const gateways = await client.list('KubernetesGateway', namespace);
  const found = gateways.find((g) => g.metadata.name === gateway)?.spec as Listeners | undefined;
  if (found === undefined) {
    const there = gateways.length === 0 ? 'there is none' : `there is ${gateways.map((g) => g.metadata.name).join(', ')}`;
    throw new StartError(
      'WEFT_USAGE',
      `namespace ${namespace} has no Gateway ${gateway} of the Gateway API (${there}): apply it first, or name its ports with --port`,
    );
  }
  return listenerPorts(found.listeners ?? []);
}

/** One for each number. Those that need root are listened for at others. */
export function listenerPorts(listeners: NonNullable<Listeners['listeners']>): GatewayPort[] {
  return listeners
    .filter(({ port }, i) => listeners.findIndex((l) => l.port === port) === i)
    .map(({ name, port }) => ({ name, port, listen: port < 1024 ? 21_000 + port : port }));
}

async function withFreePorts(ports: readonly GatewayPort[], allocate: (name: string) => Promise<number>): Promise<GatewayPort[]> {
  const free: GatewayPort[] = [];
  for (const port of ports) free.push((await isFree(port.listen)) ? port : { ...port, listen: await allocate(port.name) });
  return free;
}

/** Gateways of the Gateway API find their proxies by name. */
const GATEWAY_NAME = 'gateway.networking.k8s.io/gateway-name';

function gatewayLabels({ name, gateway, labels }: Pick<GatewayOptions, 'name' | 'gateway' | 'labels'>): Record<string, string> {
  return {
    [GATEWAY_NAME]: gateway ?? name,
    app: name,
    version: 'v1',
    'service.istio.io/canonical-name': name,
    'service.istio.io/canonical-revision': 'v1',
    ...labels,
  };
}

/** The Service and the endpoint behind it, none without ports; a Service that somebody has made stays as it is. As Istio's gateways it is spoken to as its Gateways say, not by the mesh's mutual TLS. */
export function gatewayObjects(
  { name, namespace, gateway, labels, ports }: Pick<GatewayOptions, 'name' | 'namespace' | 'gateway' | 'labels' | 'ports'>,
  services: readonly MeshObject[],
): MeshObject[] {
  if (ports.length === 0) return [];
  const metadata = { name, namespace };
  const service = { selector: { app: name }, ports: ports.map(({ name: port, port: number }) => ({ name: port, port: number })) };
  const entry = {
    address: '127.0.0.1',
    ports: Object.fromEntries(ports.map((p) => [p.name, p.listen])),
    labels: gatewayLabels({ name, labels, ...(gateway === undefined ? {} : { gateway }) }),
    serviceAccount: name,
  };
  const made = services.some((s) => s.metadata.name === name && s.metadata.namespace === namespace);
  return [
    ...(made ? [] : [{ apiVersion: 'v1', kind: 'Service', metadata, spec: service }]),
    { apiVersion: 'networking.istio.io/v1', kind: 'WorkloadEntry', metadata, spec: entry },
  ];
}

// `weft gateway`: a gateway proxy for as long as it runs, and the Service the mesh finds it by.

import { join } from 'node:path';
import type { MeshObject } from '@weft/mesh-core/model';
import { createControlClient } from './control-client.ts';
import { findEnvoy } from './envoy.ts';
import { StartError } from './errors.ts';
import { isFree, openPortBook } from './ports.ts';
import { startProxy } from './start-proxy.ts';
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
  labels: Readonly<Record<string, string>>;
  ports: readonly GatewayPort[];
  proxy: 'embedded' | 'envoy';
  portBase: number;
  stateDir: string;
}

/** Runs until a signal comes. */
export async function runGateway(options: GatewayOptions, log: (line: string) => void): Promise<void> {
  const { name, namespace } = options;
  const binary = options.proxy === 'envoy' ? findEnvoy(process.env) : undefined;
  for (const { name: port, port: number, listen } of options.ports)
    if (!(await isFree(listen)))
      throw new StartError(
        'WEFT_PORT_TAKEN',
        `cannot listen on 127.0.0.1:${listen}, it is taken or needs root: write another one, like --port ${port}:${number}:${21_000 + (number % 1_000)}`,
      );
  const client = createControlClient(options.server, `weft gateway ${name}`);
  const ports = openPortBook(
    join(options.stateDir, 'ports.json'),
    options.portBase,
    options.ports.map((p) => p.listen),
  );
  const adminPort = await ports.allocate(`${name}.${namespace}/admin`);
  ports.save();
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
      process.once('SIGINT', () => resolve());
      process.once('SIGTERM', () => resolve());
    });
    if (objects.length > 0) await client.apply(objects, `weft gateway ${name}`);
    log(
      `gateway ${name}.${namespace} is in the mesh; Gateways find it by ${Object.entries(options.labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(', ')}`,
    );
    await stopped;
    for (const { kind, metadata } of objects.toReversed()) await client.remove({ kind, namespace, name: metadata.name });
    if (objects.length > 0) await client.untilAcknowledged(FINISH_MS);
  } finally {
    await proxy.stop();
  }
}

function gatewayLabels({ name, labels }: Pick<GatewayOptions, 'name' | 'labels'>): Record<string, string> {
  return { app: name, version: 'v1', 'service.istio.io/canonical-name': name, 'service.istio.io/canonical-revision': 'v1', ...labels };
}

/** The Service and the endpoint behind it, none without ports; a Service that somebody has made stays as it is. As Istio's gateways it is spoken to as its Gateways say, not by the mesh's mutual TLS. */
export function gatewayObjects(
  { name, namespace, labels, ports }: Pick<GatewayOptions, 'name' | 'namespace' | 'labels' | 'ports'>,
  services: readonly MeshObject[],
): MeshObject[] {
  if (ports.length === 0) return [];
  const metadata = { name, namespace };
  const service = { selector: { app: name }, ports: ports.map(({ name: port, port: number }) => ({ name: port, port: number })) };
  const entry = {
    address: '127.0.0.1',
    ports: Object.fromEntries(ports.map((p) => [p.name, p.listen])),
    labels: gatewayLabels({ name, labels }),
    serviceAccount: name,
  };
  const made = services.some((s) => s.metadata.name === name && s.metadata.namespace === namespace);
  return [
    ...(made ? [] : [{ apiVersion: 'v1', kind: 'Service', metadata, spec: service }]),
    { apiVersion: 'networking.istio.io/v1', kind: 'WorkloadEntry', metadata, spec: entry },
  ];
}

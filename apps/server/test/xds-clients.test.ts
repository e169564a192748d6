// Other implementations as the judges: gRPC's own xDS clients (JavaScript and C core, state of the world) and stock Envoy (delta)
// take our configuration and split real calls by it, follow its live shift, refuse a bad cluster with words and keep what they
// had, and take the correction.

import { spawn, spawnSync } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, Server, ServerCredentials, credentials } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ClusterSchema, Cluster_LbPolicy } from '@weft/mesh-core/gen/envoy/config/cluster/v3/cluster_pb';
import { ConfigSourceSchema } from '@weft/mesh-core/gen/envoy/config/core/v3/config_source_pb';
import type { MeshObject } from '@weft/mesh-core/model';
import { buildMesh, proxyClass, translate } from '@weft/mesh-core/translate';
import type { Mesh } from '@weft/mesh-core/translate';
import { TYPE_URL } from '@weft/mesh-core/xds';
import type { Resource } from '@weft/mesh-core/xds';
import type { Translator } from '../src/control-plane/snapshots.ts';
import { startHarness, until } from '../src/control-plane/testing/harness.ts';
import { envoyBinary, startEnvoy } from './clients/envoy.ts';
import { freePort } from '../src/proxy/listener/testing/free-port.ts';

const pass = (bytes: Buffer): Buffer => bytes;
const METHOD = '/test.Echo/WhoAreYou';
const HOST = 'reviews.bookinfo.svc.cluster.local';
const CALLS = 400;

/** While set, every cluster is sent with what one or the other client must refuse: a ring of at least more than at most, load reports to another server. */
let poisoned = false;
const translator: Translator<Mesh> = {
  buildMesh,
  proxyClass,
  translate: (mesh, node, settings) => {
    const set = translate(mesh, node, settings);
    if (!poisoned) return set;
    return {
      ...set,
      [TYPE_URL.cluster]: new Map([...set[TYPE_URL.cluster]].map(([name, resource]) => [name, name.startsWith('outbound') ? spoiled(resource) : resource])),
    };
  },
};

let harness: Awaited<ReturnType<typeof startHarness>>;
const closers: (() => unknown)[] = [];

beforeEach(async () => {
  poisoned = false;
  harness = await startHarness({ translate: translator });
});
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
  await harness.close();
});

interface XdsClient {
  /** Answers of so many calls, by version of the service. */
  count(calls: number): Promise<Record<string, number>>;
}

test('grpc-js-xds', async () => {
  const ports = { v1: await grpcBackend('v1'), v2: await grpcBackend('v2') };
  // Read by grpc-js-xds when it makes its first client.
  process.env['GRPC_XDS_BOOTSTRAP_CONFIG'] = grpcBootstrap();
  const { register } = await import('@grpc/grpc-js-xds');
  register();
  await holds('grpc', ports, 'sotw', async () => {
    const client = new Client(`xds:///${HOST}:9080`, credentials.createInsecure());
    closers.push(() => {
      client.close();
      delete process.env['GRPC_XDS_BOOTSTRAP_CONFIG'];
    });
    const call = (): Promise<string> =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(METHOD, pass, pass, Buffer.alloc(0), { deadline: Date.now() + 10_000 }, (error, reply) =>
          error === null ? resolve(reply?.toString() ?? '') : reject(error),
        );
      });
    return { count: async (calls) => tally(calls, call) };
  });
});

test('gRPC C core', async (context) => {
  const python = grpcPython();
  if (python === undefined) return context.skip('no python3 with grpcio (Debian: python3-grpcio) is here');
  const ports = { v1: await grpcBackend('v1'), v2: await grpcBackend('v2') };
  await holds('grpc', ports, 'sotw', async () => {
    const child = spawn(python, [join(import.meta.dirname, 'clients/grpc-core.py'), `${HOST}:9080`, METHOD], {
      stdio: ['pipe', 'pipe', 'inherit'],
      // Between calls the library looks at its xDS stream every 5 s only, unless told.
      env: { ...process.env, GRPC_XDS_BOOTSTRAP_CONFIG: grpcBootstrap(), GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS: '20', GRPC_VERBOSITY: 'NONE' },
    });
    closers.push(() => child.kill('SIGKILL'));
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    return {
      count: async (calls) => {
        child.stdin.write(`${calls}\n`);
        const { value } = await lines.next();
        if (value === undefined) throw new Error('the client ended');
        return JSON.parse(value) as Record<string, number>;
      },
    };
  });
});

test('stock Envoy', async (context) => {
  const binary = envoyBinary();
  if (binary === undefined) return context.skip('no Envoy is here: npm test installs one');
  const ports = { v1: await httpBackend('v1'), v2: await httpBackend('v2') };
  const listenPort = await freePort();
  await holds('http', ports, 'delta', async () => {
    const envoy = await startEnvoy({ binary, ca: harness.ca, xdsPort: harness.plane.ports().tls, upstream: { host: HOST, port: 9080, listenPort } });
    closers.push(envoy.stop);
    const call = async (): Promise<string> => {
      const answer = await fetch(`http://127.0.0.1:${listenPort}/`);
      if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
      return answer.text();
    };
    const ready = async (): Promise<void> => {
      for (const end = performance.now() + 10_000; performance.now() < end; await new Promise((resolve) => setTimeout(resolve, 20)))
        if ((await call().catch(() => '')) !== '') return;
      throw new Error('Envoy does not answer');
    };
    await ready();
    return { count: (calls) => tally(calls, call) };
  });
});

/** What every client must do. */
async function holds(protocol: 'grpc' | 'http', ports: { v1: number; v2: number }, dialect: 'sotw' | 'delta', start: () => Promise<XdsClient>): Promise<void> {
  await harness.put(service(protocol), workload('v1', protocol, ports.v1), workload('v2', protocol, ports.v2), destinationRule(), split(90, 10));
  const client = await start();
  const settled = (revision: string) =>
    until(() => {
      const spread = harness.plane.propagation(revision);
      return spread === undefined || spread.proxies.some((p) => p.state === 'pending' || p.state === 'sent') ? undefined : spread;
    });

  // Three standard deviations of 400 calls: 18 at 90 %, 24 at 80 %; and a little for a client that starts over.
  const first = await client.count(CALLS);
  expect(first['v1'] ?? 0).toBeGreaterThan(340 - 1);
  expect(first['v2'] ?? 0).toBeGreaterThan(10);
  expect(harness.plane.proxies()).toMatchObject([{ protocol: dialect, state: 'synced' }]);

  const { proxies } = await settled((await harness.put(split(20, 80))).revision);
  expect(proxies).toMatchObject([{ state: 'acked', types: ['route'] }]);
  const shifted = (await client.count(CALLS))['v1'] ?? 0;
  expect(shifted).toBeGreaterThan(80 - 32);
  expect(shifted).toBeLessThan(80 + 32);

  // The route of the same edit waits for clusters that are not new: it goes on beside the refusal.
  poisoned = true;
  const refused = await settled((await harness.put(split(50, 50))).revision);
  expect(refused.proxies).toMatchObject([{ state: 'nacked' }]);
  expect(refused.proxies[0]?.error).toMatch(/ring|lrs/i);
  expect(harness.plane.proxies()).toMatchObject([{ state: 'nacked' }]);
  expect(Object.values(await client.count(100)).reduce((sum, n) => sum + n, 0)).toBe(100);

  poisoned = false;
  await settled((await harness.put(split(0, 100))).revision);
  await until(() => harness.plane.proxies()[0]?.state === 'synced');
  expect(await client.count(100)).toEqual({ v2: 100 });
  if (protocol === 'http') return;
  // gRPC's clients tell every second what they sent where; the calls of the split are all there in the end.
  await until(() => harness.plane.loads().reduce((sum, row) => sum + row.succeeded, 0) >= 2 * CALLS);
  expect(new Set(harness.plane.loads().map((row) => row.cluster))).toEqual(new Set(['v1', 'v2'].map((v) => `outbound|9080|${v}|${HOST}`)));
}

function spoiled(resource: Resource): Resource {
  const cluster = fromBinary(ClusterSchema, resource.body);
  cluster.lbPolicy = Cluster_LbPolicy.RING_HASH;
  cluster.lrsServer = create(ConfigSourceSchema, { configSourceSpecifier: { case: 'path', value: '/nowhere' } });
  const bad = { minimumRingSize: 10n, maximumRingSize: 5n };
  const body = toBinary(ClusterSchema, {
    ...cluster,
    lbConfig: { case: 'ringHashLbConfig', value: { $typeName: 'envoy.config.cluster.v3.Cluster.RingHashLbConfig', hashFunction: 0, ...bad } },
  });
  return { ...resource, version: `bad ${resource.version}`, body };
}

function grpcBootstrap(): string {
  return JSON.stringify({
    xds_servers: [{ server_uri: `127.0.0.1:${harness.plane.ports().plain}`, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] }],
    node: { id: 'grpc-client', locality: {}, metadata: { NAMESPACE: 'bookinfo', WORKLOAD_NAME: 'grpc-client' } },
  });
}

/** A python3 that has grpcio; undefined when there is none. */
function grpcPython(): string | undefined {
  return [process.env['GRPC_PYTHON_BIN'] ?? '', '/usr/bin/python3', 'python3'].find(
    (path) => path !== '' && spawnSync(path, ['-c', 'import grpc']).status === 0,
  );
}

async function tally(calls: number, call: () => Promise<string>): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < calls / 20; i += 1) for (const answer of await Promise.all(Array.from({ length: 20 }, call))) counts[answer] = (counts[answer] ?? 0) + 1;
  return counts;
}

function grpcBackend(version: string): Promise<number> {
  const server = new Server();
  closers.push(() => server.forceShutdown());
  server.addService(
    {
      WhoAreYou: {
        path: METHOD,
        requestStream: false,
        responseStream: false,
        requestSerialize: pass,
        requestDeserialize: pass,
        responseSerialize: pass,
        responseDeserialize: pass,
      },
    },
    { WhoAreYou: (_: unknown, callback: (error: null, reply: Buffer) => void) => callback(null, Buffer.from(version)) },
  );
  return new Promise((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => (error === null ? resolve(port) : reject(error))),
  );
}

async function httpBackend(version: string): Promise<number> {
  const server = createServer((_, response) => response.end(version));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return listen(server);
}

function listen(server: ReturnType<typeof createServer>): Promise<number> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)));
}

function service(protocol: string): MeshObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'reviews', namespace: 'bookinfo' },
    spec: { selector: { app: 'reviews' }, ports: [{ name: protocol, port: 9080, targetPort: protocol }] },
  };
}

function workload(version: string, protocol: string, port: number): MeshObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadEntry',
    metadata: { name: `reviews-${version}`, namespace: 'bookinfo' },
    spec: { address: '127.0.0.1', ports: { [protocol]: port }, labels: { app: 'reviews', version }, serviceAccount: 'reviews' },
  };
}

function destinationRule(): MeshObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: { name: 'reviews', namespace: 'bookinfo' },
    spec: { host: 'reviews', subsets: ['v1', 'v2'].map((version) => ({ name: version, labels: { version } })) },
  };
}

function split(v1: number, v2: number): MeshObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'reviews', namespace: 'bookinfo' },
    spec: {
      hosts: ['reviews'],
      http: [
        {
          route: [
            { destination: { host: 'reviews', subset: 'v1' }, weight: v1 },
            { destination: { host: 'reviews', subset: 'v2' }, weight: v2 },
          ],
        },
      ],
    },
  };
}

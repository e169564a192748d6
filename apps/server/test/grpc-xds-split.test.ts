// A second implementation as the judge: gRPC's own xDS client takes our configuration and splits real calls by it.

import { Client, Server, ServerCredentials, credentials } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { MeshObject } from '@weft/mesh-core/model';
import { startHarness, until } from '../src/control-plane/testing/harness.ts';

const pass = (bytes: Buffer): Buffer => bytes;
const METHOD = '/test.Echo/WhoAreYou';
const HOST = 'reviews.bookinfo.svc.cluster.local';
const CALLS = 400;

let harness: Awaited<ReturnType<typeof startHarness>>;
let backends: Server[] = [];

beforeEach(async () => {
  harness = await startHarness({ realTranslator: true });
});
afterEach(async () => {
  for (const backend of backends) backend.forceShutdown();
  backends = [];
  await harness.close();
});

test('grpc-js-xds sees 90/10 and follows the live shift to 20/80', async () => {
  const ports = { v1: await startBackend('v1'), v2: await startBackend('v2') };
  await harness.put(service(), workload('v1', ports.v1), workload('v2', ports.v2), destinationRule(), split(90, 10));

  // Read by grpc-js-xds when it makes its first client.
  process.env['GRPC_XDS_BOOTSTRAP_CONFIG'] = JSON.stringify({
    xds_servers: [{ server_uri: `127.0.0.1:${harness.plane.ports().plain}`, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] }],
    node: { id: 'grpc-client', locality: {}, metadata: { NAMESPACE: 'bookinfo', WORKLOAD_NAME: 'grpc-client' } },
  });
  const { register } = await import('@grpc/grpc-js-xds');
  register();
  const client = new Client(`xds:///${HOST}:9080`, credentials.createInsecure());
  try {
    // Three standard deviations of 400 calls: 18 at 90 %, 24 at 80 %.
    expect(await countV1(client)).toBeGreaterThan(340 - 1);
    const [proxy] = harness.plane.proxies();
    expect(proxy).toMatchObject({ dataPlane: 'grpc', protocol: 'sotw' });
    expect(harness.plane.configDump('grpc-client')).toMatchObject({ route: [{ name: `${HOST}:9080` }] });

    const { revision } = await harness.put(split(20, 80));
    const { proxies } = await until(() => {
      const spread = harness.plane.propagation(revision);
      return spread?.completeMs === undefined ? undefined : spread;
    });
    expect(proxies).toMatchObject([{ state: 'acked', types: ['route'] }]);
    const shifted = await countV1(client);
    expect(shifted).toBeGreaterThan(80 - 32);
    expect(shifted).toBeLessThan(80 + 32);
  } finally {
    client.close();
    delete process.env['GRPC_XDS_BOOTSTRAP_CONFIG'];
  }
});

async function startBackend(version: string): Promise<number> {
  const server = new Server();
  backends.push(server);
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

async function countV1(client: Client): Promise<number> {
  const call = (): Promise<string> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(METHOD, pass, pass, Buffer.alloc(0), { deadline: Date.now() + 10_000 }, (error, reply) =>
        error === null ? resolve(reply?.toString() ?? '') : reject(error),
      );
    });
  const answers: string[] = [];
  for (let i = 0; i < CALLS / 20; i += 1) answers.push(...(await Promise.all(Array.from({ length: 20 }, call))));
  expect(new Set(answers)).toEqual(new Set(['v1', 'v2']));
  return answers.filter((a) => a === 'v1').length;
}

function service(): MeshObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'reviews', namespace: 'bookinfo' },
    spec: { selector: { app: 'reviews' }, ports: [{ name: 'grpc', port: 9080, targetPort: 'grpc' }] },
  };
}

function workload(version: string, port: number): MeshObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadEntry',
    metadata: { name: `reviews-${version}`, namespace: 'bookinfo' },
    spec: { address: '127.0.0.1', ports: { grpc: port }, labels: { app: 'reviews', version }, serviceAccount: 'reviews' },
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

import { type Server, createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { type Server as TcpServer, createServer as createTcpServer } from 'node:net';
import { type JsonObject, fromJson, toBinary } from '@bufbuild/protobuf';
import { ClusterSchema } from '@weft/mesh-core/gen/envoy/config/cluster/v3/cluster_pb';
import { registry } from '@weft/mesh-core/translate';
import { expect, onTestFinished, test } from 'vitest';
import { decodeCluster } from '../../config/decode.ts';
import type { LoadAssignment } from '../../config/model.ts';
import { listening } from '../../listener/testing/app.ts';
import { type Rig, exchangeRaw, startRig } from '../../listener/testing/rig.ts';

const cluster = (healthCheck: JsonObject, ports: readonly number[], more: JsonObject = {}) =>
  decodeCluster(
    toBinary(
      ClusterSchema,
      fromJson(
        ClusterSchema,
        {
          name: 'app',
          healthChecks: [{ timeout: '2s', interval: '0.02s', noTrafficInterval: '0.02s', unhealthyThreshold: 2, healthyThreshold: 2, ...healthCheck }],
          commonLbConfig: { healthyPanicThreshold: { value: 0 } },
          loadAssignment: {
            clusterName: 'app',
            endpoints: [{ lbEndpoints: ports.map((portValue) => ({ endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue } } } })) }],
          },
          ...more,
        },
        { registry },
      ),
    ),
    'app',
  );

async function rigOf(...args: Parameters<typeof cluster>): Promise<{ rig: Rig; health: () => string[] }> {
  const rig = await startRig({ clusters: [cluster(...args)] });
  onTestFinished(() => rig.close());
  return { rig, health: () => (rig.runtime.stats().clusters[0]?.endpoints ?? []).map(({ checked }) => (checked?.failed === true ? 'unhealthy' : 'unknown')) };
}

const ask = async (rig: Rig): Promise<string> => (await exchangeRaw(rig.port, 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n')).split(' ')[1] ?? '';

test('HTTP: nothing is sent before the first check passes; bad answers take a host out, good ones bring it back', async () => {
  let status = 200;
  const paths: string[] = [];
  const server: Server = createServer((request, response) => {
    if (request.url === '/health')
      paths.push(`${request.method ?? ''} ${request.headers.host ?? ''} ${String(request.headers['x-probe'])} ${request.headers['user-agent'] ?? ''}`);
    response.statusCode = request.url === '/health' ? status : 200;
    response.end();
  });
  const port = await listening(server);
  const requestHeadersToAdd = [{ header: { key: 'x-probe', value: '1' } }];
  const { rig, health } = await rigOf({ httpHealthCheck: { path: '/health', requestHeadersToAdd } }, [port]);
  expect(await ask(rig)).toBe('503');
  await expect.poll(health).toEqual(['unknown']);
  expect(await ask(rig)).toBe('200');
  expect(paths[0]).toBe('GET app 1 Envoy/HC');
  status = 500;
  await expect.poll(health).toEqual(['unhealthy']);
  expect(await ask(rig)).toBe('503');
  status = 200;
  await expect.poll(() => ask(rig)).toBe('200');
});

test('HTTP: statuses expected and retriable, a port of its own', async () => {
  let status = 204;
  const checks = await listening(createServer((_, response) => response.writeHead(status).end()));
  const expectedStatuses = [{ start: 200, end: 205 }];
  const { health } = await rigOf({ altPort: checks, httpHealthCheck: { path: '/', expectedStatuses, retriableStatuses: [{ start: 503, end: 504 }] } }, [1]);
  await expect.poll(health).toEqual(['unknown']);
  status = 503;
  await expect.poll(health).toEqual(['unhealthy']);
});

test('TCP: a connection is enough, or the pieces asked for', async () => {
  const silent = await listening(createTcpServer((socket) => socket.on('error', () => socket.destroy())));
  const talking = await listening(
    createTcpServer((socket) => {
      // A check that is over may reset its connection.
      socket.on('error', () => socket.destroy());
      socket.on('data', (chunk) => socket.write(chunk.toString() === 'PING' ? '+PO' : 'what?')).on('data', () => socket.write('NG\r\n'));
    }),
  );
  const connected = await rigOf({ tcpHealthCheck: {} }, [silent, 1]);
  await expect.poll(connected.health).toEqual(['unknown', 'unhealthy']);
  const text = (value: string): JsonObject => ({ text: Buffer.from(value).toString('hex') });
  const pieces = await rigOf({ timeout: '0.1s', tcpHealthCheck: { send: text('PING'), receive: [text('+'), text('PONG')] } }, [talking, silent]);
  await expect.poll(pieces.health).toEqual(['unhealthy', 'unhealthy']);
  const fitting = await rigOf({ timeout: '0.1s', tcpHealthCheck: { send: text('PING'), receive: [text('PO'), text('NG')] } }, [talking, silent]);
  await expect.poll(fitting.health).toEqual(['unknown', 'unhealthy']);
});

test('gRPC: SERVING is healthy, anything else is not', async () => {
  let serving = 1;
  const asked: string[] = [];
  const server = createHttp2Server();
  server.on('stream', (stream, headers) => {
    let body = Buffer.alloc(0);
    // A check that is over resets its connection.
    stream.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => (body = Buffer.concat([body, chunk])));
    stream.on('end', () => {
      asked.push(`${String(headers[':path'])} ${body.subarray(7).toString()}`);
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, serving]));
    });
  });
  const { health } = await rigOf({ grpcHealthCheck: { serviceName: 'db' } }, [await listening(server as unknown as TcpServer)]);
  await expect.poll(health).toEqual(['unknown']);
  expect(asked[0]).toBe('/grpc.health.v1.Health/Check db');
  serving = 2;
  await expect.poll(health).toEqual(['unhealthy']);
});

test('an ejected host that passes a check is let back', async () => {
  let broken = true;
  const server = createServer((request, response) => response.writeHead(request.url === '/health' || !broken ? 200 : 500).end());
  const outlierDetection = { consecutive5xx: 1, maxEjectionPercent: 100, enforcingSuccessRate: 0 };
  const { rig } = await rigOf({ interval: '0.3s', noTrafficInterval: '0.3s', httpHealthCheck: { path: '/health' } }, [await listening(server)], {
    outlierDetection,
  });
  const ejected = (): boolean => rig.runtime.stats().clusters[0]?.endpoints[0]?.ejected ?? false;
  await expect.poll(() => ask(rig)).toBe('500');
  expect(ejected()).toBe(true);
  broken = false;
  await expect.poll(ejected).toBe(false);
});

const assignment = (ports: readonly number[]): LoadAssignment => ({
  clusterName: 'app',
  overprovisioning: 140,
  weightedPriorityHealth: false,
  localities: ports.map((port) => ({
    ...{ region: '', zone: `zone-${port}`, subZone: '', priority: 0, weight: 0 },
    endpoints: [{ address: '127.0.0.1', port, hostname: '', weight: 1, health: 'unknown', metadata: {} }],
  })),
});

test.each([
  [false, 'stays until it fails'],
  [true, 'goes at once'],
])('a host that discovery drops while its checks pass, ignoring health %s: %s', async (ignoreHealthOnHostRemoval) => {
  let status = 200;
  const port = await listening(createServer((_, response) => response.writeHead(status).end()));
  const other = await listening(createServer((_, response) => response.writeHead(200).end()));
  const { rig } = await rigOf({ httpHealthCheck: { path: '/' } }, [], { type: 'EDS', loadAssignment: null, ignoreHealthOnHostRemoval });
  const hosts = (): string[] =>
    (rig.runtime.stats().clusters[0]?.endpoints ?? []).map(({ address, checked }) => `${address} ${checked?.failed === true ? 'unhealthy' : 'unknown'}`);
  rig.runtime.applyEndpoints(assignment([port, other]));
  const both = [`127.0.0.1:${port} unknown`, `127.0.0.1:${other} unknown`];
  await expect.poll(hosts).toEqual(both);
  rig.runtime.applyEndpoints(assignment([other]));
  expect(hosts()).toEqual(ignoreHealthOnHostRemoval ? both.slice(1) : both);
  if (ignoreHealthOnHostRemoval) return;
  rig.runtime.applyEndpoints(assignment([]));
  expect(hosts()).toEqual(both);
  expect(await ask(rig)).toBe('200');
  // Named again, dropped again: the same host.
  rig.runtime.applyEndpoints(assignment([port, other]));
  rig.runtime.applyEndpoints(assignment([other]));
  status = 503;
  await expect.poll(hosts).toEqual(both.slice(1));
  expect(await ask(rig)).toBe('200');
});

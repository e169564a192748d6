// The agent around a stock Envoy: its credential renewed under a running connection, a crash, a stop without loss.
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type Server, createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MeshObject } from '@weft/mesh-core/model';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Child } from '../src/agent/child.ts';
import { findEnvoy, startEnvoy } from '../src/agent/envoy.ts';
import { parseIstioStats } from '../src/agent/envoy-stats.ts';
import { startHarness } from '../src/control-plane/testing/harness.ts';
import type { ProxySpec } from '../src/proxy/config/proxy-spec.ts';
import { hit, startClients } from './testing/clients.ts';

let binary: string | undefined;
try {
  binary = findEnvoy(process.env);
} catch (error) {
  console.warn(`skipped: ${(error as Error).message}`);
}
const available = binary !== undefined;

let mesh: Awaited<ReturnType<typeof startHarness>>;
let dir: string;
let backend: Server;
let tcpPort: number;
const echo = createTcpServer((socket) => socket.pipe(socket));
let envoy: Child;
let url: string;
let adminPort: number;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: free } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return free;
}

beforeAll(async () => {
  if (binary === undefined) return;
  dir = mkdtempSync(join(tmpdir(), 'weft-envoy-'));
  mesh = await startHarness({ realTranslator: true });
  backend = createServer((_, response) => setTimeout(() => response.end('hello'), 5)).listen(0, '127.0.0.1');
  await once(backend, 'listening');
  const port = await freePort();
  tcpPort = await freePort();
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  url = `http://127.0.0.1:${port}/`;
  adminPort = await freePort();
  const object = (kind: string, apiVersion: string, name: string, spec: unknown): MeshObject => ({
    apiVersion,
    kind,
    metadata: { name, namespace: 'a' },
    spec,
  });
  await mesh.put(
    object('Service', 'v1', 'backend', { selector: { app: 'backend' }, ports: [{ name: 'http', port: 80 }] }),
    object('WorkloadEntry', 'networking.istio.io/v1', 'backend-1', {
      address: '127.0.0.1',
      ports: { http: (backend.address() as AddressInfo).port },
      labels: { app: 'backend' },
    }),
    object('Service', 'v1', 'echo', { selector: { app: 'echo' }, ports: [{ name: 'tcp', port: 7 }] }),
    object('WorkloadEntry', 'networking.istio.io/v1', 'echo-1', {
      address: '127.0.0.1',
      ports: { tcp: (echo.address() as AddressInfo).port },
      labels: { app: 'echo' },
    }),
  );
  const spec: ProxySpec = {
    ...{
      workload: 'client',
      namespace: 'a',
      serviceAccount: 'client',
      trustDomain: 'cluster.local',
      meshId: 'test',
      role: 'sidecar',
      labels: { app: 'client' },
    },
    ip: '127.0.0.1',
    httpProxyPort: 0,
    inbound: [],
    upstreams: [
      { host: 'backend.a.svc.cluster.local', port: 80, listenPort: port },
      { host: 'echo.a.svc.cluster.local', port: 7, listenPort: tcpPort },
    ],
    adminPort,
    xdsAddress: `127.0.0.1:${mesh.plane.ports().tls}`,
    rootCaPem: mesh.ca.rootCaPem,
    joinToken: mesh.ca.issueJoinToken({ namespace: 'a', workload: 'client', serviceAccount: 'client' }),
    // Renewed every second: half of it has passed by then.
    certificateTtlSec: 2,
    otlpEndpoint: 'http://127.0.0.1:9',
    stateDir: join(dir, 'state'),
  };
  envoy = await startEnvoy({ spec, binary, dir: join(dir, 'envoy'), logFile: join(dir, 'envoy.log'), log: () => undefined });
  await vi.waitFor(async () => expect(await hit(url)).toBe('ok'), 10_000);
}, 30_000);

afterAll(async () => {
  await envoy?.stop();
  backend?.closeAllConnections();
  backend?.close();
  echo.close();
  await mesh?.close();
  if (dir !== undefined) rmSync(dir, { recursive: true, force: true });
});

/** Serials of all certificates Envoy holds. */
async function serialsInEnvoy(): Promise<string[]> {
  const answer = (await (await fetch(`http://127.0.0.1:${adminPort}/certs`)).json()) as { certificates: { cert_chain?: { serial_number: string }[] }[] };
  return answer.certificates.flatMap((c) => c.cert_chain ?? []).map((c) => c.serial_number.replace(/^0+/, ''));
}

function serialOnDisk(): string {
  const { resources } = JSON.parse(readFileSync(join(dir, 'envoy/xds.sds.json'), 'utf8')) as {
    resources: { tls_certificate: { certificate_chain: { inline_string: string } } }[];
  };
  return new X509Certificate(resources[0]?.tls_certificate.certificate_chain.inline_string ?? '').serialNumber.replace(/^0+/, '').toLowerCase();
}

test.skipIf(!available)('the xDS credential is renewed at half life and taken over without a restart or a new stream', async () => {
  const first = serialOnDisk();
  const { pid } = envoy;
  await expect.poll(serialOnDisk, { timeout: 10_000 }).not.toBe(first);
  await expect.poll(async () => (await serialsInEnvoy()).includes(serialOnDisk()), { timeout: 10_000 }).toBe(true);
  expect(envoy.pid).toBe(pid);
  expect(mesh.plane.proxies().map((p) => p.state)).toEqual(['synced']);
});

test.skipIf(!available)('TCP connections are counted when they open and when they end', async () => {
  const tcp = async (): Promise<Record<string, number>> => {
    const text = await (await fetch(`http://127.0.0.1:${adminPort}/stats/prometheus`)).text();
    const points = parseIstioStats(text, 0, 0).flatMap(({ name, points: all }) =>
      all.map((p) => ({ name, value: p.value ?? 0, to: p.attributes['destination_workload'] })),
    );
    return Object.fromEntries(points.filter((p) => p.to === 'echo-1').map((p) => [p.name, p.value]));
  };
  const socket = connect(tcpPort, '127.0.0.1');
  socket.write('12345');
  await once(socket, 'data');
  await expect.poll(tcp).toEqual({ istio_tcp_connections_opened_total: 1 });
  socket.end();
  await expect.poll(tcp).toEqual({
    istio_tcp_connections_opened_total: 1,
    istio_tcp_connections_closed_total: 1,
    istio_tcp_sent_bytes_total: 5,
    istio_tcp_received_bytes_total: 5,
  });
});

test.skipIf(!available)('a crashed Envoy is started again', { timeout: 30_000 }, async () => {
  const { pid } = envoy;
  if (pid === undefined) throw new Error('no process');
  process.kill(pid, 'SIGKILL');
  const start = performance.now();
  await expect.poll(async () => envoy.pid !== pid && (await hit(url)) === 'ok', { timeout: 15_000, interval: 10 }).toBe(true);
  console.info(`Envoy killed: next success after ${(performance.now() - start).toFixed(0)} ms`);
});

test.skipIf(!available)('a stop loses no request, on kept and on new connections', { timeout: 30_000 }, async () => {
  const clients = startClients(url, { count: 8, untilRefused: true });
  await expect.poll(() => clients.seen.ok).toBeGreaterThan(100);
  await envoy.stop();
  await clients.refused;
  console.info('stopped', clients.seen);
  expect(clients.seen.broken).toBe(0);
});

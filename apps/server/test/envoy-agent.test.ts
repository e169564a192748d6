// The agent around a stock Envoy: its credential renewed under a running connection, a crash, a stop without loss.
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, type IncomingMessage, createServer, get } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import type { Child } from '../src/agent/child.ts';
import { findEnvoy, startEnvoy } from '../src/agent/envoy.ts';
import type { ControlClient } from '../src/agent/control-client.ts';
import { startProxy } from '../src/agent/start-proxy.ts';
import { parseIstioStats } from '../src/agent/envoy-stats.ts';
import type { ProxySpec } from '../src/proxy/config/proxy-spec.ts';
import { freePort } from '../src/proxy/listener/testing/free-port.ts';
import { type ClientMesh, putService, startClientMesh } from './testing/client-mesh.ts';
import { hit, startClients } from './testing/clients.ts';

let binary: string | undefined;
try {
  binary = findEnvoy(process.env);
} catch (error) {
  console.warn(`skipped: ${(error as Error).message}`);
}
const available = binary !== undefined;

let client: ClientMesh;
let tcpPort: number;
const echo = createTcpServer((socket) => socket.pipe(socket));
let envoy: Child;
let adminPort: number;

beforeAll(async () => {
  if (binary === undefined) return;
  client = await startClientMesh(5);
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  await putService(client.mesh, 'echo', { name: 'tcp', port: 7, target: (echo.address() as AddressInfo).port });
  tcpPort = await freePort();
  adminPort = await freePort();
  const spec: ProxySpec = {
    ...client.spec,
    upstreams: [...client.spec.upstreams, { host: 'echo.a.svc.cluster.local', port: 7, listenPort: tcpPort }],
    adminPort,
    // Renewed every second: half of it has passed by then.
    certificateTtlSec: 2,
  };
  envoy = await startEnvoy({ spec, binary, dir: join(client.dir, 'envoy'), logFile: join(client.dir, 'envoy.log'), log: () => undefined });
  await vi.waitFor(async () => expect(await hit(client.url)).toBe('ok'), 10_000);
}, 30_000);

afterAll(async () => {
  await envoy?.stop();
  echo.close();
  await client?.close();
});

/** Serials of all certificates Envoy holds. */
async function serialsInEnvoy(): Promise<string[]> {
  const answer = (await (await fetch(`http://127.0.0.1:${adminPort}/certs`)).json()) as { certificates: { cert_chain?: { serial_number: string }[] }[] };
  return answer.certificates.flatMap((c) => c.cert_chain ?? []).map((c) => c.serial_number.replace(/^0+/, ''));
}

function serialOnDisk(): string {
  const { resources } = JSON.parse(readFileSync(join(client.dir, 'envoy/xds.sds.json'), 'utf8')) as {
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
  expect(client.mesh.plane.proxies().map((p) => p.state)).toEqual(['synced']);
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

test.skipIf(!available)('a kept connection ends with the first response after its listener changed', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  const answered = async (): Promise<string | undefined> => {
    const asking = get(client.url, { agent });
    const [response] = (await once(asking, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    return response.headers.connection;
  };
  const updates = async (): Promise<number> =>
    Number((await (await fetch(`http://127.0.0.1:${adminPort}/stats?filter=^listener_manager.listener_in_place_updated`)).text()).split(': ')[1]);
  expect(await answered()).not.toBe('close');
  const before = await updates();
  const object = { apiVersion: 'telemetry.istio.io/v1', kind: 'Telemetry', metadata: { name: 'log', namespace: 'a' } };
  await client.mesh.put({ ...object, spec: { accessLogging: [{ providers: [{ name: 'envoy' }] }] } });
  await expect.poll(updates, { timeout: 10_000 }).toBeGreaterThan(before);
  expect(await answered()).toBe('close');
});

test.skipIf(!available)('a crashed Envoy is started again', { timeout: 30_000 }, async () => {
  const { pid } = envoy;
  if (pid === undefined) throw new Error('no process');
  process.kill(pid, 'SIGKILL');
  const start = performance.now();
  await expect.poll(async () => envoy.pid !== pid && (await hit(client.url)) === 'ok', { timeout: 15_000, interval: 10 }).toBe(true);
  console.info(`Envoy killed: next success after ${(performance.now() - start).toFixed(0)} ms`);
});

test.skipIf(!available)('a stop loses no request, on kept and on new connections', { timeout: 30_000 }, async () => {
  const admin = `http://127.0.0.1:${adminPort}`;
  const pausing = new Agent({ keepAlive: true, maxSockets: 1 });
  expect(await hit(client.url, pausing)).toBe('ok');
  const clients = startClients(client.url, { count: 8, untilRefused: true });
  await expect.poll(() => clients.seen.ok).toBeGreaterThan(100);
  const stopped = envoy.stop();
  await clients.refused;
  // Nobody new is let in, but who has a connection and has not heard of the end yet is still answered, some looks of the agent later.
  const looks = async (): Promise<number> => Number((await (await fetch(`${admin}/stats?filter=^http.admin.downstream_rq_total`)).text()).split(': ')[1]);
  const then = await looks();
  await expect.poll(looks).toBeGreaterThan(then + 6);
  expect(await hit(client.url, pausing)).toBe('ok');
  pausing.destroy();
  await stopped;
  console.info('stopped', clients.seen);
  expect(clients.seen.broken).toBe(0);
});

test.skipIf(!available)('of a pair one may crash at a time: nobody is refused', { timeout: 60_000 }, async () => {
  const pairMesh = await startClientMesh(5);
  onTestFinished(() => pairMesh.close());
  const ports = [await freePort(), await freePort()] as const;
  const spec = { ...pairMesh.spec, adminPort: ports[0] };
  const files = { dir: join(pairMesh.dir, 'envoy'), logFile: join(pairMesh.dir, 'envoy.log') };
  const pair = await startEnvoy({ spec, secondAdminPort: ports[1], binary: binary ?? '', ...files, log: () => undefined });
  onTestFinished(() => pair.stop());
  const synced = (): string[] =>
    pairMesh.mesh.plane
      .proxies()
      .filter((p) => p.state === 'synced')
      .map((p) => p.id.split('~')[2] ?? '');
  await expect.poll(synced, { timeout: 10_000 }).toEqual(expect.arrayContaining(['client.a', 'client-second.a']));
  const clients = startClients(pairMesh.url, { count: 8, untilRefused: false });
  await expect.poll(() => clients.seen.ok).toBeGreaterThan(100);
  for (let round = 0; round < 3; round++) {
    const { pid } = pair;
    if (pid === undefined) throw new Error('no process');
    process.kill(pid, 'SIGKILL');
    await expect.poll(async () => pair.pid !== pid && (await isLive(ports[0])), { timeout: 15_000 }).toBe(true);
  }
  await clients.stop();
  console.info('one of a pair killed 3 times', clients.seen);
  expect(clients.seen.refused).toBe(0);
});

async function isLive(port: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${port}/ready`).catch(() => undefined);
  return answer?.status === 200;
}

/** Starts one more Envoy of the same mesh, as `weft run` does. */
function startAnother(spec: ProxySpec): ReturnType<typeof startProxy> {
  const control = { getJson: () => Promise.resolve({ items: [] }), list: () => Promise.resolve([]) } as unknown as ControlClient;
  return startProxy({ name: 'another', spec, binary, secondAdminPort: undefined, stateDir: client.dir, client: control, log: () => undefined });
}

test.skipIf(!available)('an Envoy whose admin port another Envoy has did not start, whatever that one answers, and leaves it alone', async () => {
  const asked: (string | undefined)[] = [];
  const other = createServer((request, response) => {
    asked.push(request.url);
    response.end(request.url === '/ready' ? 'LIVE\n' : JSON.stringify({ state: 'LIVE', command_line_options: { base_id: '0' } }));
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void other.close());
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  await expect(startAnother({ ...client.spec, workload: 'late', adminPort: port, upstreams: [] })).rejects.toThrow(
    new RegExp(`^envoy of late ended with 1: .*cannot bind '127\\.0\\.0\\.1:${port}'.*Its log: .*another\\.log$`),
  );
  expect([...new Set(asked)]).toEqual(['/server_info']);
});

test.skipIf(!available)('an Envoy that cannot open a listener is told with the reason', async () => {
  const taken = createTcpServer().listen(0, '127.0.0.1');
  onTestFinished(() => void taken.close());
  await once(taken, 'listening');
  const { port: listenPort } = taken.address() as AddressInfo;
  const upstreams = [{ host: 'echo.a.svc.cluster.local', port: 7, listenPort }];
  const spec = { ...client.spec, workload: 'late', adminPort: await freePort(), upstreams };
  await expect(startAnother(spec)).rejects.toThrow(new RegExp(`the proxy of late does not serve: .*cannot bind '127\\.0\\.0\\.1:${listenPort}'`));
});

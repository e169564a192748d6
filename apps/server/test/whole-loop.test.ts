// The whole loop as a user has it: `weft up`, requests across two sidecars, weights moved, the server killed.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EDGE_COLUMNS, type GraphSnapshot, type ProxyStatus, type TrafficSplit } from '@weft/mesh-core/api';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startClients } from './testing/clients.ts';

const root = join(import.meta.dirname, '../../..');
const built = existsSync(join(root, 'apps/server/dist/cli/main.js'));
if (!built) console.warn('skipped: the server is not compiled; run "npm run build"');

const PORTS = {
  '--port': 20_201,
  '--xds-port': 15_210,
  '--xds-tls-port': 15_212,
  '--otlp-grpc-port': 14_417,
  '--otlp-http-port': 14_418,
  '--gateway-port': 18_180,
  '--port-base': 24_000,
};
const url = `http://127.0.0.1:${PORTS['--port']}`;
let home: string;
let mesh: ChildProcess;
let output = '';
let control: string;

const api = async <T>(path: string, init?: RequestInit): Promise<T> => (await fetch(`${url}${path}`, init)).json() as Promise<T>;
const received = async (): Promise<Record<string, number>> => (await fetch(`${control}/received`)).json() as Promise<Record<string, number>>;
const load = async (): Promise<{ sent: number; failed: number }> => (await fetch(control)).json() as Promise<{ sent: number; failed: number }>;
const setLoad = (rps: number): Promise<Response> => fetch(control, { method: 'PUT', body: JSON.stringify({ rps }) });
const setWeights = async (weights: Record<string, number>): Promise<void> => {
  const { resourceVersion } = await api<TrafficSplit>('/api/v1/traffic-split/bookinfo/reviews');
  const response = await fetch(`${url}/api/v1/traffic-split/bookinfo/reviews`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ weights, resourceVersion }),
  });
  expect(response.status).toBe(200);
};

beforeAll(async () => {
  if (!built) return;
  home = mkdtempSync(join(tmpdir(), 'weft-loop-'));
  mesh = spawn(process.execPath, [join(root, 'apps/server/bin/weft.mjs'), 'up', ...Object.entries(PORTS).flatMap(([flag, port]) => [flag, String(port)])], {
    env: { ...process.env, WEFT_HOME: home },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group of its own, as a shell makes one for a command.
    detached: true,
  });
  await new Promise<void>((resolve, reject) => {
    const see = (chunk: Buffer): void => {
      output += chunk.toString('utf8');
      if (output.includes('Weft is running')) resolve();
    };
    mesh.stdout?.on('data', see);
    mesh.stderr?.on('data', see);
    mesh.once('exit', (code) => reject(new Error(`weft up ended with ${code}: ${output}`)));
  });
  const demo = JSON.parse(readFileSync(join(home, 'run/demo.json'), 'utf8')) as { load: { controlPort: number } };
  control = `http://127.0.0.1:${demo.load.controlPort}`;
}, 90_000);

afterAll(async () => {
  if (mesh?.exitCode === null) {
    mesh.kill('SIGINT');
    await once(mesh, 'exit');
  }
  if (home !== undefined) rmSync(home, { recursive: true, force: true });
}, 30_000);

test.skipIf(!built)('the graph shows the demo: every hop over mutual TLS, every proxy in step', async () => {
  await expect
    .poll(
      async () => {
        const graph = await api<GraphSnapshot>('/api/v1/graph?windowSec=10');
        return graph.edges
          .filter((_, i) => (graph.edgeRows[i]?.[EDGE_COLUMNS.indexOf('rps')] ?? 0) > 0 && graph.edgeRows[i]?.[EDGE_COLUMNS.indexOf('mtls')] === 1)
          .map((e) => e.id);
      },
      { timeout: 15_000 },
    )
    .toEqual(
      expect.arrayContaining([
        'gw:ingress/ingressgateway>wl:bookinfo/productpage-v1:http',
        'wl:bookinfo/productpage-v1>svc:bookinfo/reviews:http',
        'svc:bookinfo/reviews>wl:bookinfo/reviews-v1:http',
        'wl:bookinfo/reviews-v2>wl:bookinfo/ratings-v1:http',
      ]),
    );
  const { items } = await api<{ items: ProxyStatus[] }>('/api/v1/proxies');
  expect(items.map((p) => p.state)).toEqual(Array.from({ length: 7 }, () => 'synced'));
  const page = await fetch(`http://127.0.0.1:${PORTS['--gateway-port']}/productpage`);
  expect(page.status).toBe(200);
  expect(await page.text()).toContain('The Comedy of Errors');
});

test.skipIf(!built)('50/50 is within 5 points at the backends', { timeout: 40_000 }, async () => {
  await setLoad(200);
  await setWeights({ v1: 50, v2: 50 });
  await expect.poll(async () => (await api<TrafficSplit>('/api/v1/traffic-split/bookinfo/reviews')).propagation?.completeMs, { timeout: 5_000 }).toBeDefined();
  const before = await received();
  const gained = (now: Record<string, number>, name: string): number => (now[name] ?? 0) - (before[name] ?? 0);
  await expect
    .poll(
      async () => {
        const now = await received();
        return gained(now, 'reviews-v1') + gained(now, 'reviews-v2');
      },
      { timeout: 15_000 },
    )
    .toBeGreaterThan(800);
  const now = await received();
  const total = gained(now, 'reviews-v1') + gained(now, 'reviews-v2');
  expect(Math.abs((100 * gained(now, 'reviews-v2')) / total - 50)).toBeLessThanOrEqual(5);
});

test.skipIf(!built)('200 changes of weights under load lose no request', { timeout: 60_000 }, async () => {
  const before = await load();
  for (let i = 0; i < 200; i += 1) await setWeights({ v1: 99 - (i % 99), v2: 1 + (i % 99) });
  const changed = await load();
  await expect.poll(async () => (await load()).sent, { timeout: 10_000 }).toBeGreaterThan(changed.sent + 200);
  const after = await load();
  expect(after.failed - before.failed).toBe(0);
  expect(after.sent - before.sent).toBeGreaterThan(200);
});

test.skipIf(!built)('with the server killed again and again no request is lost, and the graph resumes', { timeout: 60_000 }, async () => {
  const before = await load();
  const startedAt = (await api<{ serverId: string }>('/api/v1/status')).serverId;
  const pidFile = join(home, 'run/server.pid');
  for (let kills = 0; kills < 5;) {
    const pid = Number(readFileSync(pidFile, 'utf8'));
    process.kill(pid, 'SIGKILL');
    kills += 1;
    await expect.poll(() => Number(readFileSync(pidFile, 'utf8')), { timeout: 20_000 }).not.toBe(pid);
  }
  await expect
    .poll(async () => (await api<{ serverId: string }>('/api/v1/status').catch(() => ({ serverId: startedAt }))).serverId, { timeout: 30_000 })
    .not.toBe(startedAt);
  await expect
    .poll(
      async () => {
        const g = await api<GraphSnapshot>('/api/v1/graph?windowSec=5');
        return g.edgeRows.some((r) => (r[0] ?? 0) > 10);
      },
      { timeout: 20_000 },
    )
    .toBe(true);
  const after = await load();
  expect(after.failed - before.failed).toBe(0);
  expect(after.sent - before.sent).toBeGreaterThan(500);
});

test.skipIf(!built)('a killed demo comes back with the load it had', { timeout: 40_000 }, async () => {
  await setLoad(30);
  process.kill(Number(readFileSync(join(home, 'run/demo.pid'), 'utf8')), 'SIGKILL');
  await expect.poll(async () => (await api<{ rps: number }>('/api/v1/load')).rps, { timeout: 20_000 }).toBe(30);
  await expect.poll(async () => (await load().catch(() => undefined))?.sent ?? 0, { timeout: 20_000 }).toBeGreaterThan(20);
});

test.skipIf(!built)('Ctrl-C loses no request, on kept and on new connections', { timeout: 40_000 }, async () => {
  await setLoad(20);
  output = '';
  const clients = startClients(`http://127.0.0.1:${PORTS['--gateway-port']}/productpage`, { count: 8, untilRefused: true });
  await expect.poll(() => clients.seen.ok, { timeout: 20_000 }).toBeGreaterThan(50);
  // The terminal sends it to every process of the group.
  process.kill(-(mesh.pid ?? 0), 'SIGINT');
  await once(mesh, 'exit');
  await clients.refused;
  expect(clients.seen.broken).toBe(0);
  expect(output).toBe('');
});

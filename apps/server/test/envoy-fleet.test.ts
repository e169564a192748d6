// The demo on embedded proxies, on stock Envoy, and mixed: the same graph, the same labels, the same access log; the split holds.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EDGE_COLUMNS, type GraphSnapshot, type ProxyStatus, type TrafficSplit } from '@weft/mesh-core/api';
import { afterAll, expect, test } from 'vitest';
import { findEnvoy } from '../src/agent/envoy.ts';
import { parseIstioStats } from '../src/agent/envoy-stats.ts';
import type { ProxySpec } from '../src/proxy/config/proxy-spec.ts';
import { startClients } from './testing/clients.ts';

const root = join(import.meta.dirname, '../../..');
let available = existsSync(join(root, 'apps/server/dist/cli/main.js'));
if (!available) console.warn('skipped: the server is not compiled; run "npm run build"');
try {
  findEnvoy(process.env);
} catch (error) {
  console.warn(`skipped: ${(error as Error).message}`);
  available = false;
}

const PORTS = {
  '--port': 20_391,
  '--xds-port': 15_390,
  '--xds-tls-port': 15_392,
  '--otlp-grpc-port': 14_597,
  '--otlp-http-port': 14_598,
  '--gateway-port': 18_290,
  '--port-base': 28_000,
};
const url = `http://127.0.0.1:${PORTS['--port']}`;
const page = `http://127.0.0.1:${PORTS['--gateway-port']}/productpage`;
const home = mkdtempSync(join(tmpdir(), 'weft-fleet-'));
const logFile = join(home, 'access.log');
let mesh: ChildProcess | undefined;

async function start(...flags: string[]): Promise<void> {
  await stop();
  const args = [...Object.entries(PORTS).flatMap(([flag, port]) => [flag, String(port)]), '--access-log-file', logFile, ...flags];
  const child = spawn(process.execPath, [join(root, 'apps/server/bin/weft.mjs'), 'up', ...args], {
    env: { ...process.env, WEFT_HOME: home },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  mesh = child;
  await new Promise<void>((resolve, reject) => {
    let output = '';
    const see = (chunk: Buffer): void => {
      output += chunk.toString('utf8');
      if (output.includes('Weft is running')) resolve();
    };
    child.stdout.on('data', see);
    child.stderr.on('data', see);
    child.once('exit', (code) => reject(new Error(`weft up ended with ${code}: ${output}`)));
  });
}

async function stop(): Promise<void> {
  if (mesh?.exitCode === null) {
    mesh.kill('SIGTERM');
    await once(mesh, 'exit');
  }
}

afterAll(async () => {
  await stop();
  rmSync(home, { recursive: true, force: true });
}, 30_000);

const api = async <T>(path: string, init?: RequestInit): Promise<T> => (await fetch(`${url}${path}`, init)).json() as Promise<T>;

/** Edges with traffic, and whether it is mutual TLS. */
async function edges(): Promise<string[]> {
  const graph = await api<GraphSnapshot>('/api/v1/graph?windowSec=10');
  const column = (i: number, name: (typeof EDGE_COLUMNS)[number]): number => graph.edgeRows[i]?.[EDGE_COLUMNS.indexOf(name)] ?? 0;
  return graph.edges.flatMap((e, i) => (column(i, 'rps') > 0 && column(i, 'p95') > 0 ? [`${e.id} mtls=${column(i, 'mtls')}`] : [])).toSorted();
}

const EDGES = 6;

/** Label sets of requests answered with 200, and the histograms that go with them, of every proxy. */
async function labels(): Promise<string[]> {
  const run = join(home, 'run');
  const embedded = existsSync(join(run, 'proxies.json'))
    ? (JSON.parse(readFileSync(join(run, 'proxies.json'), 'utf8')) as ProxySpec[]).map((s) => s.adminPort)
    : [];
  const envoys = readdirSync(run)
    .filter((name) => name.startsWith('envoy-'))
    .map(
      (name) =>
        (JSON.parse(readFileSync(join(run, name, 'bootstrap.json'), 'utf8')) as { admin: { address: { socket_address: { port_value: number } } } }).admin
          .address.socket_address.port_value,
    );
  const texts = await Promise.all(
    [...embedded, ...envoys].map((port) =>
      fetch(`http://127.0.0.1:${port}/stats/prometheus`).then(
        (r) => r.text(),
        () => '',
      ),
    ),
  );
  const sets = texts.flatMap((text) =>
    parseIstioStats(text.replaceAll(/^istio_/gm, 'envoy_istio_'), 0, 0).flatMap(({ name, points }) =>
      points.flatMap((p) =>
        p.attributes['response_code'] === '200' ? [`${name} ${JSON.stringify(p.attributes)}${'bounds' in p ? ` ${p.bounds.join()}` : ''}`] : [],
      ),
    ),
  );
  return [...new Set(sets)].toSorted();
}

/** How often the demo's services were called. */
async function received(): Promise<Record<string, number>> {
  const demo = JSON.parse(readFileSync(join(home, 'run/demo.json'), 'utf8')) as { load: { controlPort: number } };
  return (await fetch(`http://127.0.0.1:${demo.load.controlPort}/received`)).json() as Promise<Record<string, number>>;
}

/** Lines of the access log with their values taken out: what is left is which fields there are and where. */
function logShapes(text: string): string[] {
  const lines = text.split('\n').filter((line) => line.includes('"GET /'));
  return [...new Set(lines.map((line) => line.replaceAll(/"[^"]*"/g, '""').replaceAll(/[^\s"]+/g, 'x')))];
}

async function settled(): Promise<{ edges: string[]; labels: string[] }> {
  await expect.poll(async () => (await edges()).length, { timeout: 30_000 }).toBeGreaterThanOrEqual(EDGES);
  return { edges: await edges(), labels: await labels() };
}

let reference: { edges: string[]; labels: string[] };

test.skipIf(!available)('embedded, as the reference', { timeout: 60_000 }, async () => {
  await start();
  reference = await settled();
  expect(reference.edges).toHaveLength(EDGES);
});

test.skipIf(!available)('all on Envoy: the same edges and labels, all in step, and the split holds', { timeout: 90_000 }, async () => {
  const logged = readFileSync(logFile).length;
  await start('--data-plane', 'envoy');
  rmSync(join(home, 'run/proxies.json'));
  await expect.poll(edges, { timeout: 30_000 }).toEqual(reference.edges);
  expect(await labels()).toEqual(reference.labels);
  const { items } = await api<{ items: ProxyStatus[] }>('/api/v1/proxies');
  expect(items.map((p) => `${p.dataPlane} ${p.telemetry ?? ''} ${p.state}`)).toEqual(Array.from({ length: 7 }, () => 'envoy stats synced'));
  const split = await api<TrafficSplit>('/api/v1/traffic-split/bookinfo/reviews');
  await api('/api/v1/traffic-split/bookinfo/reviews', {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ weights: { v1: 50, v2: 50 }, resourceVersion: split.resourceVersion }),
  });
  await expect.poll(async () => (await api<TrafficSplit>('/api/v1/traffic-split/bookinfo/reviews')).propagation?.completeMs, { timeout: 10_000 }).toBeDefined();
  const before = await received();
  const gained = async (): Promise<{ v1: number; v2: number }> => {
    const counts = await received();
    return { v1: (counts['reviews-v1'] ?? 0) - (before['reviews-v1'] ?? 0), v2: (counts['reviews-v2'] ?? 0) - (before['reviews-v2'] ?? 0) };
  };
  const clients = startClients(page, { count: 8, untilRefused: false });
  await expect
    .poll(
      async () => {
        const { v1, v2 } = await gained();
        return v1 + v2;
      },
      { timeout: 40_000 },
    )
    .toBeGreaterThan(1_500);
  const { v1, v2 } = await gained();
  expect(Math.abs((100 * v2) / (v1 + v2) - 50)).toBeLessThanOrEqual(5);
  await clients.stop();
  expect(clients.seen.broken).toBe(0);
  // Both data planes write the same fields in the same places.
  const log = readFileSync(logFile, 'utf8');
  expect(logShapes(log.slice(logged))).toEqual(logShapes(log.slice(0, logged)));
});

test.skipIf(!available)('SIGTERM of an Envoy fleet loses no request', { timeout: 60_000 }, async () => {
  const clients = startClients(page, { count: 8, untilRefused: true });
  await expect.poll(() => clients.seen.ok, { timeout: 20_000 }).toBeGreaterThan(50);
  await stop();
  await clients.refused;
  expect(clients.seen.broken).toBe(0);
});

test.skipIf(!available)('mixed: Envoys between embedded proxies, mutual TLS both ways, counted by their gRPC access log', { timeout: 60_000 }, async () => {
  await start('--envoy', 'reviews-v2', 'ratings-v1', '--envoy-telemetry', 'als');
  await expect.poll(edges, { timeout: 30_000 }).toEqual(reference.edges);
  const { items } = await api<{ items: ProxyStatus[] }>('/api/v1/proxies');
  const envoys = items.filter((p) => p.dataPlane === 'envoy').map((p) => `${p.workload} ${p.telemetry ?? ''}`);
  expect(envoys.toSorted()).toEqual(['ratings-v1 als', 'reviews-v2 als']);
});

// kill -9 of the proxy process under load, as its supervisor sees it: nobody is refused, only what was in flight is lost, and
// the next process serves from the last good configuration with or without a control plane.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Child, startChild } from '../src/agent/child.ts';
import { PROXY_PROGRAM } from '../src/agent/proxy-flags.ts';
import { type ClientMesh, startClientMesh } from './testing/client-mesh.ts';
import { type Clients, startClients } from './testing/clients.ts';

const main = join(import.meta.dirname, '../dist', PROXY_PROGRAM);
const built = existsSync(main);
if (!built) console.warn('skipped: the server is not compiled; run "npm run build"');
/** `WEFT_CRASHES=30` for the long run. */
const CRASHES = Number(process.env['WEFT_CRASHES'] ?? 4);
const CLIENTS = 8;

let client: ClientMesh;
let proxy: Child;
let clients: Clients;

function lost(): number {
  return clients.seen.broken + clients.seen.unread;
}

async function kill(): Promise<{ lostAtMost: number; nextSuccessMs: number }> {
  const { pid } = proxy;
  if (pid === undefined) throw new Error('no process');
  const lostAtMost = clients.seen.inFlight;
  const { ok } = clients.seen;
  process.kill(pid, 'SIGKILL');
  const start = performance.now();
  // What is answered after the kill was on its way already; only a new process can answer more than that.
  await expect.poll(() => proxy.pid !== pid && clients.seen.ok > ok + 3 * CLIENTS, { timeout: 10_000, interval: 5 }).toBe(true);
  return { lostAtMost, nextSuccessMs: performance.now() - start };
}

beforeAll(async () => {
  if (!built) return;
  client = await startClientMesh(2);
  const { dir, spec } = client;
  writeFileSync(join(dir, 'specs.json'), JSON.stringify([spec]));
  proxy = startChild({
    name: 'proxy',
    command: process.execPath,
    args: [main, join(dir, 'specs.json')],
    logFile: join(dir, 'proxy.log'),
    readyLine: (line) => line.startsWith('{"ready"'),
    keepSockets: true,
  });
  await proxy.ready();
  // The last good configuration is written a moment after it is applied.
  await vi.waitFor(() => expect(existsSync(join(dir, 'state/client.a.xds.json'))).toBe(true), 5_000);
  clients = startClients(client.url, { count: CLIENTS, untilRefused: false });
  await vi.waitFor(() => expect(clients.seen.ok).toBeGreaterThan(100), 5_000);
}, 30_000);

afterAll(async () => {
  await clients?.stop();
  await proxy?.stop();
  await client?.close().catch(() => undefined);
});

test.skipIf(!built)('kill -9 again and again: no connection is refused, only requests in flight are lost', { timeout: 120_000 }, async () => {
  let lostAtMost = 0;
  let slowest = 0;
  for (let i = 0; i < CRASHES; i += 1) {
    const crash = await kill();
    lostAtMost += crash.lostAtMost;
    slowest = Math.max(slowest, crash.nextSuccessMs);
  }
  console.info(
    `${CRASHES} crashes: ${clients.seen.ok} answered, ${lost()} lost (at most ${lostAtMost} were in flight), ${clients.seen.refused} refused, slowest next success ${slowest.toFixed(0)} ms`,
  );
  expect(clients.seen.refused).toBe(0);
  expect(lost()).toBeLessThanOrEqual(lostAtMost);
});

test.skipIf(!built)('with the control plane gone the next process serves what the last one served', { timeout: 30_000 }, async () => {
  await client.mesh.plane.stop();
  const before = lost();
  const { lostAtMost, nextSuccessMs } = await kill();
  console.info(`without a control plane: next success after ${nextSuccessMs.toFixed(0)} ms`);
  expect(clients.seen.refused).toBe(0);
  expect(lost() - before).toBeLessThanOrEqual(lostAtMost);
  expect(readFileSync(join(client.dir, 'proxy.log'), 'utf8')).toContain('serving the configuration of the last run');
});

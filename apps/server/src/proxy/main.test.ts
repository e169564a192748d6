// The program itself: its ready line, a port it cannot have, its ways to end.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startHarness } from '../control-plane/testing/harness.ts';
import type { ProxySpec } from './config/proxy-spec.ts';
import { freePort } from './listener/testing/free-port.ts';

let mesh: Awaited<ReturnType<typeof startHarness>>;
let dir: string;
const taken = createServer();

beforeAll(async () => {
  mesh = await startHarness({ realTranslator: true });
  dir = await mkdtemp(join(tmpdir(), 'weft-main-'));
  taken.listen(0, '127.0.0.1');
  await once(taken, 'listening');
});
afterAll(async () => {
  taken.close();
  await mesh.close();
  await rm(dir, { recursive: true });
});

function specOf(workload: string, httpProxyPort: number): ProxySpec {
  return {
    workload,
    namespace: 'a',
    serviceAccount: workload,
    trustDomain: 'cluster.local',
    meshId: 'test',
    role: 'sidecar',
    labels: { app: workload },
    ip: '127.0.0.1',
    httpProxyPort,
    inbound: [],
    upstreams: [],
    adminPort: 0,
    xdsAddress: `127.0.0.1:${mesh.plane.ports().tls}`,
    rootCaPem: mesh.ca.rootCaPem,
    joinToken: mesh.ca.issueJoinToken({ namespace: 'a', workload, serviceAccount: workload }),
    otlpEndpoint: 'http://127.0.0.1:9',
    stateDir: '',
  };
}

async function run(specs: ProxySpec[]): Promise<{ child: ChildProcess; line: string }> {
  const file = join(dir, 'specs.json');
  await writeFile(file, JSON.stringify(specs));
  const main = fileURLToPath(new URL('main.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=source', '--import', 'tsx', main, file], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  if (child.stdout === null) throw new Error('no stdout');
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { child, line };
}

test('it says which proxies serve and which cannot, and ends on SIGTERM', async () => {
  const { child, line } = await run([specOf('good', await freePort()), specOf('bad', (taken.address() as AddressInfo).port)]);
  const result = JSON.parse(line) as { ready: string[]; failed: { name: string; reason: string }[] };
  expect(line.startsWith('{"ready"')).toBe(true);
  expect(result.ready).toEqual(['good.a']);
  expect(result.failed).toEqual([{ name: 'bad.a', reason: expect.stringContaining('http_proxy') as string }]);
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
}, 20_000);

test('it takes a new list of proxies over IPC and ends when its supervisor is gone', async () => {
  const one = specOf('one', await freePort());
  const { child, line } = await run([one]);
  expect(JSON.parse(line)).toEqual({ ready: ['one.a'], failed: [] });
  const next = child.stdout === null ? undefined : once(createInterface(child.stdout), 'line');
  child.send({ specs: [one, specOf('two', await freePort())] });
  const [again] = (await next) as [string];
  expect((JSON.parse(again) as { ready: string[] }).ready.toSorted()).toEqual(['one.a', 'two.a']);
  child.disconnect();
  expect(await once(child, 'exit')).toEqual([0, null]);
}, 20_000);

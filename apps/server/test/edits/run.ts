// Edits of a live mesh under traffic: whatever changes, no request to what is served before and after goes wrong, on either data plane.

import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type MeshObject, refKey, refOf } from '@weft/mesh-core/model';
import { findEnvoy, startEnvoy } from '../../src/agent/envoy.ts';
import type { WriteOp } from '../../src/config-store/config-store.ts';
import { startHarness } from '../../src/control-plane/testing/harness.ts';
import type { ProxySpec } from '../../src/proxy/config/proxy-spec.ts';
import { createProxyRuntime } from '../../src/proxy/http/runtime.ts';
import { startProxy } from '../../src/proxy/instance.ts';
import { freePort } from '../../src/proxy/listener/testing/free-port.ts';
import { validObjects } from '../behaviour/random/parts.ts';
import { PLANES } from '../planes/planes.ts';
import { STABLE, VERSIONS, WEB, type Worlds } from './worlds.ts';

type Plane = (typeof PLANES)[number];

/** Where one client's sidecar listens. */
interface Client {
  plane: Plane;
  web: number;
  stable: number;
  proxy: number;
}

const ANSWER_WITHIN_MS = 60_000;
/** Certificates are renewed at half of it, while edits go on. */
const SECRET_TTL_MS = 20_000;
/** Streams end and come back all the time. */
const CONNECTION_AGE_MS = 1_500;
const LOG = '%START_TIME% %RESPONSE_CODE% %RESPONSE_FLAGS% %UPSTREAM_CLUSTER% %UPSTREAM_HOST% %RESPONSE_CODE_DETAILS%\n';

/** What went wrong, a text each; and how many requests were answered. */
export async function runEdits(worlds: Worlds): Promise<{ problems: string[]; answered: number }> {
  const dir = mkdtempSync(join(tmpdir(), 'weft-edits-'));
  const stops: (() => unknown)[] = [() => rmSync(dir, { recursive: true, force: true })];
  try {
    return await run(worlds, dir, stops);
  } finally {
    for (const stop of stops.toReversed()) await stop();
  }
}

async function run(worlds: Worlds, dir: string, stops: (() => unknown)[]): Promise<{ problems: string[]; answered: number }> {
  const accessLogFile = join(dir, 'access.log');
  const mesh = await startHarness({
    realTranslator: true,
    secretTtlMs: SECRET_TTL_MS,
    maxConnectionAgeMs: CONNECTION_AGE_MS,
    settings: { accessLogFile, accessLogFormat: LOG },
  });
  stops.push(() => mesh.close());
  const apps = new Map<string, number>();
  for (const name of [...VERSIONS, 'stable']) {
    const app = createServer({ keepAliveTimeout: 0 }, (asked, answer) => asked.resume().on('end', () => answer.end(name)));
    await once(app.listen(0, '127.0.0.1'), 'listening');
    apps.set(name, (app.address() as AddressInfo).port);
    stops.push(() => (app.closeAllConnections(), app.close()));
  }
  const sidecars = new Map([
    ['v1', await freePort()],
    ['v2', await freePort()],
  ]);
  const portOf = (name: string): number => sidecars.get(name) ?? apps.get(name) ?? 0;
  const objectsOf = (i: number): MeshObject[] =>
    validObjects(worlds[i] ?? [], (json) => json.replaceAll(/"\$PORT\((\w+)\)"/g, (_, name: string) => String(portOf(name))));

  const start = async (plane: Plane, workload: string, changes: Partial<ProxySpec>): Promise<void> => {
    const spec: ProxySpec = {
      ...{ workload, namespace: 'shop', serviceAccount: workload, trustDomain: 'cluster.local', meshId: 'edits', role: 'sidecar' as const, ip: '127.0.0.1' },
      ...{ labels: {}, httpProxyPort: 0, inbound: [], upstreams: [], adminPort: plane === 'envoy' ? await freePort() : 0, stateDir: '' },
      ...{ xdsAddress: `127.0.0.1:${mesh.plane.ports().tls}`, rootCaPem: mesh.ca.rootCaPem, otlpEndpoint: 'http://127.0.0.1:9' },
      joinToken: mesh.ca.issueJoinToken({ namespace: 'shop', workload, serviceAccount: workload }),
      ...changes,
    };
    if (plane === 'envoy') {
      const files = { dir: join(dir, workload), logFile: join(dir, `${workload}.log`) };
      const child = await startEnvoy({ spec, binary: findEnvoy(process.env), ...files, log: () => undefined });
      stops.push(() => child.stop(2_000));
    } else {
      const proxy = await startProxy(spec, { createRuntime: createProxyRuntime, log: () => undefined });
      stops.push(() => proxy.drain(200));
      await proxy.ready;
    }
  };

  const problems: string[] = [];
  let now = new Map<string, MeshObject>();
  /** Brings the store to this world in one commit; answers its revision. */
  const edit = async (next: readonly MeshObject[]): Promise<string> => {
    const wanted = new Map(next.map((object) => [refKey(refOf(object)), object]));
    const changed = [...wanted].filter(([key, object]) => !isDeepStrictEqual(now.get(key)?.spec, object.spec));
    const gone = [...now].filter(([key]) => !wanted.has(key));
    now = wanted;
    const puts = changed.map(([, object]): WriteOp => ({ op: 'put', object }));
    return (await mesh.store.write([...puts, ...gone.map(([, object]): WriteOp => ({ op: 'delete', ref: refOf(object) }))], { actor: 'edits' })).revision;
  };
  const settled = async (revision: string): Promise<void> => {
    for (const end = performance.now() + ANSWER_WITHIN_MS; performance.now() < end;) {
      const spread = mesh.plane.propagation(revision);
      problems.push(...(spread?.proxies ?? []).flatMap((p) => (p.state === 'nacked' ? [`${p.workload} refused revision ${revision}: ${p.error}`] : [])));
      if (spread === undefined || spread.completeMs !== undefined) return;
      await pause(5);
    }
    problems.push(`not all have answered for revision ${revision}`);
  };

  await edit(objectsOf(0));
  const server = (plane: Plane, version: string): Promise<void> =>
    start(plane, `web-${version}`, {
      labels: { app: 'web', version },
      inbound: [{ name: 'http', servicePort: 80, listenPort: portOf(version), appPort: apps.get(version) ?? 0 }],
    });
  await server('embedded', 'v1');
  await server(PLANES.at(-1) ?? 'embedded', 'v2');
  const clients: Client[] = [];
  for (const plane of PLANES) {
    const client = { plane, web: await freePort(), stable: await freePort(), proxy: await freePort() };
    const upstreams = [
      { host: WEB, port: 80, listenPort: client.web },
      { host: STABLE, port: 80, listenPort: client.stable },
    ];
    await start(plane, `client-${plane}`, { labels: { app: 'client' }, httpProxyPort: client.proxy, upstreams });
    clients.push(client);
  }

  let step = 0;
  let answered = 0;
  let running = true;
  const worker = async ({ plane }: Client, port: number, host: string): Promise<void> => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let n = 0; running; n++) {
      const since = step;
      const told = await ask(agent, port, host, n);
      if (told === '200') answered++;
      else problems.push(`${plane} to ${host}, edits ${since} to ${step}: ${told}`);
      await pause(2);
    }
    agent.destroy();
  };
  const workers = clients.flatMap((client) => [
    ...[worker(client, client.web, WEB), worker(client, client.web, WEB), worker(client, client.proxy, WEB)],
    worker(client, client.stable, STABLE),
  ]);
  for (step = 1; step < worlds.length; step++) {
    const revision = await edit(objectsOf(step));
    // Every other edit comes before the one before it has reached everybody.
    if (step % 2 === 0) await settled(revision);
    else await pause(step % 5);
  }
  await pause(100);
  running = false;
  await Promise.all(workers);
  if (problems.length === 0) return { problems, answered };
  await pause(1_000);
  return {
    problems: [
      ...problems,
      ...readFileSync(accessLogFile, 'utf8')
        .split('\n')
        .filter((line) => / 5\d\d /.test(line)),
    ],
    answered,
  };
}

/** The status, or why there is none. */
function ask(agent: Agent, port: number, host: string, n: number): Promise<string> {
  return new Promise((resolve) => {
    const body = n % 5 === 0 ? 'x'.repeat(1_000) : '';
    const headers = { host, ...(n % 2 === 0 ? { 'x-user': 'a' } : {}), ...(body === '' ? {} : { 'content-length': body.length }) };
    const asked = request({ port, agent, headers, method: body === '' ? 'GET' : 'POST', path: n % 3 === 0 ? '/api/x' : '/' }, (answer) => {
      answer.resume().on('end', () => resolve(String(answer.statusCode)));
      answer.on('error', (error) => resolve(error.message));
    });
    asked.on('error', (error) => resolve(error.message));
    asked.end(body);
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

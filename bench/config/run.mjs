// What a large mesh costs the whole server: first apply, edits by the CLI's and the console's ways, lists, a start, deletes; with a
// console that listens and a few proxies. Prints for each step its time and the longest turn of the server's event loop meanwhile.
//   npm run build && node bench/config/run.mjs [--services 2000] [--proxies 7] [--edits 20]      BENCH_PROFILE=<dir>: CPU profiles
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { toYaml } from '../../packages/mesh-core/dist/config/index.js';
import { DEFAULT_MESH_SETTINGS } from '../../packages/mesh-core/dist/model/index.js';
import { createCertificateAuthority } from '../../apps/server/dist/certificates/ca.js';
import { SERVER_ENV } from '../../apps/server/dist/server-options.js';
import { options } from '../lib/options.mjs';
import { freePorts, median } from '../lib/rig.mjs';
import { serviceObjects, splitOf } from '../xds/mesh.mjs';

// Node 20 has none of its own.
const { WebSocket } = createRequire(new URL('../../apps/server/package.json', import.meta.url))('ws');
const { services, proxies, edits } = options({ services: 2_000, proxies: 7, edits: 20 });
const here = import.meta.dirname;
const dir = mkdtempSync(join(tmpdir(), 'weft-bench-config-'));
const [port, xdsPort, xdsTlsPort, otlpGrpcPort, otlpHttpPort] = await freePorts(5);
const url = `http://127.0.0.1:${port}`;
const children = new Set();

function start(file, argument, execArgv = []) {
  const child = fork(file, [argument], {
    execArgv,
    env: { ...process.env, ...SERVER_ENV },
    stdio: ['ignore', 'ignore', process.env.BENCH_LOG ? 'inherit' : 'ignore', 'ipc'],
  });
  children.add(child);
  child.on('exit', () => children.delete(child));
  return child;
}

async function stop(child) {
  child.disconnect();
  await once(child, 'exit');
}

let server;
async function startServer() {
  const file = join(dir, 'options.json');
  const settings = DEFAULT_MESH_SETTINGS;
  const consoleDir = join(here, '../../apps/web/dist');
  writeFileSync(file, JSON.stringify({ stateDir: dir, host: '127.0.0.1', port, xdsPort, xdsTlsPort, otlpGrpcPort, otlpHttpPort, settings, consoleDir }));
  server = start(join(here, '../../apps/server/dist/main.js'), file, ['--import', join(here, 'loop.mjs')]);
  while (!(await fetch(`${url}/readyz`).catch(() => ({}))).ok) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** What the server is asked, as text: what reading it as JSON costs is not the server's. */
async function call(method, path, body, headers = {}) {
  const response = await fetch(`${url}${path}`, {
    method,
    headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 500)}`);
  return text;
}

/** A console that is open on the pages that show configuration; those who wait for a revision ask it. */
async function openConsole() {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/api/v1/live`);
  const spreads = new Map();
  const waiting = new Map();
  socket.addEventListener('message', ({ data }) => {
    const { topic, type, data: told } = JSON.parse(data);
    if (type === 'error') throw new Error(data);
    if (topic !== 'revisions' || type !== 'delta') return;
    for (const spread of told.propagation) {
      if (spread.proxies.length < proxies || spread.proxies.some(({ state }) => state !== 'acked')) continue;
      spreads.set(spread.revision, spread);
      waiting.get(spread.revision)?.(spread);
    }
  });
  await once(socket, 'open');
  const graph = { windowSec: 60, graphType: 'versionedApp', includeIdle: true };
  for (const [id, asked] of [{ topic: 'revisions' }, { topic: 'status' }, { topic: 'proxies' }, { topic: 'graph', ...graph }].entries())
    socket.send(JSON.stringify({ op: 'subscribe', id: id + 1, ...asked }));
  const acknowledged = async (revision) => {
    const told = new Promise((resolve) => waiting.set(revision, resolve));
    // What is too much for the channel at once is told late, so it is also asked, seldom.
    while (!spreads.has(revision)) {
      if ((await Promise.race([told, new Promise((resolve) => setTimeout(resolve, 500))])) !== undefined) return;
      const { propagation } = JSON.parse(await call('GET', '/api/v1/revisions?limit=1')).items[0];
      if (propagation?.completeMs !== undefined) return;
    }
  };
  return { socket, acknowledged };
}

/** Past the beat of the telemetry and the status of the console, so that what they cost is in the figures. */
const beat = () => new Promise((resolve) => setTimeout(resolve, 1_500));

/** Runs one step, or the same some times; prints its times and the longest turn. */
async function step(name, work, times = 1) {
  const took = [];
  const answers = [];
  for (let i = 0; i < times; i += 1) {
    const began = performance.now();
    answers.push(await work(i));
    took.push(performance.now() - began);
  }
  await beat();
  server.send(name.replaceAll(/\W+/g, '-'));
  const [{ turnMs, ownMs, pauseMs, cpuMs, rssMb }] = await once(server, 'message');
  console.log(
    [name.padEnd(46), ...[median(took), Math.max(...took), turnMs, ownMs, pauseMs, cpuMs / times, rssMb].map((value) => value.toFixed(0).padStart(9))].join(
      ' ',
    ),
  );
  return answers;
}

try {
  console.log(`${new Date().toISOString()} node ${process.version}, ${cpus().length} x ${cpus()[0].model}, load ${loadavg()[0].toFixed(1)}`);
  console.log(`${services} services, ${proxies} proxies, ${edits} edits each\n`);
  console.log([''.padEnd(46), ...['ms', 'max', 'turn', 'own', 'GC', 'CPU', 'RSS MB'].map((title) => title.padStart(9))].join(' '));
  mkdirSync(join(dir, 'ca'), { recursive: true });
  const ca = await createCertificateAuthority({ stateDir: join(dir, 'ca'), trustDomain: 'cluster.local' });
  const pairs = [];
  for (let i = 0; i < proxies; i += 1) {
    const leaf = await ca.issueLeaf({ trustDomain: 'cluster.local', namespace: 'bench', serviceAccount: `svc-${i}` });
    pairs.push({ key: leaf.privateKeyPem, cert: leaf.certificatePem });
  }
  await startServer();
  let live = await openConsole();
  const fleet = start(join(here, '../xds/fleet.mjs'), JSON.stringify({ port: xdsTlsPort, from: 0, to: proxies, services }));
  await once(fleet, 'message');
  fleet.send({ id: 1, command: 'open', pairs, root: ca.rootCaPem, overMs: 100 });
  // What the start took is told further down, with everything stored.
  await beat();
  server.send('connected');
  await once(server, 'message');
  await step('idle', async () => undefined);

  // All services have subsets and a split, not a tenth of them as in bench/xds.
  const objects = Array.from({ length: services }, (_, i) => [
    ...serviceObjects(i - (i % 10)).map((o) => JSON.parse(JSON.stringify(o).replaceAll(`svc-${i - (i % 10)}`, `svc-${i}`))),
  ]).flat();
  const yaml = objects.map((object) => toYaml(object)).join('---\n');
  const apply = async (text, force = '') =>
    JSON.parse(await call('POST', `/api/v1/config/apply${force}`, { yaml: text, resourceVersions: {}, reason: 'bench' }));
  const settled = ({ revision }) => live.acknowledged(revision);
  await step(`first apply of ${objects.length} objects (${(yaml.length / 1e6).toFixed(1)} MB) -> last ACK`, async () => settled(await apply(yaml)));
  await step('the same apply again: nothing changes', () => apply(yaml));
  const weight = (i) => 10 + (i % 80);
  await step('apply of one weight, all call it -> last ACK', async (i) => settled(await apply(toYaml(splitOf(0, weight(i))))), edits);
  await step('apply of one weight, nobody calls it', async (i) => void (await apply(toYaml(splitOf(services - 3, weight(i))))), edits);
  const split = '/api/v1/traffic-split/bench/svc-0';
  await step(
    'weight by the console -> last ACK',
    async (i) => {
      const { resourceVersion } = JSON.parse(await call('GET', split));
      const told = await call('PUT', split, { resourceVersion, weights: { v1: weight(i + 40), v2: 100 - weight(i + 40) } });
      await settled({ revision: JSON.parse(told).resourceVersion });
    },
    edits,
  );
  await step('check of one weight, as the editor asks', (i) => call('POST', '/api/v1/config/check', { yaml: toYaml(splitOf(0, weight(i + 7))) }), edits);
  await step(
    'patch of one weight, as kubectl',
    (i) =>
      call(
        'PATCH',
        '/apis/networking.istio.io/v1/namespaces/bench/virtualservices/svc-0',
        { spec: splitOf(0, weight(i + 20)).spec },
        {
          'content-type': 'application/merge-patch+json',
          'user-agent': 'kubectl/v1.31',
        },
      ),
    edits,
  );
  const workload = (i) => ({ ...objects[1], spec: { ...objects[1].spec, address: `10.200.0.${i + 1}` } });
  await step('an endpoint moves -> last ACK', async (i) => settled(await apply(toYaml(workload(i)))), edits);
  await step('list of the console', () => call('GET', '/api/v1/config'), 5);
  await step('one object of the console', () => call('GET', '/api/v1/config/VirtualService/bench/svc-7'), 5);
  await step('services of the console', () => call('GET', '/api/v1/mesh/services'), 5);
  await step('revisions of the console', () => call('GET', '/api/v1/revisions?limit=50'), 5);
  await step('list of virtual services by kubectl', () => call('GET', '/apis/networking.istio.io/v1/virtualservices'), 5);
  live.socket.close();
  await stop(server);
  await step('start with all of it stored', async () => {
    await startServer();
    live = await openConsole();
  });
  await step('delete one by one, as the CLI', (i) => call('DELETE', `/apis/networking.istio.io/v1/namespaces/bench/virtualservices/svc-${i + 10}`), edits);
  await step('delete all virtual services, as kubectl', () => call('DELETE', '/apis/networking.istio.io/v1/namespaces/bench/virtualservices'));
  await step('delete the namespace', () => call('DELETE', '/api/v1/namespaces/bench'));
  live.socket.close();
} finally {
  await Promise.all([...children].map(stop));
  rmSync(dir, { recursive: true, force: true });
}

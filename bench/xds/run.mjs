// How fast an edit reaches every proxy: N simulated proxies on mTLS delta ADS against M services, all of them clients of the
// service whose weight is edited. Prints propagation (commit -> last ACK), memory of the control plane, and the reconnect storm.
//   npm run build && node bench/xds/run.mjs [--proxies 1000] [--services 1000] [--edits 100] [--rest 30]
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { SERVER_ENV } from '../../apps/server/dist/server-options.js';
import { options } from '../lib/options.mjs';

const { proxies, services, edits, rest } = options({ proxies: 1_000, services: 1_000, edits: 100, rest: 30 });
const REST_MS = rest * 1_000;
/** While proxies reconnect. */
const EDITS_PER_SECOND = 1;
const here = import.meta.dirname;
const dir = mkdtempSync(join(tmpdir(), 'weft-bench-xds-'));
const children = new Set();

/** A child and a function that asks it one command. */
async function start(file, argument, { execArgv = [], env = {} } = {}) {
  const child = fork(join(here, file), [JSON.stringify(argument)], { execArgv, env: { ...process.env, ...env } });
  children.add(child);
  child.on('exit', () => children.delete(child));
  const waiting = new Map();
  let id = 0;
  const ready = await new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', (code) => reject(new Error(`${file} ended with ${code}`)));
  });
  child.on('message', ({ id: answered, result }) => waiting.get(answered)?.(result));
  const ask = (command, rest = {}) =>
    new Promise((resolve) => {
      id += 1;
      waiting.set(id, resolve);
      child.send({ id, command, ...rest });
    });
  return { child, ask, ready: ready.ready };
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const quantile = (values, q) => values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.ceil(q * values.length) - 1)];
const mb = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;
const seconds = (from, to) => ((to.user + to.system - from.user - from.system) / 1e6).toFixed(1);

async function settled(server, count, since) {
  for (;;) {
    const { stood } = await server.ask('state');
    if (stood >= count) return (performance.now() - since) / 1_000;
    if (performance.now() - since > 240_000) return Number.POSITIVE_INFINITY;
    // To be asked for the state of all proxies keeps the control plane from its work, so it is seldom until the end is near.
    await sleep(stood < 0.9 * count ? 2_000 : 500);
  }
}

/** V8 collects by itself when nothing has been going on for some seconds. */
async function rested(server) {
  await server.ask('pause');
  await sleep(REST_MS);
  return `after ${REST_MS / 1_000} s of rest ${mb((await server.ask('state')).rss)}, longest pause meanwhile ${(await server.ask('pause')).toFixed(0)} ms`;
}

async function series(server, count) {
  const times = [];
  for (let i = 0; i < edits; i += 1) {
    const { ms, proxies: reached, refused } = await server.ask('edit', { weight: 10 + (i % 80) });
    if (reached !== count || refused > 0) console.log(`edit ${i}: reached ${reached}, refused ${refused}`);
    times.push(ms);
    await sleep(20);
  }
  return `p50 ${quantile(times, 0.5)} ms, p99 ${quantile(times, 0.99)} ms, max ${Math.max(...times)} ms`;
}

try {
  console.log(
    `${new Date().toISOString()} node ${process.version}, ${cpus().length} x ${cpus()[0].model}; ${proxies} proxies, ${services} services, ${edits} edits`,
  );
  const execArgv = process.env.BENCH_PROFILE ? ['--cpu-prof', '--cpu-prof-dir', process.env.BENCH_PROFILE] : [];
  const server = await start('control-plane.mjs', { dir, services, port: 0 }, { execArgv, env: SERVER_ENV });
  console.log(`control plane with ${services} services: ${mb((await server.ask('state')).rss)}`);
  const half = Math.ceil(proxies / 2);
  const ranges =
    proxies < 20
      ? [[0, proxies]]
      : [
          [0, half],
          [half, proxies],
        ];
  const fleets = [];
  for (const [from, to] of ranges) {
    const fleet = await start('fleet.mjs', { port: server.ready, from, to, services });
    const { pairs, root } = await server.ask('certificates', { from, to });
    fleets.push({ ...fleet, pairs, root });
  }
  let began = performance.now();
  for (const { ask, pairs, root } of fleets) await ask('open', { pairs, root, overMs: proxies * 10 });
  const idle = (await server.ask('state')).cpu;
  console.log(`first connect of ${proxies} over ${(proxies * 10) / 1_000} s: in step after ${(await settled(server, proxies, began)).toFixed(1)} s`);
  let state = await server.ask('state');
  console.log(`server CPU of that: ${seconds(idle, state.cpu)} s`);
  console.log(`memory in step: ${mb(state.rss)}, at most ${mb(state.most)}, ${await rested(server)}`);
  const before = (await server.ask('state')).cpu;
  console.log(`edit of one weight, commit -> last ACK of ${proxies}: ${await series(server, proxies)}`);
  const { cpu } = await server.ask('state');
  console.log(`server CPU per edit: ${((cpu.user + cpu.system - before.user - before.system) / 1e3 / edits).toFixed(0)} ms`);

  const stormed = (await server.ask('state')).cpu;
  await server.ask('mark');
  began = performance.now();
  for (const { ask } of fleets) await ask('drop', { overMs: 1_000 });
  const during = [];
  const editing = setInterval(() => during.push(server.ask('edit', { weight: 10 + (during.length % 80) })), 1_000 / EDITS_PER_SECOND);
  console.log(`${proxies} mTLS reconnects (spread over 1 s): each in step after ${(await settled(server, proxies, began)).toFixed(1)} s`);
  clearInterval(editing);
  const times = (await Promise.all(during)).map(({ ms }) => ms);
  const { cpu: calm } = await server.ask('state');
  console.log(`server CPU of that, edits included: ${seconds(stormed, calm)} s`);
  let received = 0;
  for (const { ask } of fleets) received += await ask('received');
  console.log(`edits meanwhile: ${times.length} (${EDITS_PER_SECOND} a second), slowest ${Math.max(...times)} ms; ${received} resources sent again`);
  state = await server.ask('state');
  console.log(`memory: ${mb(state.rss)}, at most ${mb(state.most)}, ${await rested(server)}`);
} finally {
  for (const child of children) child.disconnect();
  await Promise.all([...children].map((child) => new Promise((resolve) => child.once('exit', resolve))));
  rmSync(dir, { recursive: true, force: true });
}

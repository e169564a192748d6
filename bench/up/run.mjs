// What a new user meets: time from `npm start` (dependencies installed) to the line that says it runs, memory of the whole demo,
// and how long an edit takes to the last ACK. Needs the build.
//   node bench/up/run.mjs [--starts 5] [--edits 200]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { options } from '../lib/options.mjs';
import { freePorts, median, percentile, residentMb } from '../lib/rig.mjs';

const { starts, edits } = options({ starts: 5, edits: 200 });
const root = join(import.meta.dirname, '../..');
const home = mkdtempSync(join(tmpdir(), 'weft-bench-up-'));
const ports = await freePorts(6);
const flags = ['port', 'xds-port', 'xds-tls-port', 'otlp-grpc-port', 'otlp-http-port', 'gateway-port'].flatMap((flag, i) => [`--${flag}`, String(ports[i])]);
const api = async (method, path, body) => {
  const headers = body === undefined ? {} : { 'content-type': 'application/json' };
  const response = await fetch(`http://127.0.0.1:${ports[0]}/api/v1${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return response.json();
};

/** Runs `npm start` until its line; answers the child and the seconds it took. */
async function start() {
  const began = performance.now();
  const child = spawn(process.execPath, [join(root, 'scripts/start.mjs'), ...flags, '--port-base', '42000'], { env: { ...process.env, WEFT_HOME: home } });
  let output = '';
  await new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        output += chunk;
        if (output.includes('Weft is running')) resolve();
      });
    child.once('exit', (code) => reject(new Error(`ended with ${code}: ${output}`)));
  });
  return { child, seconds: (performance.now() - began) / 1_000 };
}

async function stop(child) {
  child.kill('SIGINT');
  await once(child, 'exit');
}

try {
  const times = [];
  for (let i = 0; i < starts; i++) {
    const { child, seconds } = await start();
    times.push(seconds);
    await stop(child);
  }
  const { child } = await start();
  const run = join(home, 'run');
  const pids = readdirSync(run)
    .filter((name) => name.endsWith('.pid'))
    .map((name) => [name.slice(0, -4), Number(readFileSync(join(run, name), 'utf8'))]);
  const memory = [...pids, ['supervisor', child.pid]].map(([name, pid]) => [name, residentMb([pid])]);
  const answers = [];
  for (let i = 0; i < edits; i++) {
    const { resourceVersion } = await api('GET', '/traffic-split/bookinfo/reviews');
    const v2 = 1 + (i % 99);
    await api('PUT', '/traffic-split/bookinfo/reviews', { weights: { v1: 100 - v2, v2 }, resourceVersion });
    for (;;) {
      const { propagation } = await api('GET', '/traffic-split/bookinfo/reviews');
      if (propagation?.completeMs === undefined) continue;
      answers.push(propagation.completeMs);
      break;
    }
  }
  await stop(child);
  console.log(`| what | figure |\n|---|---|`);
  console.log(`| start, dependencies installed: median of ${times.length} | ${median(times).toFixed(1)} s |`);
  for (const [name, mb] of memory) console.log(`| memory: ${name} | ${mb.toFixed(0)} MB RSS |`);
  console.log(`| memory: whole demo at 20 requests/s | ${memory.reduce((sum, [, mb]) => sum + mb, 0).toFixed(0)} MB RSS |`);
  console.log(
    `| edit of a weight to the last ACK, 7 proxies, ${edits} edits: p50 / p99 | ${median(answers).toFixed(1)} / ${percentile(answers, 0.99).toFixed(1)} ms |`,
  );
} finally {
  rmSync(home, { recursive: true, force: true });
}

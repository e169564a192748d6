// One plain HTTP/1.1 hop: the embedded proxy, nginx and (when installed) http-proxy, interleaved, each pinned to core 1 with wrk and
// the upstream on core 0. Prints requests per second and CPU microseconds per request (all threads), medians over the rounds.
// node bench/proxy/one-hop.mjs [--rounds 5] [--seconds 2] [--bytes 1024]
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const option = (name, fallback) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : Number(process.argv[at + 1]);
};
const rounds = option('rounds', 5);
const seconds = option('seconds', 2);
const bytes = option('bytes', 1024);
const here = import.meta.dirname;
const dir = mkdtempSync(join(tmpdir(), 'weft-bench-'));
const base = 28000 + (process.pid % 1000);
const upstream = base;
const children = [];

function start(core, command, args) {
  const child = spawn('taskset', ['-c', String(core), command, ...args], { stdio: ['ignore', 'inherit', 'inherit'] });
  children.push(child);
  return child.pid;
}

function nginx(core, template, port) {
  const text = readFileSync(join(here, template), 'utf8')
    .replaceAll('@DIR@', dir)
    .replaceAll('@UPSTREAM@', String(upstream))
    .replaceAll('@PORT@', String(port))
    .replaceAll('@BODY@', 'x'.repeat(bytes));
  const file = join(dir, template);
  writeFileSync(file, text);
  return start(core, '/usr/sbin/nginx', ['-p', dir, '-c', file]);
}

async function listening(port) {
  for (let i = 0; i < 100; i++) {
    const up = await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true));
      socket.on('error', () => resolve(false)).on('connect', () => socket.destroy());
    });
    if (up) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing listens on ${port}`);
}

/** CPU seconds of a process and its children. */
function cpu(pid) {
  const kids = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter((id) => id.trim() !== '');
  return [pid, ...kids].reduce((sum, id) => {
    const fields = readFileSync(`/proc/${String(id).trim()}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    return sum + (Number(fields[11]) + Number(fields[12])) / 100;
  }, 0);
}

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0;

try {
  nginx(0, 'upstream.conf', upstream);
  const contenders = [
    { name: 'nginx', port: base + 1, pid: nginx(1, 'nginx.conf', base + 1) },
    { name: 'weft', port: base + 2, pid: start(1, process.execPath, [join(here, 'weft-proxy.mjs'), String(base + 2), String(upstream)]) },
  ];
  try {
    await import('http-proxy');
    contenders.push({
      name: 'http-proxy',
      port: base + 3,
      pid: start(1, process.execPath, [join(here, 'http-proxy.mjs'), String(base + 3), String(upstream)]),
    });
  } catch {
    console.log('http-proxy is not installed: left out');
  }
  for (const { port } of [...contenders, { port: upstream }]) await listening(port);
  const seen = new Map(contenders.map(({ name }) => [name, { rps: [], cpu: [], ratio: [] }]));
  for (let round = 0; round <= rounds; round++) {
    const order = contenders.map((_, index) => contenders[(index + round) % contenders.length]);
    const results = new Map();
    for (const { name, port, pid } of order) {
      const before = cpu(pid);
      const text = await new Promise((resolve, reject) => {
        const wrk = spawn('taskset', ['-c', '0', 'wrk', '-t1', '-c32', `-d${seconds}s`, '--latency', `http://127.0.0.1:${port}/`]);
        let output = '';
        wrk.stdout.on('data', (chunk) => (output += chunk));
        wrk.on('error', reject).on('close', () => resolve(output));
      });
      const used = cpu(pid) - before;
      const requests = Number(/(\d+) requests in/.exec(text)?.[1]);
      if (/Non-2xx|Socket errors/.test(text)) throw new Error(`${name} failed requests:\n${text}`);
      results.set(name, { rps: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]), cpu: (used * 1e6) / requests });
    }
    // The first round warms up.
    if (round === 0) continue;
    for (const [name, result] of results) {
      const all = seen.get(name);
      all.rps.push(result.rps);
      all.cpu.push(result.cpu);
      all.ratio.push(result.rps / results.get('nginx').rps);
    }
  }
  for (const [name, all] of seen)
    console.log(
      `${name.padEnd(12)} ${Math.round(median(all.rps))} rps  x${median(all.ratio).toFixed(2)} of nginx  ${median(all.cpu).toFixed(1)} us CPU per request`,
    );
} finally {
  for (const child of children) child.kill('SIGTERM');
  await Promise.all(children.map((child) => child.exitCode ?? new Promise((resolve) => child.on('exit', resolve))));
  rmSync(dir, { recursive: true, force: true });
}

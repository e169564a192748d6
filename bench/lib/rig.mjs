// What every data-path benchmark needs: pinned processes, their CPU time, load generators, medians.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, connect } from 'node:net';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Core 0 has load generator, upstream and control plane; core 1 the proxy under test. */
export const LOAD_CORE = 0;
export const PROXY_CORE = 1;

/** Child processes and a scratch directory, ended and removed by `end`. */
export function openRig() {
  const dir = mkdtempSync(join(tmpdir(), 'weft-bench-'));
  const children = [];
  const stopping = new Set();
  // Whatever ends this program, `| head` included, ends them too.
  process.on('exit', () => children.forEach((child) => child.kill()));
  return {
    dir,
    /** Starts a command on a core; resolves with its pid once `ready` accepts a line of its output (at once without it). */
    async start(core, command, args, { ready, env } = {}) {
      const child = spawn('taskset', ['-c', String(core), command, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: env ?? process.env });
      children.push(child);
      let output = '';
      const gone = new Promise((_, reject) =>
        child.once('exit', (code, signal) => reject(new Error(`${[command, ...args].join(' ')} ended with ${code ?? signal}: ${output.slice(-500)}`))),
      );
      gone.catch(({ message }) => stopping.has(child) || console.error(message));
      const lines = new Promise((resolve) => {
        for (const stream of [child.stdout, child.stderr])
          stream.on('data', (chunk) => {
            output += chunk;
            if (ready === undefined || output.split('\n').some(ready)) resolve();
          });
      });
      if (ready !== undefined) await Promise.race([lines, gone]);
      return child.pid;
    },
    /** Ends one of them early. */
    async stop(pid) {
      const child = children.find((one) => one.pid === pid);
      stopping.add(child);
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
    async end() {
      const running = children.filter((child) => child.exitCode === null && child.signalCode === null);
      const ended = running.map((child) => once(child, 'exit'));
      for (const child of running) {
        stopping.add(child);
        child.kill('SIGTERM');
      }
      await Promise.all(ended);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

const given = new Set();

/** Free ports below those the system gives to who asks for any: nobody has them before they are used. None is given twice. */
export async function freePorts(count) {
  const ports = [];
  while (ports.length < count) {
    const port = 10_000 + Math.floor(Math.random() * 5_000);
    if (given.has(port)) continue;
    given.add(port);
    const server = createServer();
    const free = await new Promise((resolve) => server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true)));
    if (!free) continue;
    await new Promise((resolve) => server.close(resolve));
    ports.push(port);
  }
  return ports;
}

export async function listening(port) {
  for (let i = 0; i < 200; i++) {
    const up = await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    if (up) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing listens on ${port}`);
}

/** CPU seconds of processes and their children, from /proc. */
export function cpuSeconds(pids) {
  return pids
    .flatMap((pid) => [
      pid,
      ...readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
        .split(' ')
        .filter((id) => id.trim() !== ''),
    ])
    .reduce((sum, pid) => {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /, '')
        .split(' ');
      return sum + (Number(fields[11]) + Number(fields[12])) / 100;
    }, 0);
}

/** Resident memory of processes, MB; of `RssAnon` what is not pages of files, which all processes of one program share. */
export function residentMb(pids, field = 'VmRSS') {
  return pids.reduce((sum, pid) => sum + Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024, 0);
}

export function median(list) {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN;
}

export function percentile(list, share) {
  return list.toSorted((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * share))] ?? Number.NaN;
}

/** Runs a load generator to its end on the load core; answers its output. */
export async function run(command, args) {
  return await new Promise((resolve, reject) => {
    const child = spawn('taskset', ['-c', String(LOAD_CORE), command, ...args]);
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.on('error', reject).on('close', () => resolve(output));
  });
}

/** Closed loop of HTTP/1.1 requests over 32 connections; `script`: of wrk, in Lua. Answers requests done. @throws when any failed */
export async function wrk(port, { seconds, path = '/', headers = [], script }) {
  const scripted = script === undefined ? [] : ['-s', script];
  const text = await run('wrk', ['-t1', '-c32', `-d${seconds}s`, ...scripted, ...headers.flatMap((h) => ['-H', h]), `http://127.0.0.1:${port}${path}`]);
  const requests = Number(/(\d+) requests in/.exec(text)?.[1]);
  if (!(requests > 0) || /Non-2xx|Socket errors/.test(text)) throw new Error(`port ${port} failed requests:\n${text}`);
  return requests;
}

/** gRPC-shaped HTTP/2 requests, 8 connections of 16 streams. Answers requests done. @throws when any failed */
export async function grpcLoad(port, { seconds, body }) {
  const args = [
    '-c8',
    '-m16',
    `-D${seconds}`,
    '-d',
    body,
    '-H',
    'content-type: application/grpc',
    '-H',
    'te: trailers',
    `http://127.0.0.1:${port}/bench.Echo/Call`,
  ];
  const text = await run('h2load', args);
  const [, done, failed] = /(\d+) succeeded, (\d+) failed/.exec(text) ?? [];
  const bad = Number(/status codes:.* (\d+) 4xx/.exec(text)?.[1] ?? 0) + Number(/status codes:.* (\d+) 5xx/.exec(text)?.[1] ?? 0);
  if (!(Number(done) > 0) || Number(failed) > 0 || bad > 0) throw new Error(`port ${port} failed calls:\n${text}`);
  return Number(done);
}

/** Open loop at `rps` over 32 connections: latencies in ms. */
export async function paced(port, { seconds, rps, logFile }) {
  const text = await run('h2load', ['--h1', '-c32', `--rps=${(rps / 32).toFixed(2)}`, `-D${seconds}`, `--log-file=${logFile}`, `http://127.0.0.1:${port}/`]);
  const rows = readFileSync(logFile, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split('\t'));
  rmSync(logFile, { force: true });
  if (rows.length < 10 || rows.some((row) => row[1] !== '200')) throw new Error(`port ${port} failed paced requests:\n${text}`);
  return rows.map((row) => Number(row[2]) / 1_000);
}

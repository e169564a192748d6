// One supervised child process: its output in a log file, restarted with back-off when it ends by itself, stopped by pid.

import { type ChildProcess, type SendHandle, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, createWriteStream, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, type WriteStream } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { KEEPS_SOCKETS, type SocketMessage } from '../proxy/listener/listening-sockets.ts';
import { StartError } from './errors.ts';

export interface ChildOptions {
  name: string;
  command: string;
  args: readonly string[];
  env?: NodeJS.ProcessEnv;
  /** Where stdout and stderr go. */
  logFile: string;
  /** Resolves `ready` on the first stdout line this accepts. */
  readyLine?: (line: string) => boolean;
  /** Of a program that prints no such line: asked until it is true. Without both it is ready once spawned. */
  isReady?: () => Promise<boolean>;
  readyTimeoutMs?: number;
  /** Copies of the sockets it listens on are kept here and handed to the next process after a crash: nobody is refused meanwhile. */
  keepSockets?: boolean;
  /** Node children get an IPC channel, so that they notice when the supervisor is gone; `false` for other programs, which have no ready line. */
  ipc?: boolean;
  /** Holds the pid while the process runs. */
  pidFile?: string;
  onExit?: (reason: string) => void;
}

export interface Child {
  readonly pid: number | undefined;
  /** Resolves when the current process is ready; rejects with what its log ends with. */
  ready(): Promise<void>;
  send(message: unknown): void;
  /** SIGTERM, then SIGKILL after `graceMs`. Idempotent. */
  stop(graceMs?: number): Promise<void>;
}

/** A mesh of thousands of services on a busy machine takes its time. */
const READY_WITHIN_MS = 60_000;
const FIRST_BACK_OFF_MS = 200;
const MAX_BACK_OFF_MS = 5_000;
const ASK_MS = 100;
/** A process that cannot say whether it is ready counts as having served from then on. */
const SERVED_MS = 1_000;

export function startChild(options: ChildOptions): Child {
  mkdirSync(dirname(options.logFile), { recursive: true });
  // A full disk is no reason to leave what runs: the end of the output is kept here too.
  const openLog = (): WriteStream => createWriteStream(options.logFile, { flags: 'a' }).on('error', () => undefined);
  let log = openLog();
  const sockets = new Map<string, SendHandle & { close(): void }>();
  const releaseSockets = (): void => {
    for (const socket of sockets.values()) socket.close();
    sockets.clear();
  };
  let stopping = false;
  let wasReady = false;
  let backOff = FIRST_BACK_OFF_MS;
  let timer: NodeJS.Timeout | undefined;
  let child: ChildProcess;
  let ready: Promise<void>;

  const launch = (): void => {
    const started = Date.now();
    let tail = '';
    // A program of others writes to the file itself: Envoy opens /dev/stdout by name, which a socket does not allow.
    const own = options.ipc === false ? openAppend(options.logFile) : undefined;
    const current = spawn(options.command, options.args, {
      env: { ...(options.env ?? process.env), ...(options.keepSockets === true ? { [KEEPS_SOCKETS]: '1' } : {}) },
      stdio: own === undefined ? ['ignore', 'pipe', 'pipe', 'ipc'] : ['ignore', own, own],
      // Ctrl-C goes to the terminal's whole process group. Children are stopped by their supervisor, one after the other.
      detached: true,
    });
    if (typeof own === 'number') closeSync(own);
    child = current;
    wasReady = false;
    if (options.keepSockets === true) handOver(current, sockets);
    if (options.pidFile !== undefined && current.pid !== undefined) writePid(options.pidFile, current.pid);
    const keep = (chunk: Buffer): void => {
      // An error has ended it.
      if (log.destroyed) log = openLog();
      log.write(chunk);
      tail = (tail + chunk.toString('utf8')).slice(-2_000);
    };
    current.stderr?.on('data', keep);
    ready = new Promise<void>((resolve, reject) => {
      const limit = setTimeout(
        () =>
          reject(
            new StartError(
              'WEFT_CHILD_FAILED',
              `${options.name} was not ready after ${(options.readyTimeoutMs ?? READY_WITHIN_MS) / 1000} s. Its log: ${options.logFile}`,
            ),
          ),
        options.readyTimeoutMs ?? READY_WITHIN_MS,
      );
      limit.unref();
      const serves = (): void => {
        clearTimeout(limit);
        backOff = FIRST_BACK_OFF_MS;
        wasReady = true;
        resolve();
      };
      let over = false;
      const ask = async (isReady: () => Promise<boolean>): Promise<void> => {
        while (!over && !(await isReady())) await delay(ASK_MS);
        if (!over) serves();
      };
      let buffered = '';
      current.stdout?.on('data', (chunk: Buffer) => {
        keep(chunk);
        if (options.readyLine === undefined) return;
        buffered += chunk.toString('utf8');
        const lines = buffered.split('\n');
        buffered = lines.pop() ?? '';
        if (lines.some(options.readyLine)) serves();
      });
      current.once('spawn', () => {
        if (options.isReady !== undefined) return void ask(options.isReady);
        if (options.readyLine !== undefined) return;
        clearTimeout(limit);
        resolve();
      });
      const failed = (reason: string): void => {
        clearTimeout(limit);
        const last = (own === undefined ? tail : contentOf(options.logFile)).trim().split('\n').at(-1) ?? '';
        reject(new StartError('WEFT_CHILD_FAILED', `${options.name} ${reason}${last === '' ? '' : `: ${last}`}. Its log: ${options.logFile}`));
      };
      const end = (reason: string): void => {
        over = true;
        failed(reason);
        if (stopping) return;
        options.onExit?.(reason);
        // Only one that fails before it serves has to wait longer and longer.
        const served = wasReady || (options.readyLine === undefined && options.isReady === undefined && Date.now() - started > SERVED_MS);
        if (served || Date.now() - started > 10_000) backOff = FIRST_BACK_OFF_MS;
        timer = setTimeout(launch, served ? 0 : backOff);
        backOff = Math.min(backOff * 2, MAX_BACK_OFF_MS);
      };
      // Of a process that could not be made there is no exit to hear of.
      current.once('error', (error) => current.pid === undefined && end(`could not start (${error.message})`));
      current.once('exit', (code, signal) => end(`ended with ${signal ?? code}`));
    });
    // Awaited by callers that care; a restart that fails is told through onExit.
    ready.catch(() => undefined);
  };
  launch();

  return {
    get pid() {
      return child.pid;
    },
    ready: () => ready,
    send: (message) => {
      if (child.connected) child.send(message as object);
    },
    async stop(graceMs = 7_000) {
      stopping = true;
      clearTimeout(timer);
      releaseSockets();
      if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
        const gone = once(child, 'exit');
        child.kill('SIGTERM');
        const kill = setTimeout(() => child.kill('SIGKILL'), graceMs);
        await gone;
        clearTimeout(kill);
      }
      if (options.pidFile !== undefined) rmSync(options.pidFile, { force: true });
      log.end();
    },
  };
}

/** For a process to write to; without a file it runs all the same. */
function openAppend(file: string): number | 'ignore' {
  try {
    mkdirSync(dirname(file), { recursive: true });
    return openSync(file, 'a');
  } catch {
    return 'ignore';
  }
}

/** Somebody may have removed it. */
function contentOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** By rename: a reader that finds the file empty would take it for pid 0, which is its own process group. */
function writePid(file: string, pid: number): void {
  writeFileSync(`${file}.new`, `${pid}\n`);
  renameSync(`${file}.new`, file);
}

/** Gives the new process what is kept, and keeps what it listens on. */
function handOver(child: ChildProcess, sockets: Map<string, SendHandle & { close(): void }>): void {
  const send = (message: SocketMessage, handle?: SendHandle): void => {
    // With a callback a process that is gone already is no error here: its exit is told anyway.
    child.send(message, handle, {}, () => undefined);
  };
  child.on('message', (message: SocketMessage, handle: unknown) => {
    if (message.type !== 'keep' && message.type !== 'release') return;
    sockets.get(message.key)?.close();
    sockets.delete(message.key);
    if (message.type === 'keep' && handle !== undefined) sockets.set(message.key, handle as SendHandle & { close(): void });
  });
  for (const [key, socket] of sockets) send({ type: 'inherit', key }, socket);
  send({ type: 'inherited' });
}

// Loopback ports by purpose, remembered in the state directory so that a second start finds the same ones.

import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { StartError } from './errors.ts';

const LAST_PORT = 65_000;

export interface PortBook {
  /** The port remembered for `purpose` when it is still free, else the next free one from the base up. */
  allocate(purpose: string): Promise<number>;
}

/**
 * `dir` has a file a port, which holds its purpose. Making the file takes the port: of two agents that start at once, one is told that it exists.
 * `reserved`: ports programs are about to listen on, which are never given.
 */
export function openPortBook(dir: string, base: number, reserved: readonly number[] = []): PortBook {
  const known = read(dir);
  const given = new Set<number>(reserved);
  return {
    async allocate(purpose) {
      const before = known.get(purpose);
      if (before !== undefined && before >= base && !given.has(before) && (await isFree(before))) {
        given.add(before);
        return before;
      }
      for (let port = base; port < LAST_PORT; port += 1) {
        if (given.has(port) || !(await isFree(port)) || !take(dir, port, purpose)) continue;
        given.add(port);
        known.set(purpose, port);
        if (before !== undefined) rmSync(join(dir, String(before)), { force: true });
        return port;
      }
      throw new StartError('WEFT_PORT_TAKEN', `no free port from ${base} to ${LAST_PORT}; move the range with --port-base`);
    },
  };
}

/** False when another purpose has it. */
function take(dir: string, port: number, purpose: string): boolean {
  try {
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, String(port)), purpose, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw new StartError('WEFT_STATE_DIR', `cannot write ${dir}: ${(error as Error).message}. Make the directory writable or set WEFT_HOME to another one.`, {
      cause: error,
    });
  }
}

function read(dir: string): Map<string, number> {
  if (!existsSync(dir)) return new Map();
  return new Map(readdirSync(dir).map((port) => [readFileSync(join(dir, port), 'utf8'), Number(port)]));
}

/** True when nothing listens on the loopback port. */
export async function isFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  const server = createServer();
  server.unref();
  try {
    server.listen({ port, host, exclusive: true });
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}

/**
 * Keeps a port for a program that is about to listen on it, until the answer is called; throws when another process has it.
 * Where it may not be listened on (it is root's), the program may still: it could be a container's.
 */
export async function holdPort(port: number): Promise<() => Promise<void>> {
  // A connection closed by us would keep the port for a minute.
  const server = createServer((socket) => socket.resetAndDestroy());
  server.unref();
  try {
    server.listen({ port, host: '127.0.0.1', exclusive: true });
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return () => Promise.resolve();
    throw new StartError(
      'WEFT_PORT_TAKEN',
      `another process listens on port ${port}: stop it, or have the program listen on another port and name that with --port`,
      { cause: error },
    );
  }
  return async () => {
    server.close();
    await once(server, 'close');
  };
}

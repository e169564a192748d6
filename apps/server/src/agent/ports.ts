// Loopback ports by purpose, remembered in the state directory so that a second start finds the same ones.

import { once } from 'node:events';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { StartError } from './errors.ts';

const LAST_PORT = 65_000;

export interface PortBook {
  /** The port remembered for `purpose` when it is still free, else the next free one from the base up. */
  allocate(purpose: string): Promise<number>;
  /** Writes what was allocated. */
  save(): void;
}

/** `reserved`: ports programs are about to listen on, which are never given. */
export function openPortBook(file: string, base: number, reserved: readonly number[] = []): PortBook {
  const known = read(file);
  const given = new Set<number>(reserved);
  const remembered = (): Set<number> => new Set(Object.values(known));
  return {
    async allocate(purpose) {
      const before = known[purpose];
      if (before !== undefined && before >= base && !given.has(before) && (await isFree(before))) {
        given.add(before);
        return before;
      }
      const taken = remembered();
      for (let port = base; port < LAST_PORT; port += 1) {
        if (given.has(port) || taken.has(port) || !(await isFree(port))) continue;
        given.add(port);
        known[purpose] = port;
        return port;
      }
      throw new StartError('WEFT_PORT_TAKEN', `no free port from ${base} to ${LAST_PORT}; move the range with --port-base`);
    },
    save() {
      const temporary = `${file}.${process.pid}`;
      try {
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(temporary, `${JSON.stringify(known, null, 2)}\n`);
        renameSync(temporary, file);
      } catch (error) {
        throw new StartError(
          'WEFT_STATE_DIR',
          `cannot write ${file}: ${(error as Error).message}. Make the directory writable or set WEFT_HOME to another one.`,
          { cause: error },
        );
      }
    },
  };
}

function read(file: string): Record<string, number> {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return typeof value === 'object' && value !== null
      ? Object.fromEntries(Object.entries(value).filter((e): e is [string, number] => Number.isInteger(e[1])))
      : {};
  } catch {
    // Missing or torn: ports are only remembered for convenience.
    return {};
  }
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

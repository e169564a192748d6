// Where agents and supervisor keep what outlives them: `~/.weft`, or `WEFT_HOME`.

import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { StartError } from './errors.ts';

/** More than what a start writes there. */
const ROOM = Buffer.alloc(256 * 1024);

export function stateDirectory(env: NodeJS.ProcessEnv): string {
  return resolve(env['WEFT_HOME'] ?? join(homedir(), '.weft'));
}

/** Makes the directory where there is none; throws a StartError when it cannot be written, or its disk is full. */
export function openStateDirectory(dir: string): void {
  try {
    makeDirectory(dir);
    const probe = join(dir, `room.${process.pid}`);
    try {
      const file = openSync(probe, 'w', 0o600);
      try {
        for (let at = 0; at < ROOM.length;) at += writeSync(file, ROOM, at);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
    } finally {
      rmSync(probe, { force: true });
    }
  } catch (error) {
    throw new StartError(
      'WEFT_STATE_DIR',
      `cannot write the state directory ${dir}: ${(error as Error).message}. Make it writable or free space on its disk, or set WEFT_HOME to another directory.`,
      { cause: error },
    );
  }
}

/** Node's own `recursive` never returns where the parent exists and yet nothing can be made in it (/proc). */
function makeDirectory(dir: string): void {
  if (existsSync(dir)) return;
  makeDirectory(dirname(dir));
  try {
    mkdirSync(dir);
  } catch (error) {
    // Another agent that starts at the same time.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

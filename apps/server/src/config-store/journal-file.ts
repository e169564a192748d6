// The journal on disk: one JSON line a commit, each with the hash of the line before it, synced before anyone is told.

import { createHash } from 'node:crypto';
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readFileSync, readSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { StoreFailedError } from './errors.ts';

const GENESIS = '0'.repeat(64);
const READ_BYTES = 1024 * 1024;

export interface JournalFile<Entry> {
  /** Resolves when the entry is on disk. Calls made while a sync is under way share the next one. */
  append(entry: Entry): Promise<void>;
  close(): Promise<void>;
}

/** Opens the journal in `dir`, checks it and hands each entry to `onEntry`; a torn last line is cut off with a notice, damage further up is refused. */
export async function openJournalFile<Entry>(dir: string, onEntry: (entry: Entry) => void, log: (message: string) => void): Promise<JournalFile<Entry>> {
  let file: string;
  let unlock: () => void;
  try {
    mkdirSync(dir, { recursive: true });
    unlock = lock(dir);
    file = join(dir, 'journal.jsonl');
  } catch (error) {
    if (error instanceof StoreFailedError) throw error;
    throw new StoreFailedError(`cannot write ${dir}: ${(error as Error).message}. Make it writable or set WEFT_HOME to another directory.`, { cause: error });
  }
  const { hash: head, goodBytes } = read(file, onEntry);
  if (existsSync(file) && goodBytes !== undefined) {
    log(`the last line of ${file} was incomplete (a write was interrupted before it was confirmed); cut off`);
    truncateSync(file, goodBytes);
  }
  const handle: FileHandle = await open(file, 'a', 0o600);
  let hash = head;
  /** What is on disk for certain. */
  let good = { bytes: (await handle.stat()).size, hash: head };
  let queue: { line: string; hash: string; resolve: () => void; reject: (error: unknown) => void }[] = [];
  let flushing: Promise<void> | undefined;
  let failed: unknown;

  /** Of a write that failed, on a disk that is full say, part may be there: without it the file is what it was. */
  const takeBack = async (): Promise<void> => {
    await handle.truncate(good.bytes);
    await handle.datasync();
  };

  const flush = async (): Promise<void> => {
    while (queue.length > 0) {
      const batch = queue;
      queue = [];
      const text = batch.map((b) => b.line).join('');
      try {
        await handle.appendFile(text);
        await handle.datasync();
        good = { bytes: good.bytes + Buffer.byteLength(text), hash: batch.at(-1)?.hash ?? good.hash };
        for (const b of batch) b.resolve();
      } catch (error) {
        // What follows on the disk is unknown if even this fails; going on could confirm a change that is lost.
        await takeBack().catch(() => {
          failed = error;
        });
        // Entries that came meanwhile continue the chain of those that are gone.
        ({ hash } = good);
        for (const b of [...batch, ...queue.splice(0)]) b.reject(error);
      }
    }
    flushing = undefined;
  };

  return {
    append(entry) {
      if (failed !== undefined)
        return Promise.reject(
          new StoreFailedError(`the journal ${file} failed earlier (${(failed as Error).message}); restart the server after mending the disk`),
        );
      const body = JSON.stringify(entry);
      hash = chain(hash, body);
      const line = `{"hash":"${hash}","entry":${body}}\n`;
      return new Promise<void>((resolve, reject) => {
        queue.push({
          line,
          hash,
          resolve,
          reject: (error) => reject(new StoreFailedError(`cannot write ${file}: ${(error as Error).message}. The change was not accepted.`, { cause: error })),
        });
        flushing ??= flush();
      });
    },
    async close() {
      await flushing;
      await handle.close();
      unlock();
    },
  };
}

function chain(previous: string, body: string): string {
  return createHash('sha256').update(previous).update(body).digest('hex');
}

/** `goodBytes`: where a torn last line begins. */
function read<Entry>(file: string, onEntry: (entry: Entry) => void): { hash: string; goodBytes: number | undefined } {
  if (!existsSync(file)) return { hash: GENESIS, goodBytes: undefined };
  const fd = openSync(file, 'r');
  try {
    const size = fstatSync(fd).size;
    let hash = GENESIS;
    let at = 0;
    let number = 0;
    for (const line of linesOf(fd)) {
      number += 1;
      const parsed = parse<Entry>(line.toString());
      if (parsed === undefined || parsed.hash !== chain(hash, JSON.stringify(parsed.entry))) {
        // Only the very last line can be half written.
        if (at + line.length === size) return { hash, goodBytes: at };
        throw new StoreFailedError(
          `${file} is damaged at line ${number}: the hash chain does not hold. Restore it from a copy, or move it away to start empty.`,
        );
      }
      onEntry(parsed.entry);
      ({ hash } = parsed);
      at += line.length;
    }
    return { hash, goodBytes: undefined };
  } finally {
    closeSync(fd);
  }
}

/** Lines with their ends, the last one perhaps without. Piece by piece: a journal may be longer than any text. */
function* linesOf(fd: number): Generator<Buffer> {
  let begun: Buffer[] = [];
  for (;;) {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    const piece = buffer.subarray(0, readSync(fd, buffer));
    if (piece.length === 0) break;
    let from = 0;
    for (let end = piece.indexOf(0x0a); end !== -1; end = piece.indexOf(0x0a, from)) {
      yield Buffer.concat([...begun, piece.subarray(from, end + 1)]);
      begun = [];
      from = end + 1;
    }
    if (from < piece.length) begun.push(piece.subarray(from));
  }
  if (begun.length > 0) yield Buffer.concat(begun);
}

/** Undefined for what is no line of a journal, or has no end. */
function parse<Entry>(line: string): { hash: string; entry: Entry } | undefined {
  if (!line.endsWith('\n')) return undefined;
  try {
    const value = JSON.parse(line) as { hash?: unknown; entry?: Entry };
    return typeof value.hash === 'string' && value.entry !== undefined ? { hash: value.hash, entry: value.entry } : undefined;
  } catch {
    return undefined;
  }
}

/** Pid of another process that writes the journal in `dir`. */
export function writerOf(dir: string): number | undefined {
  const path = join(dir, 'lock');
  const held = existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0;
  return held > 0 && held !== process.pid && isAlive(held) ? held : undefined;
}

/** One writer a directory. The lock of a process that is gone is taken over. */
function lock(dir: string): () => void {
  const path = join(dir, 'lock');
  const held = writerOf(dir);
  if (held !== undefined) throw new StoreFailedError(`another Weft server (pid ${held}) uses ${dir}: stop it, or set WEFT_HOME to another directory`);
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, String(process.pid));
  closeSync(openSync(temporary, 'r'));
  renameSync(temporary, path);
  return () => rmSync(path, { force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

import { mkdtempSync, rmSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openJournalFile } from './journal-file.ts';

/** The disk takes half of what is written, and says it is full. */
let full = false;
let truncates = true;
vi.mock('node:fs/promises', async (original) => {
  const real = await original<{ open(...of: unknown[]): Promise<FileHandle> }>();
  const open = async (...of: unknown[]): Promise<FileHandle> => {
    const handle = await real.open(...of);
    const append = handle.appendFile.bind(handle);
    const truncate = handle.truncate.bind(handle);
    handle.appendFile = async (text) => {
      if (!full) return append(text);
      await append(String(text).slice(0, 20));
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    };
    handle.truncate = (length) => (truncates ? truncate(length) : Promise.reject(new Error('EIO')));
    return handle;
  };
  return { ...real, open };
});

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'weft-journal-'));
  [full, truncates] = [false, true];
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));
const openJournal = (onEntry: (entry: { n: number }) => void = () => undefined) => openJournalFile(dir, onEntry, () => undefined);

test('a write a full disk refused leaves nothing behind: when there is room again the next is taken', async () => {
  const journal = await openJournal();
  await journal.append({ n: 1 });
  full = true;
  const refused = await Promise.allSettled([journal.append({ n: 2 }), journal.append({ n: 3 })]);
  expect(refused.map((r) => (r as PromiseRejectedResult).reason.message)).toEqual(Array(2).fill(expect.stringMatching(/ENOSPC.*The change was not accepted/)));
  full = false;
  await journal.append({ n: 4 });
  await journal.close();
  const entries: unknown[] = [];
  const again = await openJournal((entry) => entries.push(entry));
  expect(entries).toEqual([{ n: 1 }, { n: 4 }]);
  await again.close();
});

test('what cannot be taken back keeps everything else out', async () => {
  const journal = await openJournal();
  [full, truncates] = [true, false];
  await expect(journal.append({ n: 1 })).rejects.toThrow('ENOSPC');
  full = false;
  await expect(journal.append({ n: 2 })).rejects.toThrow('failed earlier');
  await journal.close();
});

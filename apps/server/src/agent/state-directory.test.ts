import { mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openStateDirectory } from './state-directory.ts';

test('the state directory is made, and nothing is left in it', () => {
  const dir = join(mkdtempSync(join(tmpdir(), 'weft-state-')), 'a/b');
  openStateDirectory(dir);
  openStateDirectory(dir);
  expect(readdirSync(dir)).toEqual([]);
});

test('one that cannot be made, or whose disk is full, is told by its name', () => {
  const parent = mkdtempSync(join(tmpdir(), 'weft-state-'));
  writeFileSync(join(parent, 'file'), '');
  symlinkSync('/dev/full', join(parent, `room.${process.pid}`));
  for (const [dir, why] of [
    ['/proc/x', 'ENOENT'],
    [join(parent, 'file'), 'ENOTDIR'],
    [join(parent, 'file/x'), 'ENOTDIR'],
    [parent, 'ENOSPC'],
  ] as const)
    expect(() => openStateDirectory(dir)).toThrow(new RegExp(`^cannot write the state directory ${dir}: ${why}`));
});

import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { unifiedDiff } from './unified-diff.ts';

const names = { before: 'a', after: 'b' };
const lines = (from: number, to: number): string => Array.from({ length: to - from + 1 }, (_, i) => `${from + i}\n`).join('');

test.each([
  ['one line of many', lines(1, 30), lines(1, 30).replace('15\n', 'x\n')],
  ['two hunks', lines(1, 30), lines(1, 30).replace('5\n', 'x\n').replace('25\n', '')],
  ['two that touch', lines(1, 30), lines(1, 30).replace('\n10\n', '\nx\n').replace('\n17\n', '\n')],
  ['two that just do not', lines(1, 30), lines(1, 30).replace('\n10\n', '\nx\n').replace('\n18\n', '\n')],
  ['at the ends', lines(1, 20), `0\n${lines(1, 19)}`],
  ['from nothing', '', lines(1, 4)],
  ['to nothing', lines(1, 4), ''],
  ['one line', 'a\n', 'b\n'],
])('as diff -u has it: %s', (_, before, after) => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-diff-'));
  writeFileSync(join(dir, 'a'), before);
  writeFileSync(join(dir, 'b'), after);
  const { stdout } = spawnSync('diff', ['-u', '--label', 'a', '--label', 'b', join(dir, 'a'), join(dir, 'b')], { encoding: 'utf8' });
  expect(`${unifiedDiff(before, after, names)}\n`).toBe(stdout);
});

test('nothing of equal texts', () => {
  expect(unifiedDiff(lines(1, 3), lines(1, 3), names)).toBe('');
});

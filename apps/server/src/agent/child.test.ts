import { mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startChild } from './child.ts';

test('a child whose log cannot be written runs on', async () => {
  const logFile = join(mkdtempSync(join(tmpdir(), 'weft-child-')), 'x.log');
  symlinkSync('/dev/full', logFile);
  const script = "console.log('ready'); process.on('message', () => { console.log('more'); process.exit(3); })";
  let ended: (reason: string) => void = () => undefined;
  const reason = new Promise<string>((resolve) => (ended = resolve));
  const child = startChild({
    name: 'x',
    command: process.execPath,
    args: ['-e', script],
    logFile,
    readyLine: (line) => line === 'ready',
    onExit: (why) => ended(why),
  });
  await child.ready();
  child.send({});
  expect(await reason).toBe('ended with 3');
  await child.stop();
});

import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
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

test('a child that cannot be started again at once is started when it can be; its log goes on after a disk that was full', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-child-'));
  const [command, logFile] = [join(dir, 'node'), join(dir, 'x.log')];
  symlinkSync(process.execPath, command);
  symlinkSync('/dev/full', logFile);
  const ends: string[] = [];
  const script = "console.log('ready'); process.on('message', () => process.exit(3))";
  const child = startChild({ name: 'x', command, args: ['-e', script], logFile, readyLine: (line) => line === 'ready', onExit: (why) => ends.push(why) });
  await child.ready();
  rmSync(command);
  rmSync(logFile);
  child.send({});
  await expect.poll(() => ends.slice(0, 2)).toEqual(['ended with 3', expect.stringContaining('could not start')]);
  symlinkSync(process.execPath, command);
  await expect.poll(() => child.ready().then(() => readFileSync(logFile, 'utf8')), { timeout: 20_000 }).toBe('ready\n');
  await child.stop();
});

test('a child of another kind is started again though its log is gone', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-child-'));
  const ends: string[] = [];
  const logFile = join(dir, 'x.log');
  const child = startChild({
    name: 'x',
    command: process.execPath,
    args: ['-e', 'process.stdin.resume()'],
    logFile,
    ipc: false,
    onExit: (why) => ends.push(why),
  });
  await child.ready();
  rmSync(dir, { recursive: true });
  const { pid = 0 } = child;
  process.kill(pid, 'SIGKILL');
  await expect.poll(() => ends).toEqual(['ended with SIGKILL']);
  await expect.poll(() => child.pid).not.toBe(pid);
  await child.ready();
  await child.stop();
});

test('a child has 60 s to be ready, and is told of with its log when it is not', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const logFile = join(mkdtempSync(join(tmpdir(), 'weft-child-')), 'x.log');
  const child = startChild({ name: 'x', command: process.execPath, args: ['-e', 'setInterval(() => 0, 1e6)'], logFile, readyLine: () => false });
  const failed = vi.fn<(error: Error) => void>();
  child.ready().catch(failed);
  await vi.advanceTimersByTimeAsync(59_999);
  expect(failed).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  expect(failed.mock.calls[0]?.[0].message).toBe(`x was not ready after 60 s. Its log: ${logFile}`);
  vi.useRealTimers();
  await child.stop();
});

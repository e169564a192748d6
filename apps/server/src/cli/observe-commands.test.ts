// What the commands say where there is nothing to show.
import type { AddressInfo } from 'node:net';
import { Command } from 'commander';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type TestApi, startTestApi } from '../api/testing/services.ts';
import { registerObserve } from './observe-commands.ts';

let api: TestApi;
let said: string;
beforeEach(async () => {
  said = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((said += String(text)), true));
  api = await startTestApi();
  await api.app.listen({ host: '127.0.0.1', port: 0 });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await api.close();
});

async function run(...args: string[]): Promise<void> {
  const program = new Command().exitOverride().option('--server <url>', '', `http://127.0.0.1:${(api.app.server.address() as AddressInfo).port}`);
  registerObserve(program);
  await program.parseAsync(args, { from: 'user' });
}

test('a namespace that is not there is told', async () => {
  await expect(run('stat', '-n', 'nope')).rejects.toThrow('there is no namespace nope; there is ');
  await expect(run('edges', '-n', 'nope')).rejects.toThrow('there is no namespace nope; there is ');
});

test('a trace id that is none is told in words', async () => {
  await expect(run('trace', 'zz')).rejects.toThrow('zz is no trace id: it has 16 to 32 digits, 0-9 and a-f');
});

test('no request is told, by the name that was asked for', async () => {
  await run('requests', 'reviews', '--errors');
  await run('requests', 'reviews.bookinfo');
  await run('traces', '--service', 'nope');
  expect(said.trim().split('\n')).toEqual([
    'weft: no traced request of reviews.bookinfo failed',
    'weft: no traced request of reviews.bookinfo is kept',
    'weft: no such trace is kept',
  ]);
});

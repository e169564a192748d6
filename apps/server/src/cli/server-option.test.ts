import { Command } from 'commander';
import { expect, test } from 'vitest';
import { serverOption, takeServerAnywhere } from './server-option.ts';

/** Which server a command speaks to. */
async function server(...args: string[]): Promise<unknown> {
  const program = new Command('weft')
    .addOption(serverOption({}))
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  let seen: unknown;
  const hear = (...all: unknown[]): void => void (seen = (all.at(-1) as Command).optsWithGlobals()['server']);
  program.command('stat').option('-n <namespace>').action(hear);
  program.command('proxy').command('status').argument('[name]').action(hear);
  program.command('run').action(hear);
  takeServerAnywhere(program, ['run']);
  await program.parseAsync(args, { from: 'user' });
  return seen;
}

test('the server is named before the command, behind it, or behind what belongs to it', async () => {
  expect(await server('stat')).toBe('http://127.0.0.1:20001');
  expect(await server('--server', 'http://a', 'stat', '-n', 'x')).toBe('http://a');
  expect(await server('stat', '-n', 'x', '--server', 'http://b')).toBe('http://b');
  expect(await server('proxy', 'status', 'reviews-v1', '--server=http://c')).toBe('http://c');
  expect(await server('--server', 'http://a', 'stat', '--server', 'http://d')).toBe('http://d');
});

test('a command that speaks to no server takes none', async () => {
  await expect(server('run', '--server', 'http://a')).rejects.toThrow("unknown option '--server'");
});

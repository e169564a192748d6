// `weft`: the command line. Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 no server.

import { Command, CommanderError } from 'commander';
import { registerGateway } from '../agent/gateway-command.ts';
import { registerRun } from '../agent/run-command.ts';
import { registerUp } from '../fleet/up-command.ts';
import { StartError } from '../agent/errors.ts';
import { VERSION } from '../version.ts';
import { registerAnalyze } from './analyze-command.ts';
import { registerDiff } from './diff-command.ts';
import { registerObjects } from './objects-commands.ts';
import { registerObserve } from './observe-commands.ts';
import { registerProxy } from './proxy-commands.ts';
import { serverOption, takeServerAnywhere } from './server-option.ts';
import { registerTraffic } from './traffic-commands.ts';

// `weft ... | head` closes our output: that is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

const program = new Command('weft')
  .description('A service mesh and the console that runs it')
  .version(VERSION)
  .addOption(serverOption(process.env))
  .enablePositionalOptions()
  .exitOverride();
registerUp(program);
registerRun(program);
registerGateway(program);
registerObjects(program);
registerDiff(program);
registerAnalyze(program);
registerProxy(program);
registerTraffic(program);
registerObserve(program);
takeServerAnywhere(program, ['up', 'run', 'gateway']);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCode(error);
}

function exitCode(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  process.stderr.write(`weft: ${(error as Error).message}\n`);
  if (!(error instanceof StartError)) return 1;
  if (error.code === 'WEFT_SERVER_UNREACHABLE') return 3;
  return error.code === 'WEFT_USAGE' || error.code === 'WEFT_DIFF_FAILED' ? 2 : 1;
}

// Which server the commands speak to: that of `weft up` on this machine, with the port `weft up` takes from the same variable.

import { type Command, Option } from 'commander';

const FLAG = '--server <url>';

export function serverOption(environment: Readonly<Record<string, string | undefined>>): Option {
  return new Option(FLAG, 'address of the Weft server; commands take it too')
    .env('WEFT_SERVER')
    .default(`http://127.0.0.1:${environment['WEFT_PORT'] || 20001}`);
}

/** Commands take the program's option behind their name too, as those of kubectl do; `but`: names of commands that speak to no server. */
export function takeServerAnywhere(program: Command, but: readonly string[] = []): void {
  const all = program.commands.flatMap((command) => [command, ...command.commands]);
  for (const command of all.filter((one) => !but.includes(one.name())))
    command.addOption(new Option(FLAG).hideHelp()).on('option:server', (url) => program.setOptionValueWithSource('server', url, 'cli'));
}

// Which server the commands speak to: that of `weft up` on this machine, with the port `weft up` takes from the same variable.

import { Option } from 'commander';

export function serverOption(environment: Readonly<Record<string, string | undefined>>): Option {
  return new Option('--server <url>', 'address of the Weft server').env('WEFT_SERVER').default(`http://127.0.0.1:${environment['WEFT_PORT'] || 20001}`);
}

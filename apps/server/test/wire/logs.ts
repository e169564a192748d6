// Access logs of the proxies a case has gone through.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const LOG_FORMAT =
  '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_PORT% %START_TIME% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n';

/** One case in its lane. */
export interface Run {
  /** The client's address, each its own. */
  from: string;
  /** Milliseconds since 1970. */
  begun: number;
  /** Where the second sidecar listens for the first; 0 = there is none. Cases meet it one after the other. */
  behind: number;
}

export interface Lines {
  log: string[];
  /** Of the second sidecar. */
  behind: string[];
}

export function readLogs(dir: string, runs: readonly Run[]): Map<string, Lines> {
  const found = new Map(runs.map(({ from }) => [from, { log: [], behind: [] } satisfies Lines as Lines]));
  for (const line of readdirSync(dir).flatMap((file) => readFileSync(join(dir, file), 'utf8').split('\n'))) {
    const [from = '', port, begun, ...rest] = line.split(' ');
    const before = runs.findLast((run) => run.behind === Number(port) && run.begun <= Date.parse(begun ?? ''));
    const lines = before === undefined ? found.get(from)?.log : found.get(before.from)?.behind;
    lines?.push(rest.join(' '));
  }
  return found;
}

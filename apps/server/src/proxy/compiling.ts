// V8's compilers take 7 MB of a process that does nothing, for code that ran at its start. A proxy is started without them
// (agent/proxy-flags.ts) and gets them with its first connection or with a configuration that is large.

import { setFlagsFromString } from 'node:v8';

let compiling = false;

export function startCompiling(): void {
  if (compiling) return;
  compiling = true;
  setFlagsFromString('--opt');
  setFlagsFromString('--sparkplug');
}

// The proxy program: `node dist/proxy-program/main.cjs <specs.json>` runs every proxy of the file in this process.
// SIGHUP or the IPC message `{specs}` changes the set; SIGTERM drains; it ends by itself when its parent is gone.

import { createProxyRuntime } from './http/runtime.ts';
import { createFleet, readSpecs } from './fleet.ts';
import { giveBackMemory } from './give-back-memory.ts';
import { inheritSockets } from './listener/listening-sockets.ts';
import { defaultOverloadLimits, startOverloadMonitor } from './overload/overload-monitor.ts';
import type { ProxySpec } from './config/proxy-spec.ts';

const DRAIN_MS = 5_000;
/** Listeners should be up by then; those that are not are reported as failed, and go on trying. */
const READY_MS = 20_000;
/** By then what comes with the first configuration is over: statistics, acknowledgements, warming. */
const SETTLED_MS = 1_000;

// Not at the top level: there a program in CommonJS cannot wait (vite.config.ts).
async function run(specFile: string): Promise<void> {
  const log = (message: string): void => void process.stderr.write(`${new Date().toISOString()} ${message}\n`);
  let ending: Promise<void> | undefined;
  const end = (reason: string): void => {
    ending ??= (async () => {
      log(`ending: ${reason}`);
      await fleet.drain(DRAIN_MS);
      process.exit(0);
    })();
  };
  const sockets = await inheritSockets(process.env);
  const number = (name: string, fallback: number): number => Number(process.env[name]) || fallback;
  const { monitor: overload } = startOverloadMonitor(
    {
      maxActiveRequests: number('WEFT_OVERLOAD_MAX_REQUESTS', defaultOverloadLimits.maxActiveRequests),
      maxHeapFraction: number('WEFT_OVERLOAD_MAX_HEAP_FRACTION', defaultOverloadLimits.maxHeapFraction),
      maxLoopDelayMs: number('WEFT_OVERLOAD_MAX_LOOP_DELAY_MS', defaultOverloadLimits.maxLoopDelayMs),
    },
    log,
  );
  const fleet = createFleet({ createRuntime: (deps) => createProxyRuntime({ ...deps, overload }), log, quit: () => end('/quitquitquit'), sockets });
  const report = async (specs: readonly ProxySpec[]): Promise<void> => {
    const result = await fleet.set(specs, READY_MS);
    process.stdout.write(`${JSON.stringify(result)}\n`);
  };

  process.on('SIGTERM', () => end('SIGTERM'));
  process.on('SIGINT', () => end('SIGINT'));
  process.on('SIGHUP', () => {
    try {
      void report(readSpecs(specFile));
    } catch (error) {
      log((error as Error).message);
    }
  });
  process.on('message', (message: unknown) => {
    if (typeof message === 'object' && message !== null && 'specs' in message && Array.isArray(message.specs)) void report(message.specs as ProxySpec[]);
  });
  process.on('disconnect', () => end('the supervisor is gone'));
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) end('the supervisor is gone');
  }, 1_000).unref();

  try {
    await report(readSpecs(specFile));
    setTimeout(() => void giveBackMemory(), SETTLED_MS).unref();
  } catch (error) {
    log((error as Error).message);
    process.exit(1);
  }
}

const [, , specFile] = process.argv;
if (specFile === undefined) {
  process.stderr.write('usage: node proxy-program/main.cjs <specs.json>\n');
  process.exit(2);
}
void run(specFile);

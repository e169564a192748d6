import { execFileSync } from 'node:child_process';
import { setFlagsFromString } from 'node:v8';
import { expect, test, vi } from 'vitest';
import { PROXY_FLAGS } from '../agent/proxy-flags.ts';
import { startCompiling } from './compiling.ts';

vi.mock('node:v8', async (original) => ({ ...(await original<typeof import('node:v8')>()), setFlagsFromString: vi.fn() }));

/** Whether V8 compiles a loop in a process as proxies are started, once it has these flags. */
const compiles = (flags: readonly string[]): boolean => {
  const script = `
    const { setFlagsFromString } = require('node:v8');
    for (const flag of ${JSON.stringify(flags)}) setFlagsFromString(flag);
    const hot = (n) => { let sum = 0; for (let i = 0; i < n; i++) sum += i % 7; return sum; };
    const OPTIMIZED = 16;
    let compiled = false;
    for (let i = 0; i < 20_000 && !compiled; i++) { hot(1_000); compiled = (%GetOptimizationStatus(hot) & OPTIMIZED) !== 0; }
    console.log(compiled);`;
  return execFileSync(process.execPath, [...PROXY_FLAGS, '--no-maglev', '--allow-natives-syntax', '-e', script], { encoding: 'utf8' }) === 'true\n';
};

test('a proxy process compiles from its first connection on, and not before', () => {
  startCompiling();
  startCompiling();
  const flags = vi.mocked(setFlagsFromString).mock.calls.map(([flag]) => flag);
  expect(flags).toHaveLength(2);
  expect([compiles([]), compiles(flags)]).toEqual([false, true]);
});

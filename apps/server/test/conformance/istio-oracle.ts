// Istio's own code as a child process (shared/tools/istio-oracle): questions as lines of JSON, answers by id.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Path of the oracle; undefined, and a line with the reason, when there is none. */
export function oracleBinary(): string | undefined {
  const cached = join(process.env['WEFT_ENGINES'] ?? join(homedir(), '.cache/weft/engines'), 'istio-oracle/istio-oracle');
  const found = [process.env['ISTIO_ORACLE_BIN'], cached].find((path) => path !== undefined && existsSync(path));
  if (found === undefined) console.warn(`skipped: no istio-oracle in ISTIO_ORACLE_BIN or ${cached}; node scripts/engines/istio-oracle.mjs builds it`);
  return found;
}

export class IstioOracle {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  #next = 1;

  constructor(binary: string) {
    this.#child = spawn(binary, ['loop'], { stdio: 'pipe' });
    this.#child.stderr.resume();
    createInterface(this.#child.stdout).on('line', (line) => {
      const { id, ok, result, error } = JSON.parse(line) as { id: number; ok: boolean; result: unknown; error: string };
      const question = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (ok) question?.resolve(result);
      else question?.reject(new Error(error));
    });
    this.#child.on('exit', (code) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`istio-oracle ended with ${code}`));
    });
  }

  ask<T>(op: 'validate' | 'simulate' | 'xds' | 'analyze', question: object): Promise<T> {
    const id = this.#next++;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#child.stdin.write(`${JSON.stringify({ id, op, ...question })}\n`);
    });
  }

  close(): void {
    this.#child.stdin.end();
  }
}

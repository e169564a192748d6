// The proxies of one process, kept in line with a list of specs.

import { readFileSync } from 'node:fs';
import type { ProxyRole } from '@weft/mesh-core/model';
import type { ProxySpec } from './config/proxy-spec.ts';
import { type ProxyDeps, type ProxyHandle, startProxy } from './instance.ts';

interface FleetResult {
  ready: string[];
  failed: { name: string; reason: string }[];
}

export interface Fleet {
  /** Starts what is new, restarts what changed, drains what is gone; resolves when all serve or `readyMs` are over. */
  set(specs: readonly ProxySpec[], readyMs: number): Promise<FleetResult>;
  drain(ms: number): Promise<void>;
}

const REMOVED_DRAIN_MS = 5_000;

export function createFleet(deps: ProxyDeps): Fleet {
  const running = new Map<string, { spec: string; role: ProxyRole; handle: ProxyHandle }>();
  let last: Promise<unknown> = Promise.resolve();

  const startOne = async (name: string, spec: ProxySpec, readyMs: number): Promise<void> => {
    const text = JSON.stringify(spec);
    const before = running.get(name);
    if (before?.spec !== text) {
      running.delete(name);
      // The new one needs the old one's ports.
      await before?.handle.drain(REMOVED_DRAIN_MS);
      running.set(name, { spec: text, role: spec.role, handle: await startProxy(spec, deps) });
    }
    await within(running.get(name)?.handle.ready ?? Promise.resolve(), readyMs);
  };
  const set = async (specs: readonly ProxySpec[], readyMs: number): Promise<FleetResult> => {
    const wanted = new Map(specs.map((spec) => [`${spec.workload}.${spec.namespace}`, spec]));
    const gone = [...running].filter(([name]) => !wanted.has(name));
    for (const [name] of gone) running.delete(name);
    await Promise.all(gone.map(([, { handle }]) => handle.drain(REMOVED_DRAIN_MS)));
    const result: FleetResult = { ready: [], failed: [] };
    await Promise.all(
      [...wanted].map(async ([name, spec]) => {
        try {
          await startOne(name, spec, readyMs);
          result.ready.push(name);
        } catch (error) {
          result.failed.push({ name, reason: (error as Error).message });
        }
      }),
    );
    return result;
  };
  return {
    set: (specs, readyMs) => {
      const next = last.then(() => set(specs, readyMs));
      last = next.catch(() => undefined);
      return next;
    },
    async drain(ms) {
      // Gateways first: what they have let in still needs the sidecars.
      for (const role of ['router', 'sidecar']) await Promise.all([...running.values()].filter((p) => p.role === role).map(({ handle }) => handle.drain(ms)));
      running.clear();
    },
  };
}

/** @throws when the file cannot be read or is not a list of specs. */
export function readSpecs(path: string): ProxySpec[] {
  const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
  if (!Array.isArray(value)) throw new Error(`${path}: expected a list of proxy specs`);
  for (const [i, spec] of value.entries()) if (typeof (spec as ProxySpec | null)?.workload !== 'string') throw new Error(`${path}: [${i}].workload is missing`);
  return value as ProxySpec[];
}

async function within(promise: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no complete configuration from the control plane within ${ms} ms; still trying`)), ms);
  });
  try {
    await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

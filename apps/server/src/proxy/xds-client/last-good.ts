// The last good configuration on disk, so that a proxy restarted while the control plane is away still serves.
// Secrets are never written; the proxy's own identity is, readable by its user alone.

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TYPE_URL, type TypeUrl } from '@weft/mesh-core/xds-types';
import type { XdsIdentity } from '../identity/workload-identity.ts';
import type { Configuration, RawResource } from './configuration.ts';

/** Many updates in a row are one write. */
const SAVE_AFTER_MS = 500;
const KEPT: readonly TypeUrl[] = [TYPE_URL.cluster, TYPE_URL.endpoint, TYPE_URL.route, TYPE_URL.listener];

export interface LastGood {
  /** The identity kept for this mesh root, unless it has expired. */
  identity(rootCaPem: string): XdsIdentity | undefined;
  saveIdentity(identity: XdsIdentity, rootCaPem: string): void;
  /** Writes soon; calls in between are one write. */
  changed(configuration: Configuration): void;
  /** Applies what was kept; true when there was something. */
  restore(configuration: Configuration): Promise<boolean>;
  close(): void;
}

/** `dir` '' keeps nothing. Failures to write are told once and otherwise harmless. */
export function openLastGood(dir: string, name: string, log: (message: string) => void): LastGood {
  const file = join(dir, `${name}.xds.json`);
  const identityFile = join(dir, `${name}.identity.json`);
  let timer: NodeJS.Timeout | undefined;
  let pending: Configuration | undefined;
  let told = false;
  const write = (path: string, value: unknown): void => {
    try {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      writeFileSync(`${path}.new`, JSON.stringify(value), { mode: 0o600 });
      renameSync(`${path}.new`, path);
    } catch (error) {
      if (!told) log(`cannot keep the last good configuration in ${path}: ${(error as Error).message}`);
      told = true;
    }
  };
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const configuration = pending;
    pending = undefined;
    if (configuration === undefined) return;
    const encoded = (typeUrl: TypeUrl) =>
      configuration.raw(typeUrl).map((r) => ({ name: r.name, version: r.version, body: Buffer.from(r.body).toString('base64') }));
    write(file, Object.fromEntries(KEPT.map((typeUrl) => [typeUrl, encoded(typeUrl)])));
  };
  return {
    identity(rootCaPem) {
      if (dir === '') return undefined;
      const kept = readJson<{ identity: XdsIdentity; rootCaPem: string }>(identityFile);
      // A mesh set up anew has another root, and would refuse certificates of the old one.
      return kept !== undefined && kept.rootCaPem === rootCaPem && kept.identity.notAfter > Date.now() + 60_000 ? kept.identity : undefined;
    },
    saveIdentity: (identity, rootCaPem) => {
      if (dir !== '') write(identityFile, { identity, rootCaPem });
    },
    changed: (configuration) => {
      if (dir === '') return;
      pending = configuration;
      timer ??= setTimeout(flush, SAVE_AFTER_MS);
      timer.unref();
    },
    async restore(configuration) {
      const kept = dir === '' ? undefined : readJson<Record<string, { name: string; version: string; body: string }[]>>(file);
      if (kept === undefined) return false;
      for (const typeUrl of KEPT) {
        const resources: RawResource[] = (kept[typeUrl] ?? []).map((r) => ({ ...r, body: Uint8Array.from(Buffer.from(r.body, 'base64')) }));
        await configuration.apply(typeUrl, resources, []);
      }
      return configuration.listeners().length > 0;
    },
    // What came just before the end counts too: the next start may find no control plane.
    close: flush,
  };
}

function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
}

// The credential of an Envoy's xDS connection: had like any proxy's, written as one file Envoy watches, renewed at half life.

import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProxySpec } from '../proxy/config/proxy-spec.ts';
import { keepIdentity } from '../proxy/identity/keep-identity.ts';
import { openLastGood } from '../proxy/xds-client/last-good.ts';
import { type XdsCredential, credentialSds } from './envoy-bootstrap.ts';
import { StartError } from './errors.ts';

const FIRST_WITHIN_MS = 20_000;

export interface RenewedCredential {
  files: XdsCredential;
  stop(): void;
}

/** Resolves when the files are there; rejects when the control plane gives no certificate in time. */
export async function startCredential(spec: ProxySpec, dir: string, log: (line: string) => void): Promise<RenewedCredential> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const files: XdsCredential = { sdsFile: join(dir, 'xds.sds.json'), rootCaFile: join(dir, 'root.crt') };
  replace(files.rootCaFile, spec.rootCaPem);
  // The identity is kept on disk as the embedded proxy keeps it: an agent that starts again needs no join token.
  const kept = openLastGood(spec.stateDir, `${spec.workload}.${spec.namespace}`, log);
  let written: () => void = () => undefined;
  const first = new Promise<void>((resolve, reject) => {
    written = resolve;
    setTimeout(
      () => reject(new StartError('WEFT_CHILD_FAILED', `no certificate for ${spec.workload} from ${spec.xdsAddress} within ${FIRST_WITHIN_MS / 1000} s`)),
      FIRST_WITHIN_MS,
    ).unref();
  });
  const identity = keepIdentity(spec, kept, log, () => {
    const { chainPem, keyPem } = identity.require();
    // Key and chain in one file, moved into place in one step: Envoy never sees halves of two.
    replace(files.sdsFile, JSON.stringify(credentialSds(chainPem, keyPem)));
    written();
  });
  try {
    await first;
  } catch (error) {
    identity.stop();
    throw error;
  }
  return { files, stop: () => identity.stop() };
}

function replace(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

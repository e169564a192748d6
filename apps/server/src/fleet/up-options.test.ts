import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type UpOptions, checkMachine } from './up-options.ts';

test('a state directory in which another mesh runs is refused; that of a server which is gone is not', async () => {
  const stateDir = mkdtempSync(join(tmpdir(), 'weft-up-'));
  const ports = { port: 0, xdsPort: 0, xdsTlsPort: 0, otlpGrpcPort: 0, otlpHttpPort: 0, gatewayPort: 0 };
  const check = (): Promise<void> => checkMachine({ stateDir, ...ports } as UpOptions);
  await check();
  mkdirSync(join(stateDir, 'config'));
  writeFileSync(join(stateDir, 'config/lock'), String(process.ppid));
  await expect(check()).rejects.toThrow(`another mesh (its server has pid ${process.ppid}) uses ${stateDir}`);
  writeFileSync(join(stateDir, 'config/lock'), String(2 ** 22 + 1));
  await check();
});

// The server process: config store, certificates, control plane, telemetry and API, wired and started in that order.
// Usage: node main.js <options.json>; prints one JSON line when it serves; ends when its supervisor is gone.

import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Load } from '@weft/mesh-core/api';
import { createApp } from './api/app.ts';
import { createCertificateAuthority, createSecretProvider } from './certificates/ca.ts';
import { openJournalStore } from './config-store/journal-store.ts';
import { createControlPlane } from './control-plane/create-control-plane.ts';
import { createCrowdMemory } from './crowd-memory.ts';
import type { ServerOptions } from './server-options.ts';
import { createTelemetry } from './telemetry/create-telemetry.ts';
import { VERSION } from './version.ts';

const path = process.argv[2];
if (path === undefined) throw new Error('usage: node main.js <options.json>');
const options = JSON.parse(readFileSync(path, 'utf8')) as ServerOptions;
const log = (message: string): void => void process.stderr.write(`${new Date().toISOString()} ${message}\n`);

try {
  const stop = await serve(options);
  let stopping = false;
  const end = (): void => {
    if (stopping) return;
    stopping = true;
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log(String(error));
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  process.on('disconnect', end);
  process.stdout.write(`${JSON.stringify({ ready: `http://${options.host}:${options.port}` })}\n`);
} catch (error) {
  log((error as Error).message);
  process.exit(1);
}

async function serve({ stateDir, host, settings, ...ports }: ServerOptions): Promise<() => Promise<void>> {
  mkdirSync(stateDir, { recursive: true });
  const store = await openJournalStore({ dir: join(stateDir, 'config'), now: Date.now, log });
  const ca = await createCertificateAuthority({ stateDir: join(stateDir, 'ca'), trustDomain: settings.trustDomain });
  const secrets = createSecretProvider({ ca, onError: (error) => log(`certificate: ${String(error)}`) });
  const memory = createCrowdMemory();
  const controlPlane = createControlPlane({
    store,
    settings,
    ca,
    secrets,
    ports: { plain: ports.xdsPort, tls: ports.xdsTlsPort, host },
    ...(ports.xdsMaxConnectionAgeMs === undefined ? {} : { maxConnectionAgeMs: ports.xdsMaxConnectionAgeMs }),
    onCrowd: (coming) => void memory.crowd(coming),
    onSettled: memory.settled,
    log: ({ level, message, fields }) => log(`${level} ${message} ${JSON.stringify(fields)}`),
  });
  const telemetry = createTelemetry({
    clock: Date.now,
    objects: () => store.list().items,
    proxies: () => controlPlane.proxies(),
    host,
    otlpHttpPort: ports.otlpHttpPort,
    otlpGrpcPort: ports.otlpGrpcPort,
    log,
    ...(ports.traceExport === undefined ? {} : { traceExport: ports.traceExport }),
  });
  const app = await createApp({
    store,
    controlPlane,
    telemetry,
    settings,
    joinGrant: (workload) => ({
      token: ca.issueJoinToken(workload),
      rootCaPem: ca.rootCaPem,
      xdsAddress: `${host}:${ports.xdsTlsPort}`,
      otlpEndpoint: `http://${host}:${ports.otlpHttpPort}`,
      trustDomain: settings.trustDomain,
      meshId: settings.meshId,
    }),
    ...(ports.demoControlUrl === undefined ? {} : { load: demoLoad(ports.demoControlUrl) }),
    now: Date.now,
    serverId: randomUUID(),
    version: VERSION,
    startedAt: Date.now(),
    host,
    log,
    consoleDir: ports.consoleDir,
  });
  await telemetry.start();
  await controlPlane.start();
  await app.listen({ host, port: ports.port });
  return async () => {
    await app.close();
    await controlPlane.stop();
    secrets.close();
    await telemetry.stop();
    await store.close();
  };
}

function demoLoad(url: string): { get: () => Promise<Load>; set: (rps: number) => Promise<Load> } {
  const call = async (body?: object): Promise<Load> =>
    (
      await fetch(url, { signal: AbortSignal.timeout(3_000), ...(body === undefined ? {} : { method: 'PUT', body: JSON.stringify(body) }) })
    ).json() as Promise<Load>;
  return { get: () => call(), set: (rps) => call({ rps }) };
}

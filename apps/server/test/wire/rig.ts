// Both data planes side by side, with lanes: an application behind a port of its own, so that cases run at once and none
// meets a connection another has left.

import type { AddressInfo, Server } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runPlane, type PLANES, type RunningPlane } from '../planes/planes.ts';
import { LAST, type Case, type Outcome } from './case.ts';
import { type AppPorts, configurationOf, listenerName, type Role, roleOf } from './configuration.ts';
import { Http1App } from './http1-app.ts';
import { askHttp1 } from './http1-client.ts';
import { type Lines, LOG_FORMAT, readLogs, type Run } from './logs.ts';
import { Http2App } from './http2-app.ts';
import { askHttp2 } from './http2-client.ts';

export type Plane = (typeof PLANES)[number];

/** Nothing has happened for so long: nothing will. More than the second Envoy leaves a connection it closes. */
const QUIET_MS = 1500;

export interface Rig {
  lanes: number;
  /** Runs a case in a lane; the log comes later. */
  run(it: Case, lane: number): Promise<Outcome>;
  /** Lines of the access logs by the client's address, once all are written: stops the proxies. */
  stop(): Promise<Map<string, Lines>>;
}

const askLast = { writes: [{ bytes: `GET ${LAST} HTTP/1.1\r\nhost: app.test\r\nconnection: close\r\n\r\n`, after: 0 }], methods: ['GET'] };

interface Lane {
  http1: Http1App;
  http2: Http2App;
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

async function startLane(): Promise<Lane> {
  const lane = { http1: new Http1App(), http2: new Http2App() };
  for (const { server } of [lane.http1, lane.http2]) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return lane;
}

export async function startRig(plane: Plane, lanes: number): Promise<Rig> {
  const apps = await Promise.all(Array.from({ length: lanes }, startLane));
  const ports = apps.map(({ http1, http2 }) => ({ http1: portOf(http1.server), http2: portOf(http2.server) }));
  const dir = mkdtempSync(join(tmpdir(), 'weft-wire-'));
  const running = new Map<Role, Promise<RunningPlane>>();
  /** Started by the first case that needs it. */
  const planeOf = (role: Role): Promise<RunningPlane> => {
    const start = async (): Promise<RunningPlane> => {
      const { objects, node, secrets } = await configurationOf(role, ports, behind);
      return runPlane(plane, objects, { node, secrets, settings: { accessLogFile: join(dir, role), accessLogFormat: LOG_FORMAT } });
    };
    const started = running.get(role) ?? start();
    running.set(role, started);
    return started;
  };
  const behind = async (): Promise<AppPorts[]> => {
    const { port } = await planeOf('inbound');
    return apps.map((_, lane) => ({ http1: port(listenerName('behind', lane, 'http1')), http2: port(listenerName('behind', lane, 'http2')) }));
  };
  /** Handshakes take as long as they take. */
  const met = new Set<number>();
  const runs: Run[] = [];
  return {
    lanes,
    async run(it, lane) {
      const number = runs.length;
      const from = `127.${1 + (number >> 14)}.${(number >> 7) & 127}.${1 + (number & 127)}`;
      const { http1, http2 } = apps[lane] as Lane;
      const app = it.opening === undefined ? http1 : http2;
      const kind = it.listener ?? 'outbound';
      const speaks = app === http1 ? 'http1' : 'http2';
      const run: Run = { from, begun: 0, behind: 0 };
      runs.push(run);
      const port = (await planeOf(roleOf(kind))).port(listenerName(kind, lane, speaks));
      const options = { port, localAddress: from, quietMs: QUIET_MS, app, leaves: it.leaves };
      if (kind === 'mesh' && !met.has(port)) {
        met.add(port);
        await askHttp1(askLast, { port, localAddress: '127.0.0.1', quietMs: 20_000, app, leaves: undefined });
        await app.end();
      }
      if (kind === 'mesh') run.behind = (await behind())[lane]?.[speaks] ?? 0;
      run.begun = Date.now();
      app.begin(it);
      const seen = it.http2 === undefined ? await askHttp1(it, options) : { ...(await askHttp2(it.http2, options)), rest: '' };
      if (it.uncertain) await app.settled();
      if (it.leaves !== undefined) seen.answers.push(...(await askHttp1(askLast, { ...options, leaves: undefined })).answers);
      // Who leaves first is told by the log.
      if (seen.end === 'open') await new Promise((resolve) => setTimeout(resolve, 30));
      await app.settled();
      return { ...seen, ...(await app.end()), log: [], behind: [], from };
    },
    async stop() {
      for (const started of running.values()) await (await started).stop();
      for (const { http1, http2 } of apps) for (const { server } of [http1, http2]) server.close();
      const logs = readLogs(dir, runs);
      rmSync(dir, { recursive: true, force: true });
      return logs;
    },
  };
}

// Both data planes side by side, with lanes: an application behind a port of its own, so that cases run at once and none
// meets a connection another has left.

import type { AddressInfo, Server } from 'node:net';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MeshObject, ProxyNode } from '@weft/mesh-core/model';
import { object, runPlane, type PLANES, type RunningPlane } from '../planes/planes.ts';
import { LAST, type Case, type ListenerKind, type Outcome } from './case.ts';
import { Http1App } from './http1-app.ts';
import { askHttp1 } from './http1-client.ts';
import { Http2App } from './http2-app.ts';
import { askHttp2 } from './http2-client.ts';

export type Plane = (typeof PLANES)[number];

/** Nothing has happened for so long: nothing will. More than the second Envoy leaves a connection it closes. */
const QUIET_MS = 1500;

export interface Rig {
  lanes: number;
  /** Runs a case in a lane; the log comes later. */
  run(it: Case, lane: number): Promise<Outcome>;
  /** Lines of the access log by the client's port, once all are written: stops the proxy. */
  stop(): Promise<Map<string, string[]>>;
}

/** Ports of services: what their applications speak. With the lane, those of listeners. */
const HTTP1 = 1000;
const HTTP2 = 2000;
const hostOf = (lane: number): string => `app${lane}.test`;

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

/** Listeners of a sidecar in front of each application, and of one that asks all of them. */
function sidecar(apps: readonly Lane[]): Partial<ProxyNode> {
  const ports = apps.flatMap((lane, i) => [
    { port: HTTP1 + i, name: 'http', app: lane.http1 },
    { port: HTTP2 + i, name: 'http2', app: lane.http2 },
  ]);
  return {
    upstreams: apps.flatMap((_, lane) => [HTTP1, HTTP2].map((port) => ({ host: hostOf(lane), port, listenPort: port + lane }))),
    inbound: ports.map(({ port, name, app }) => ({ name, servicePort: port, listenPort: port, appPort: portOf(app.server) })),
  };
}

/** A server of its own for each application, whatever the host. */
const edge = (lanes: number): MeshObject[] =>
  Array.from({ length: lanes }, (_, lane) => [HTTP1, HTTP2].map((port) => [lane, port] as const))
    .flat()
    .flatMap(([lane, port]) => {
      const name = `gw${port + lane}`;
      const server = { port: { number: port + lane, name: 'http', protocol: 'HTTP' }, hosts: ['*'] };
      const route = [{ destination: { host: hostOf(lane), port: { number: port } } }];
      return [
        object('Gateway', name, { selector: { istio: 'gw' }, servers: [server] }),
        object('VirtualService', name, { hosts: ['*'], gateways: [name], http: [{ route }] }),
      ];
    });

/** In the words both translate to. */
const listenerName = (kind: ListenerKind, lane: number, port: number): string => {
  if (kind === 'outbound') return `${hostOf(lane)}_${port}`;
  return kind === 'inbound' ? `virtualInbound_${port + lane}` : `127.0.0.1_${port + lane}`;
};

export async function startRig(plane: Plane, lanes: number): Promise<Rig> {
  const apps = await Promise.all(Array.from({ length: lanes }, startLane));
  const objects = [
    object('security.istio.io/v1 PeerAuthentication', 'plain', { mtls: { mode: 'DISABLE' } }),
    ...apps.map(({ http1, http2 }, lane) =>
      object('ServiceEntry', `app${lane}`, {
        ...{ hosts: [hostOf(lane)], resolution: 'STATIC' },
        ports: [
          { number: HTTP1, name: 'http', protocol: 'HTTP' },
          { number: HTTP2, name: 'http2', protocol: 'HTTP2' },
        ],
        endpoints: [{ address: '127.0.0.1', ports: { http: portOf(http1.server), http2: portOf(http2.server) } }],
      }),
    ),
  ];
  const dir = mkdtempSync(join(tmpdir(), 'weft-wire-'));
  const accessLogFormat = '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n';
  const running = new Map<string, Promise<RunningPlane>>();
  /** Started by the first case that needs it. */
  const planeOf = (kind: ListenerKind): Promise<RunningPlane> => {
    const role = kind === 'gateway' ? 'router' : 'sidecar';
    const settings = { accessLogFile: join(dir, role), accessLogFormat };
    const start = (): Promise<RunningPlane> =>
      role === 'router'
        ? runPlane(plane, [...objects, ...edge(lanes)], { node: { role, labels: { istio: 'gw' } }, settings })
        : runPlane(plane, objects, { node: sidecar(apps), settings });
    const started = running.get(role) ?? start();
    running.set(role, started);
    return started;
  };
  let runs = 0;
  return {
    lanes,
    async run(it, lane) {
      const from = `127.${1 + (runs >> 14)}.${(runs >> 7) & 127}.${1 + (runs & 127)}`;
      runs++;
      const { http1, http2 } = apps[lane] as Lane;
      const app = it.opening === undefined ? http1 : http2;
      app.begin(it);
      const kind = it.listener ?? 'outbound';
      const port = (await planeOf(kind)).port(listenerName(kind, lane, app === http1 ? HTTP1 : HTTP2));
      const options = { port, localAddress: from, quietMs: QUIET_MS, app, leaves: it.leaves };
      const seen = it.http2 === undefined ? await askHttp1(it, options) : { ...(await askHttp2(it.http2, options)), rest: '' };
      if (it.leaves !== undefined) seen.answers.push(...(await askHttp1(askLast, { ...options, leaves: undefined })).answers);
      // Who leaves first is told by the log.
      if (seen.end === 'open') await new Promise((resolve) => setTimeout(resolve, 30));
      await app.settled();
      return { ...seen, ...(await app.end()), log: [], from };
    },
    async stop() {
      for (const started of running.values()) await (await started).stop();
      for (const { http1, http2 } of apps) for (const { server } of [http1, http2]) server.close();
      const log = new Map<string, string[]>();
      for (const line of readdirSync(dir).flatMap((file) => readFileSync(join(dir, file), 'utf8').split('\n'))) {
        const space = line.indexOf(' ');
        const port = line.slice(0, space);
        log.set(port, [...(log.get(port) ?? []), line.slice(space + 1)]);
      }
      rmSync(dir, { recursive: true, force: true });
      return log;
    },
  };
}

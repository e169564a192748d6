// Connections that are closing, and what is left of those nobody uses, over real sockets.

import { createServer } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { Body } from '../../http-wire/codec-h1/framing.ts';
import type { ClusterConfig } from '../config/model.ts';
import { cluster, endpoint } from '../listener/testing/rig.ts';
import { SecretStore } from '../transport/secrets.ts';
import { TimerWheel } from '../transport/timer-wheel.ts';
import { ClusterRuntime } from './cluster.ts';
import type { EndpointState } from './endpoint.ts';
import { Http2ClientConnection } from './http2-connection.ts';
import type { UpstreamStream } from './stream.ts';

const clock = (): number => performance.now();

async function application(): Promise<{ port: number; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer((_, response) => response.end('ok')).on('connection', (socket: Socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, sockets };
}

function runtimeOf(config: ClusterConfig): ClusterRuntime {
  const runtime = new ClusterRuntime(config, { clock, random: Math.random, onRequestEnd: () => undefined }, new SecretStore(), new TimerWheel(clock));
  onTestFinished(() => runtime.closeAll());
  return runtime;
}

/** Status of one request, or why there is none. */
function ask(runtime: ClusterRuntime, host = ''): Promise<string> {
  return new Promise((resolve) => {
    let status = '';
    const nothing = (): void => undefined;
    const onStream = (stream: UpstreamStream): void => {
      const request = { method: 'GET', path: '/', authority: 'a', scheme: 'http' as const, lines: '', body: Body.none, length: -1, upgrade: '' };
      stream.start(request, {
        ...{ onUpstreamInterim: nothing, onUpstreamData: nothing, onUpstreamFlush: nothing, onUpstreamDrain: nothing, onTunnelEnd: nothing },
        onUpstreamHead: (head) => (status = String(head.status)),
        onUpstreamEnd: () => resolve(status),
        onUpstreamFailed: resolve,
      });
      stream.end('');
      stream.flush();
    };
    runtime.pick([], 0, undefined, host)?.acquire({ tunnel: false, onStream, onConnectFailed: resolve }, false);
  });
}

test('no request is given to an idle connection that has been told to close, or that its peer has ended', async () => {
  const { port, sockets } = await application();
  const runtime = runtimeOf(cluster([port]));
  expect(await ask(runtime)).toBe('200');
  // Its sockets are still closing when the next request of the same turn comes.
  runtime.update(cluster([port], { http: { ...runtime.config.http, maxRequestsPerConnection: 9 } }));
  expect(await ask(runtime)).toBe('200');
  expect(sockets.length).toBe(2);
});

test('a session whose socket is closing has no room', async () => {
  const { port } = await application();
  const socket = connect(port, '127.0.0.1');
  const wheel = new TimerWheel(clock);
  const session = new Http2ClientConnection(socket, { onRoom: () => undefined, onGone: () => undefined }, { clock, wheel, http: cluster([]).http });
  expect(session.hasRoom).toBe(true);
  socket.destroy();
  expect(session.hasRoom).toBe(false);
});

test('of a server name nobody is connected by nothing is left, and what discovery says reaches those there are', async () => {
  const { port } = await application();
  const config = cluster([port]);
  const runtime = runtimeOf({ ...config, http: { ...config.http, autoSni: true } });
  const named = (host: string): EndpointState | undefined => runtime.pick([], 0, undefined, host);
  expect(await ask(runtime, 'a.example')).toBe('200');
  const known = named('a.example');
  expect(known).toBe(named('a.example'));

  const labelled = endpoint(port, { metadata: { 'envoy.transport_socket_match': { tlsMode: 'istio' } } });
  const localities = [{ region: '', zone: '', subZone: '', priority: 0, weight: 0, endpoints: [labelled] }];
  runtime.assign({ clusterName: 'app', overprovisioning: 140, weightedPriorityHealth: false, localities });
  expect(known?.config).toBe(labelled);
  await expect.poll(() => named('a.example') === known).toBe(false);
});

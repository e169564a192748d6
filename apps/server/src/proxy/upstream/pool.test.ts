// Connections that are closing, and what is left of those nobody uses, over real sockets.

import { createServer } from 'node:http';
import { connect, createServer as createTcpServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { Body } from '../../http-wire/codec-h1/framing.ts';
import { defaultWindow, largestWindow, Setting, settingsFrame, windowUpdateFrame } from '../../http-wire/codec-h2/frames.ts';
import type { ClusterConfig } from '../config/model.ts';
import { listening } from '../listener/testing/app.ts';
import { cluster, endpoint } from '../listener/testing/rig.ts';
import { SecretStore } from '../transport/secrets.ts';
import { TimerWheel } from '../transport/timer-wheel.ts';
import { ClusterRuntime } from './cluster.ts';
import type { EndpointState } from './endpoint.ts';
import { Http2ClientConnection } from './http2-connection.ts';
import type { UpstreamEvents, UpstreamStream } from './stream.ts';

const clock = (): number => performance.now();

async function application(): Promise<{ port: number; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer((_, response) => response.end('ok')).on('connection', (socket: Socket) => sockets.push(socket));
  onTestFinished(() => server.closeAllConnections());
  return { port: await listening(server), sockets };
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

test('requests of an endpoint that has gone are connected as the cluster asked for when it was chosen', async () => {
  const [{ port }, { port: other }] = await Promise.all([application(), application()]);
  const http = { ...cluster([]).http, protocol: 'auto' as const };
  const runtime = runtimeOf(cluster([port], { http }));
  // One connection is made for both; that each needs its own shows when it is there.
  const asked = [ask(runtime), ask(runtime)];
  const tls = { verify: false, minVersion: 'TLSv1.2' as const, maxVersion: 'TLSv1.3' as const, sni: '', alpn: [], peerSans: [] };
  runtime.update(cluster([other], { http, tls }));
  expect(await Promise.all(asked)).toEqual(['200', '200']);
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

test('an idle session whose peer reads no more is gone all the same', async () => {
  const windows = settingsFrame([[Setting.initialWindowSize, largestWindow]]) + windowUpdateFrame(0, largestWindow - defaultWindow);
  const server = createTcpServer((accepted) => {
    accepted.on('error', () => undefined).pause();
    accepted.write(windows, 'latin1');
    onTestFinished(() => void accepted.destroy());
  });
  const socket = connect(await listening(server), '127.0.0.1');
  let gone = false;
  const http = { ...cluster([]).http, idleTimeoutMs: 50 };
  const owner = { onRoom: () => undefined, onGone: () => (gone = true) };
  const session = new Http2ClientConnection(socket, owner, { clock, wheel: new TimerWheel(clock), http });
  socket.on('data', (chunk: Buffer) => session.read(chunk, 0, chunk.length));
  const stream = session.take();
  stream.start({ method: 'POST', path: '/', authority: 'a', scheme: 'http', lines: '', body: Body.chunked, length: -1, upgrade: '' }, {} as UpstreamEvents);
  // More than the system's buffers hold.
  const bytes = Buffer.alloc(32 * 1024 * 1024);
  stream.data(bytes, 0, bytes.length, false);
  await expect.poll(() => stream.isBlocked).toBe(false);
  stream.abort();
  await expect.poll(() => gone, { timeout: 10_000 }).toBe(true);
});

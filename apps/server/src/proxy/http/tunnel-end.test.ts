// How tunnels end and hold back, and that nothing of one reaches the request that has its place afterwards.

import * as http2 from 'node:http2';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import { streamWindow } from '../../http-wire/codec-h2/stream.ts';
import { track } from '../listener/testing/app.ts';
import { cluster, startRig, type Rig } from '../listener/testing/rig.ts';

const protocols = ['http1', 'http2'] as const;

/** What the application has: tunnels it agreed to, and other requests, which wait for their answer. */
interface App {
  port: number;
  tunnels: Duplex[];
  held: (() => void)[];
}

/** Agrees to tunnels at once, or where `agrees` is given when that is called. */
async function startApp(protocol: (typeof protocols)[number], wait = false): Promise<App & { agree: (() => void)[] }> {
  const app = { port: 0, tunnels: [] as Duplex[], held: [] as (() => void)[], agree: [] as (() => void)[] };
  const open: { destroy(): void }[] = [];
  const tunnel = (stream: Duplex, say: () => void): void => {
    app.tunnels.push(stream.on('error', () => undefined));
    if (wait) app.agree.push(say);
    else say();
  };
  const one = createServer({ allowHalfOpen: true }, (socket) => {
    open.push(socket);
    socket.once('data', (chunk) => {
      socket.pause();
      if (chunk.includes('upgrade: websocket')) tunnel(socket, () => socket.write('HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'));
      else app.held.push(() => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood'));
    });
  });
  const two = http2.createServer({ settings: { enableConnectProtocol: true } }).on('session', (session) => open.push(session));
  two.on('stream', (stream, head) => {
    if (head[':method'] === 'CONNECT') tunnel(stream, () => stream.respond({ ':status': 200 }));
    else
      app.held.push(() => {
        stream.respond({ ':status': 200 });
        stream.end('good');
      });
  });
  const server = protocol === 'http1' ? one : two;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const stream of open) stream.destroy();
    server.close();
  });
  return Object.assign(app, { port: (server.address() as AddressInfo).port });
}

async function rigFor(protocol: (typeof protocols)[number], app: App): Promise<Rig> {
  return track(await startRig({ clusters: [cluster([app.port], { http: { ...cluster([]).http, protocol } })] }));
}

async function clientOf(rig: Rig): Promise<http2.ClientHttp2Session> {
  const session = http2.connect(`http://127.0.0.1:${rig.port}`, { maxSessionMemory: 100 }).on('error', () => undefined);
  onTestFinished(() => session.destroy());
  await once(session, 'remoteSettings');
  return session;
}

const extended = { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/', ':scheme': 'http', ':authority': 'a' };

async function openTunnel(session: http2.ClientHttp2Session): Promise<http2.ClientHttp2Stream> {
  const stream = session.request(extended, { endStream: false }).on('error', () => undefined);
  await once(stream, 'response');
  return stream;
}

const once = (from: NodeJS.EventEmitter, event: string): Promise<unknown> => new Promise((resolve) => from.once(event, resolve));

function answerOf(stream: http2.ClientHttp2Stream): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    stream.on('response', (head) => (text += `${head[':status']} `)).on('error', (error) => (text += String(error)));
    stream.setEncoding('latin1').on('data', (part: string) => (text += part));
    stream.on('close', () => resolve(text));
  });
}

/** A request that has the place of a tunnel that is gone for the client; `then` is what its application still says. */
async function nextRequest(session: http2.ClientHttp2Session, app: App, then: () => Promise<unknown>): Promise<string> {
  const answer = answerOf(session.request({ ':path': '/next' }));
  await expect.poll(() => app.held.length).toBe(1);
  await then();
  app.held[0]?.();
  return answer;
}

test.each(protocols)('late bytes of a tunnel whose client is gone reach no other request (%s upstream)', async (protocol) => {
  const app = await startApp(protocol);
  const rig = await rigFor(protocol, app);
  const session = await clientOf(rig);
  const stream = await openTunnel(session);
  const [tunnel] = app.tunnels as [Duplex];
  const ended = once(tunnel.resume(), 'end');
  stream.end();
  await ended;
  const gone = once(stream, 'close');
  stream.close(http2.constants.NGHTTP2_CANCEL);
  await gone;
  const answer = await nextRequest(session, app, async () => {
    if (tunnel.writable) tunnel.end('late');
    await expect.poll(() => tunnel.closed).toBe(true);
  });
  expect(answer).toBe('200 good');
  expect(rig.records.map((record) => [record.status, record.responseFlags])).toEqual([
    [101, 'DR'],
    [200, '-'],
  ]);
});

test('the end of a tunnel’s connection ends no other request', async () => {
  const app = await startApp('http1');
  const rig = await rigFor('http1', app);
  const session = await clientOf(rig);
  const stream = await openTunnel(session);
  // Nobody takes this: what the proxy has for the application outlives the application's end.
  stream.write(Buffer.alloc(32 * 1024 * 1024));
  const [tunnel] = app.tunnels as [Duplex];
  await expect.poll(() => (tunnel as Socket).readableLength).toBeGreaterThan(0);
  const gone = once(stream.resume(), 'close');
  tunnel.pause().end();
  await gone;
  const answer = await nextRequest(session, app, async () => {
    tunnel.destroy();
    await once(tunnel, 'close');
  });
  expect(answer).toBe('200 good');
});

test.each(protocols)('a client that goes away ends the tunnel behind it, whatever the application does (%s upstream)', async (protocol) => {
  const app = await startApp(protocol);
  const rig = await rigFor(protocol, app);
  const socket = connect(rig.port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'));
  await once(socket, 'data');
  const [tunnel] = app.tunnels as [Duplex];
  let heard = '';
  const ended = new Promise((resolve) =>
    tunnel
      .on('data', (part: Buffer) => (heard += part.toString()))
      .on('end', resolve)
      .resume(),
  );
  socket.end('last words');
  await ended;
  expect(heard).toBe('last words');
  await expect.poll(() => rig.records[0]).toMatchObject({ status: 101, responseFlags: 'DC', details: 'downstream_remote_disconnect' });
  await expect
    .poll(() => rig.runtime.stats().clusters[0], { timeout: 5_000 })
    .toMatchObject({ activeRequests: 0, activeConnections: protocol === 'http1' ? 0 : 1 });
});

test('an application that ends its tunnel: UC, and CONNECT_ERROR for a client of HTTP/2, as Envoy says it', async () => {
  const app = await startApp('http1');
  const rig = await rigFor('http1', app);
  const stream = await openTunnel(await clientOf(rig));
  let heard = '';
  stream.on('data', (part: Buffer) => (heard += part.toString()));
  const gone = once(stream, 'close');
  app.tunnels[0]?.end('bye');
  await gone;
  expect([heard, stream.rstCode]).toEqual(['bye', http2.constants.NGHTTP2_CONNECT_ERROR]);
  expect(rig.records[0]).toMatchObject({ responseFlags: 'UC', details: 'upstream_reset_after_response_started{connection_termination}' });
});

test('an application that resets its stream of a tunnel: UR, and INTERNAL_ERROR for a client of HTTP/2, as Envoy says it', async () => {
  const app = await startApp('http2');
  const rig = await rigFor('http2', app);
  const stream = await openTunnel(await clientOf(rig));
  const gone = once(stream.resume(), 'close');
  app.tunnels[0]?.destroy(new Error('given up'));
  await gone;
  expect(stream.rstCode).toBe(http2.constants.NGHTTP2_INTERNAL_ERROR);
  expect(rig.records[0]).toMatchObject({ responseFlags: 'UR', details: 'upstream_reset_after_response_started{remote_reset}' });
});

test('over two proxies the first tells UR: what is behind its tunnel ended', async () => {
  const app = await startApp('http1');
  const server = await rigFor('http1', app);
  const rig = await rigFor('http2', { ...app, port: server.port });
  const socket = connect(rig.port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'));
  await once(socket, 'data');
  const ended = once(socket.resume(), 'end');
  app.tunnels[0]?.end();
  await ended;
  expect(server.records[0]).toMatchObject({ protocol: 'HTTP/2', responseFlags: 'UC' });
  expect(rig.records[0]).toMatchObject({ responseFlags: 'UR', details: 'upstream_reset_after_response_started{remote_error_with_CONNECT_request}' });
});

test('what a client sends before its tunnel is agreed to waits: all of it arrives, little of it is held', async () => {
  const app = await startApp('http1', true);
  const rig = await rigFor('http1', app);
  const session = await clientOf(rig);
  const stream = session.request(extended, { endStream: false });
  const bytes = 1024 * 1024;
  const window = (): number => session.state.remoteWindowSize ?? 0;
  const ping = (): Promise<unknown> => new Promise((resolve) => session.ping(resolve));
  await ping();
  const before = window();
  stream.write(Buffer.alloc(bytes));
  await expect.poll(() => app.agree.length).toBe(1);
  for (let i = 0; i < 5; i++) await ping();
  expect(before - window()).toBeLessThanOrEqual(2 * streamWindow);
  let heard = 0;
  const [tunnel] = app.tunnels as [Duplex];
  const all = new Promise<void>((resolve) => {
    tunnel.on('data', (part: Buffer) => {
      heard += part.length;
      if (heard === bytes) resolve();
    });
  });
  tunnel.resume();
  app.agree[0]?.();
  await all;
});

/** Writes until nothing more is taken, and tells how much that was. */
async function fill(into: Duplex, chunk: Buffer): Promise<number> {
  let sent = 0;
  let open = true;
  const more = (): void => {
    while (open && into.writable) {
      sent += chunk.length;
      if (!into.write(chunk)) break;
    }
  };
  into.on('drain', more);
  more();
  let before = -1;
  const still = async (): Promise<boolean> => {
    const same = before === sent && into.writableNeedDrain;
    before = sent;
    return same;
  };
  await expect.poll(still, { interval: 300, timeout: 20_000 }).toBe(true);
  open = false;
  return sent;
}

test('a reader that stalls stops the writer across two proxies, either way, and all of it arrives', async () => {
  const app = await startApp('http1');
  const server = await rigFor('http1', app);
  const rig = await rigFor('http2', { ...app, port: server.port });
  const socket = connect(rig.port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'));
  await once(
    socket.on('error', () => undefined),
    'data',
  );
  socket.pause();
  const [tunnel] = app.tunnels as [Socket];
  tunnel.pause();
  for (const [from, to] of [
    [tunnel, socket],
    [socket, tunnel],
  ] as const) {
    const sent = await fill(from, Buffer.alloc(64 * 1024));
    let heard = 0;
    const all = new Promise<void>((resolve) => {
      to.on('data', (part: Buffer) => {
        heard += part.length;
        if (heard === sent) resolve();
      });
    });
    to.resume();
    await all;
  }
  expect(server.records).toHaveLength(0);
});

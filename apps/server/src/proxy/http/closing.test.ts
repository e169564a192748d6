// How connections of clients end: told first, and closed when they have had their time.

import { createServer } from 'node:http';
import * as http2 from 'node:http2';
import { connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { preface, settingsFrame } from '../../http-wire/codec-h2/frames.ts';
import type { HttpConnectionManager } from '../config/model.ts';
import { listening, startApp, track } from '../listener/testing/app.ts';
import { chain, cluster, listener, manager, startRig, type Rig } from '../listener/testing/rig.ts';

interface World {
  rig: Rig;
  /** Clock of the proxy, which moves by hand. */
  pass(ms: number): void;
}

async function serve(http: Partial<HttpConnectionManager>): Promise<World> {
  let now = 1000;
  const app = await startApp((_, response) => response.end('ok'));
  const rig = await startRig({
    listener: listener({ chains: [chain({ http: manager(http) })] }),
    clusters: [cluster([app])],
    deps: { clock: () => now },
  });
  return { rig: track(rig), pass: (ms) => void (now += ms) };
}

interface Client {
  socket: Socket;
  received(): string;
  ended(): boolean;
}

function client(rig: Rig, text = ''): Client {
  const socket = connect({ port: rig.port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.write(text, 'latin1'));
  onTestFinished(() => void socket.destroy());
  let received = '';
  let ended = false;
  socket
    .on('data', (part: Buffer) => (received += part.toString('latin1')))
    .on('end', () => (ended = true))
    .on('error', () => (ended = true));
  return { socket, received: () => received, ended: () => ended };
}

const get = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
const times = { idleTimeoutMs: 1000, drainTimeoutMs: 500 };

/** Lets the idle time pass: a connection that has said nothing ends with it. */
async function idle({ rig, pass }: World): Promise<void> {
  const silent = client(rig);
  const { totalConnections = 0 } = rig.runtime.stats().listeners[0] ?? {};
  await expect.poll(() => rig.runtime.stats().listeners[0]?.totalConnections).toBe(totalConnections + 1);
  pass(1100);
  await expect.poll(silent.ended).toBe(true);
}

async function asked(world: World): Promise<Client> {
  const asking = client(world.rig, get);
  await expect.poll(asking.received).toMatch(/ok$/);
  expect(asking.received()).not.toMatch(/connection: close/);
  return asking;
}

test('an idle connection is still answered while it drains, for the last time', async () => {
  const world = await serve(times);
  const { socket, received, ended } = await asked(world);
  await idle(world);
  expect(ended()).toBe(false);
  socket.write(get);
  await expect.poll(ended).toBe(true);
  expect(received().match(/HTTP\/1\.1 200/g)).toHaveLength(2);
  expect(received()).toMatch(/connection: close\r\n[\s\S]*ok$/);
});

test('an idle connection that asks no more closes after the drain timeout', async () => {
  const world = await serve(times);
  const { ended } = await asked(world);
  await idle(world);
  expect(ended()).toBe(false);
  world.pass(600);
  await expect.poll(ended).toBe(true);
});

test('HTTP/2: GOAWAY, then the end when the client has heard it', async () => {
  const world = await serve(times);
  const session = http2.connect(`http://127.0.0.1:${world.rig.port}`).on('error', () => undefined);
  onTestFinished(() => session.destroy());
  const closed = new Promise((resolve) => session.once('close', resolve));
  const goaways: number[] = [];
  session.on('goaway', (_, last: number) => goaways.push(last));
  await new Promise((resolve) => session.request({ ':path': '/' }).resume().on('close', resolve));
  await idle(world);
  await closed;
  expect(goaways[0]).toBe(2 ** 31 - 1);
});

test('HTTP/2: a client that says nothing to GOAWAY has the drain timeout', async () => {
  const world = await serve(times);
  const { received, ended } = client(world.rig, preface + settingsFrame([]));
  const goaways = (): number => received().split('\0\0\x08\x07\0\0\0\0\0').length - 1;
  await expect.poll(received).not.toBe('');
  await idle(world);
  await expect.poll(goaways).toBe(1);
  expect(ended()).toBe(false);
  world.pass(600);
  await expect.poll(ended).toBe(true);
  expect(goaways()).toBe(2);
});

test.each(['http1', 'http2'] as const)('an idle timeout of 0 never ends a connection, nor one of %s upstream', async (protocol) => {
  let connections = 0;
  const answer = (_: unknown, response: { setHeader(name: string, value: string): unknown; end(body: string): unknown }): void => {
    response.setHeader('content-length', '2');
    response.end('ok');
  };
  const app = protocol === 'http2' ? http2.createServer(answer) : createServer({ keepAliveTimeout: 0 }, answer);
  app.on('connection', (socket: Socket) => {
    connections++;
    onTestFinished(() => void socket.destroy());
  });
  let now = 1000;
  const rig = await startRig({
    listener: listener({ chains: [chain({ http: manager({ idleTimeoutMs: 0, requestHeadersTimeoutMs: 1000 }) })] }),
    clusters: [cluster([await listening(app)], { http: { ...cluster([]).http, protocol, idleTimeoutMs: 0 } })],
    deps: { clock: () => now },
  });
  const world = { rig: track(rig), pass: (ms: number) => void (now += ms) };
  const silent = client(rig);
  const later = http2.connect(`http://127.0.0.1:${rig.port}`).on('error', () => undefined);
  onTestFinished(() => later.destroy());
  const ask = (): Promise<unknown> => new Promise((resolve, reject) => later.request({ ':path': '/' }).on('response', resolve).on('error', reject).resume());
  await ask();
  const asking = await asked(world);
  // Half a head has a timeout: with its end the proxy has seen the hours pass.
  const half = client(rig, 'GET / HTTP/1.1\r\n');
  await expect.poll(() => rig.runtime.stats().listeners[0]?.totalConnections).toBe(4);
  world.pass(7_200_000);
  await expect.poll(half.received).toMatch(/^HTTP\/1\.1 408 /);
  asking.socket.write(get);
  await expect.poll(asking.received).toMatch(/ok.*ok$/s);
  silent.socket.write(get);
  await expect.poll(silent.received).toMatch(/ok$/);
  expect(asking.received()).not.toMatch(/connection: close/);
  await ask();
  expect(connections).toBe(1);
});

test.each([0, 5000])('after a last answer a client may stay for a delayed close of %i ms', async (delayedCloseTimeoutMs) => {
  const { rig, pass } = await serve({ delayedCloseTimeoutMs });
  const open = (): number | undefined => rig.runtime.stats().listeners[0]?.activeConnections;
  const { received, ended } = client(rig, 'nonsense\r\n\r\n');
  await expect.poll(ended).toBe(true);
  expect(received()).toMatch(/^HTTP\/1\.1 400 /);
  if (delayedCloseTimeoutMs > 0) {
    await asked({ rig, pass });
    expect(open()).toBe(2);
    pass(5100);
  }
  await expect.poll(open).toBe(delayedCloseTimeoutMs > 0 ? 1 : 0);
});

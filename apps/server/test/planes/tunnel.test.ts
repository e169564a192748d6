// TCP inside HTTP, as DestinationRules ask for it, on both data planes: a forward proxy takes CONNECT and POST.

import { createServer } from 'node:http';
import { type AddressInfo, type Server, type Socket, connect, createServer as createTcpServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PLANES, object, startPlane } from './planes.ts';

const servers: Server[] = [];
const seen: string[] = [];
const open = new Set<Socket>();
let proxy = 0;
let refusing = 0;

async function listening(server: Server): Promise<number> {
  servers.push(server);
  server.on('connection', (socket: Socket) => open.add(socket.on('error', () => socket.destroy())));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  const echo = await listening(createTcpServer({ allowHalfOpen: true }, (socket) => void socket.pipe(socket)));
  const forward = createServer((request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers.host}`);
    response.flushHeaders();
    request.pipe(response);
  });
  forward.on('connect', (request, socket: Socket) => {
    seen.push(`${request.method} ${request.url} ${request.headers.host}`);
    const to = connect({ port: echo, host: '127.0.0.1', allowHalfOpen: true }, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      socket.pipe(to).pipe(socket);
    });
    to.on('error', () => socket.destroy());
    socket.on('error', () => to.destroy());
  });
  proxy = await listening(forward);
  refusing = await listening(createServer().on('connect', (_, socket: Socket) => socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n')));
});
afterAll(() => {
  for (const socket of open) socket.destroy();
  for (const server of servers) server.close();
});

/** How much comes back, until it is all there or the peer ends. */
function echoed(port: number, text: string): Promise<number> {
  return new Promise((resolve) => {
    let length = 0;
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write(text));
    socket.on('error', () => undefined).on('close', () => resolve(length));
    socket.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length === text.length) socket.end();
    });
  });
}

const entry = (host: string, port: number, to: number) =>
  object('ServiceEntry', host.replace('.', '-'), {
    ...{ hosts: [host], resolution: 'STATIC', ports: [{ number: port, name: 'tcp', protocol: 'TCP' }] },
    endpoints: [{ address: '127.0.0.1', ports: { tcp: to } }],
  });

describe.each(PLANES)('%s', (plane) => {
  test.each(['CONNECT', 'POST'])('%s to what the rule of the subset names', async (protocol) => {
    const tunnel = { protocol, targetHost: 'db.test', targetPort: 5432 };
    const objects = [
      ...[entry('db.test', 5432, 1), entry('proxy.test', 3128, proxy)],
      object('DestinationRule', 'proxy', { host: 'proxy.test', subsets: [{ name: 'db', trafficPolicy: { tunnel } }] }),
      object('VirtualService', 'db', { hosts: ['db.test'], tcp: [{ route: [{ destination: { host: 'proxy.test', subset: 'db' } }] }] }),
    ];
    const port = await startPlane(plane, objects, { node: { upstreams: [{ host: 'db.test', port: 5432, listenPort: 1 }] } });
    seen.length = 0;
    expect(await echoed(port('db.test_5432'), 'x'.repeat(300_000))).toBe(300_000);
    expect(seen).toEqual([protocol === 'POST' ? 'POST / db.test:5432' : 'CONNECT db.test:5432 db.test:5432']);
  });

  test('a proxy that refuses ends the connection', async () => {
    const tunnel = { targetHost: 'db.test', targetPort: 5432 };
    const objects = [entry('proxy.test', 3128, refusing), object('DestinationRule', 'proxy', { host: 'proxy.test', trafficPolicy: { tunnel } })];
    const port = await startPlane(plane, objects, { node: { upstreams: [{ host: 'proxy.test', port: 3128, listenPort: 1 }] } });
    expect(await echoed(port('proxy.test_3128'), 'hello')).toBe(0);
  });
});

// Which upgrades a route takes, on both data planes: its own word, else the connection manager's.

import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { PLANES, object, startPlane } from './planes.ts';

/** Agrees to every upgrade. */
async function startApp(): Promise<number> {
  const server = createServer((_, response) => response.end()).on('upgrade', ({ headers }, socket) =>
    socket.on('error', () => undefined).write(`HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${headers.upgrade}\r\n\r\n`),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function upgrade(port: number, type: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', agent: false, headers: { host: 'app.test', connection: 'Upgrade', upgrade: type } });
    sent.on('error', reject).on('response', (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on('upgrade', (response, socket) => {
      socket.destroy();
      resolve(response.statusCode ?? 0);
    });
    sent.end();
  });
}

type Table = { virtualHosts: { routes: { route: { upgradeConfigs: object[] } }[] }[] };

describe.each(PLANES)('%s', (plane) => {
  test.each([
    [[], { websocket: 101, custom: 403 }],
    [[{ upgradeType: 'WebSocket', enabled: false }], { websocket: 403, custom: 403 }],
    [[{ upgradeType: 'custom' }], { websocket: 101, CUSTOM: 101 }],
  ])('a route that says %j', async (upgradeConfigs, expected) => {
    const objects = [
      object('ServiceEntry', 'app', {
        ...{ hosts: ['app.test'], resolution: 'STATIC', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] },
        endpoints: [{ address: '127.0.0.1', ports: { http: await startApp() } }],
      }),
    ];
    const port = await startPlane(plane, objects, {
      node: { upstreams: [{ host: 'app.test', port: 80, listenPort: 1 }] },
      routes: (table) => {
        for (const { routes } of (table as unknown as Table).virtualHosts) for (const { route } of routes) route.upgradeConfigs = upgradeConfigs;
      },
    });
    for (const [type, status] of Object.entries(expected)) expect([type, await upgrade(port('app.test_80'), type)]).toEqual([type, status]);
  });
});

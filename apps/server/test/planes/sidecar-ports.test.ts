// Ports a Sidecar opens, on both data planes: ingress with its endpoint, its TLS and its pool; egress by Host and for TCP.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, createServer, request } from 'node:http';
import { type AddressInfo, type Server, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testAuthority } from '../../src/proxy/listener/testing/certificates.ts';
import { exchange, get } from './asking.ts';
import { PATIENT, PLANES, object, startPlane } from './planes.ts';

const dir = mkdtempSync(join(tmpdir(), 'weft-sidecar-'));
const socketPath = join(dir, 'app.sock');
const held: IncomingMessage[] = [];
const servers: Server[] = [];
let app = 0;
let echo = 0;
let ca = '';

async function listening(server: Server, at: number | string = 0): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => (typeof at === 'string' ? server.listen(at, resolve) : server.listen(at, '127.0.0.1', resolve)));
  const address = server.address();
  return typeof address === 'string' ? 0 : ((address as AddressInfo | null)?.port ?? 0);
}

beforeAll(async () => {
  const answer = (name: string) =>
    createServer((asked, response) => {
      if (asked.url === '/hold') held.push(asked);
      else response.end(`${name} ${asked.headers.host}`);
    });
  app = await listening(answer('app'));
  await listening(answer('socket'), socketPath);
  echo = await listening(createTcpServer((socket) => void socket.on('error', () => socket.destroy()).pipe(socket)));
  const authority = await testAuthority();
  const own = await authority.issue('own.test');
  ca = authority.caPem;
  writeFileSync(join(dir, 'own.pem'), own.chainPem);
  writeFileSync(join(dir, 'own.key'), own.keyPem);
});
afterAll(() => {
  for (const asked of held) asked.socket.destroy();
  for (const server of servers) server.close();
  rmSync(dir, { recursive: true, force: true });
});

const DISABLE = object('security.istio.io/v1 PeerAuthentication', 'plain', { mtls: { mode: 'DISABLE' } });
const http = { number: 7000, protocol: 'HTTP', name: 'http' };

describe.each(PLANES)('%s', (plane) => {
  test('ingress: more ports, each to its endpoint; a port of the workload changed', async () => {
    const ingress = [
      { port: http, defaultEndpoint: `127.0.0.1:${app}` },
      { port: { ...http, number: 7001 }, defaultEndpoint: `unix://${socketPath}` },
      { port: { number: 7002, protocol: 'TCP', name: 'tcp' }, defaultEndpoint: `0.0.0.0:${echo}` },
      { port: { ...http, number: 9080 }, defaultEndpoint: `:${app}` },
    ];
    const node = { inbound: [{ name: 'http', servicePort: 9080, listenPort: 7003, appPort: 1 }] };
    const port = await startPlane(plane, [DISABLE, object('Sidecar', 'ports', { ingress })], { node });
    expect(await get(port('virtualInbound_7000'), 'a')).toBe('200 app a');
    expect(await get(port('virtualInbound_7001'), 'b')).toBe('200 socket b');
    expect(await exchange(port('virtualInbound_7002'), 'hello')).toBe('hello');
    expect(await get(port('virtualInbound_7003'), 'c')).toBe('200 app c');
  });

  test('ingress: TLS of its own where the mesh has none', async () => {
    const tls = { mode: 'SIMPLE', serverCertificate: join(dir, 'own.pem'), privateKey: join(dir, 'own.key') };
    const ingress = [{ port: { number: 7443, protocol: 'HTTPS', name: 'https' }, defaultEndpoint: `127.0.0.1:${app}`, tls }];
    const port = await startPlane(plane, [DISABLE, object('Sidecar', 'secure', { ingress })]);
    expect(await get(port('virtualInbound_7443'), 'a', { ca, servername: 'own.test' })).toBe('200 app a');
    await expect(get(port('virtualInbound_7443'), 'a')).rejects.toThrow();
  });

  test('inboundConnectionPool, and the pool of one ingress before it', async () => {
    const defaultEndpoint = `127.0.0.1:${app}`;
    const ingress = [
      { port: http, defaultEndpoint },
      { port: { ...http, number: 7001 }, defaultEndpoint, connectionPool: { http: { http2MaxRequests: 100 } } },
    ];
    const spec = { ingress, inboundConnectionPool: { http: { http2MaxRequests: 1 } } };
    const port = await startPlane(plane, [DISABLE, object('Sidecar', 'pool', spec)]);
    for (const [name, second] of [
      ['virtualInbound_7000', /^503 /],
      ['virtualInbound_7001', /^200 /],
    ] as const) {
      const before = held.length;
      const waiting = request({ host: '127.0.0.1', port: port(name), path: '/hold', agent: false }).on('error', () => undefined);
      waiting.end();
      await expect.poll(() => held.length, PATIENT).toBe(before + 1);
      expect(await get(port(name), 'a')).toMatch(second);
      waiting.destroy();
    }
  });

  test('egress: a port by Host for what it names, and one for TCP', async () => {
    const entry = (name: string, host: string, protocol: string, to: number, number = 8000) =>
      object('ServiceEntry', name, {
        ...{ hosts: [host], location: 'MESH_EXTERNAL', resolution: 'STATIC', ports: [{ number, name: 'p', protocol }] },
        endpoints: [{ address: '127.0.0.1', ports: { p: to } }],
      });
    const egress = [
      { port: { number: 8000, protocol: 'HTTP', name: 'web' }, bind: '127.0.0.1', hosts: ['./a.test'] },
      { port: { number: 5432, protocol: 'TCP', name: 'db' }, captureMode: 'NONE', hosts: ['./db.test'] },
      { port: { number: 6000, protocol: 'HTTP', name: 'intercepted' }, hosts: ['./b.test'] },
    ];
    const objects = [entry('a', 'a.test', 'HTTP', app), entry('b', 'b.test', 'HTTP', app), entry('db', 'db.test', 'TCP', echo, 5432)];
    const policy = { egress, outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } };
    const port = await startPlane(plane, [...objects, object('Sidecar', 'out', policy)]);
    expect(await get(port('127.0.0.1_8000'), 'a.test')).toBe('200 app a.test');
    expect(await get(port('127.0.0.1_8000'), 'b.test')).toMatch(/^502 /);
    expect(await exchange(port('127.0.0.1_5432'), 'select')).toBe('select');
    expect(() => port('127.0.0.1_6000')).toThrow();
  });

  test('egressProxy: unknown hosts go there', async () => {
    const proxy = object('ServiceEntry', 'proxy', {
      ...{ hosts: ['proxy.test'], resolution: 'STATIC', ports: [{ number: 3128, name: 'http', protocol: 'HTTP' }] },
      endpoints: [{ address: '127.0.0.1', ports: { http: app } }],
    });
    const outboundTrafficPolicy = { mode: 'ALLOW_ANY', egressProxy: { host: 'proxy.test', port: { number: 3128 } } };
    const port = await startPlane(plane, [proxy, object('Sidecar', 'out', { outboundTrafficPolicy })], { node: { httpProxyPort: 1 } });
    expect(await get(port('http_proxy'), 'unknown.test')).toBe('200 app unknown.test');
  });
});

// Ports a Sidecar opens for its application, on both data planes: ingress with its endpoint and its TLS. Pools and egress: see test/behaviour.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, type Server, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testAuthority } from '../../src/proxy/listener/testing/certificates.ts';
import { exchange, get } from './asking.ts';
import { PLANES, object, startPlane } from './planes.ts';

const dir = mkdtempSync(join(tmpdir(), 'weft-sidecar-'));
const socketPath = join(dir, 'app.sock');
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
  const answer = (name: string) => createServer((asked, response) => response.end(`${name} ${asked.headers.host}`));
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
});

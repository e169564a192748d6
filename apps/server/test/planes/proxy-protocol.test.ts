// The PROXY header a DestinationRule asks for, before plaintext and before TLS, for HTTP and TCP, on both data planes.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Server as TlsServer, createServer as createTlsServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testAuthority } from '../../src/proxy/listener/testing/certificates.ts';
import { type ProxyHeader, readProxyHeader } from '../../src/proxy/transport/proxy-protocol.ts';
import { PLANES, object, startPlane } from './planes.ts';

const dir = mkdtempSync(join(tmpdir(), 'weft-proxy-protocol-'));
const seen: ProxyHeader[] = [];
const open = new Set<Socket>();

/** What is behind the header: HTTP/1.1 or an echo. */
const answer = (socket: Socket): void => {
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes: Buffer) => socket.write(bytes.includes('HTTP/1.1') ? 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok' : bytes));
};
const plain = createServer(answer);
let secured: TlsServer;
/** Reads the header and passes the rest on, to where TLS ends if it is TLS. */
const server = createServer((socket) => {
  open.add(socket.on('error', () => socket.destroy()));
  let first = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    first = Buffer.concat([first, chunk]);
    const header = readProxyHeader(first);
    if (typeof header === 'string' || first.length === header.length) return;
    seen.push(header);
    socket.removeListener('data', onData);
    const rest = first.subarray(header.length);
    const inner = connect({ host: '127.0.0.1', port: ((rest[0] === 0x16 ? secured : plain).address() as AddressInfo).port });
    inner.on('error', () => socket.destroy());
    inner.write(rest);
    socket.pipe(inner).pipe(socket);
  };
  socket.on('data', onData);
});
beforeAll(async () => {
  const authority = await testAuthority();
  const own = await authority.issue('a.test');
  secured = createTlsServer({ cert: own.chainPem, key: own.keyPem }, answer);
  writeFileSync(join(dir, 'ca.pem'), authority.caPem);
  await Promise.all([server, plain, secured].map((one) => new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve))));
});
afterAll(() => {
  for (const socket of open) socket.destroy();
  for (const one of [server, plain, secured]) one.close();
  rmSync(dir, { recursive: true, force: true });
});

/** What is answered, with the client's own port. */
function ask(port: number, text: string): Promise<{ answer: string; from: number }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write(text));
    const from = (): number => socket.localPort ?? 0;
    socket.on('error', reject).on('data', (chunk: Buffer) => {
      const own = from();
      socket.destroy();
      resolve({ answer: chunk.toString('latin1'), from: own });
    });
  });
}

describe.each(PLANES)('%s', (plane) => {
  test.each([
    ['V1', false],
    ['V2', false],
    ['V1', true],
    ['V2', true],
  ] as const)('%s, TLS: %s', async (version, secure) => {
    const entry = (name: string, number: number, protocol: string) =>
      object('ServiceEntry', name, {
        ...{ hosts: [`${name}.test`], resolution: 'STATIC', ports: [{ number, name: 'p', protocol }] },
        endpoints: [{ address: '127.0.0.1', ports: { p: (server.address() as AddressInfo).port } }],
      });
    const tls = secure ? { tls: { mode: 'SIMPLE', sni: 'a.test', subjectAltNames: ['a.test'], caCertificates: join(dir, 'ca.pem') } } : {};
    const rule = (name: string) => object('DestinationRule', name, { host: `${name}.test`, trafficPolicy: { proxyProtocol: { version }, ...tls } });
    const objects = [entry('web', 80, 'HTTP'), entry('db', 5432, 'TCP'), rule('web'), rule('db')];
    const upstreams = [
      { host: 'web.test', port: 80, listenPort: 1 },
      { host: 'db.test', port: 5432, listenPort: 2 },
    ];
    const port = await startPlane(plane, objects, { node: { upstreams } });
    seen.length = 0;
    for (const [listener, text, wanted] of [
      ['db.test_5432', 'hello', /^hello$/],
      ['web.test_80', 'GET / HTTP/1.1\r\nhost: a\r\n\r\n', /^HTTP\/1\.1 200[^]*ok$/],
      // Of another client, so on another connection.
      ['web.test_80', 'GET / HTTP/1.1\r\nhost: a\r\n\r\n', /^HTTP\/1\.1 200[^]*ok$/],
    ] as const) {
      const { answer: got, from } = await ask(port(listener), text);
      expect(got).toMatch(wanted);
      const addresses = { source: '127.0.0.1', sourcePort: from, destination: '127.0.0.1', destinationPort: port(listener) };
      expect(seen.at(-1)).toMatchObject({ version: version === 'V1' ? 1 : 2, addresses });
    }
    expect(seen.length).toBe(3);
  });
});

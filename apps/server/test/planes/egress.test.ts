// Ways out of the mesh and in by gateways, the same configuration on the embedded proxy and on stock Envoy: ServiceEntries, TLS
// origination and termination, TLS passed through by SNI, opaque TCP, unknown hosts under both outbound policies.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { MeshObject, ProxyNode } from '@weft/mesh-core/model';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { testAuthority } from '../../src/proxy/listener/testing/certificates.ts';
import { exchange, get } from './asking.ts';
import { PLANES, object, startPlane } from './planes.ts';

let credential: Record<string, string>;
let client: { cert: string; key: string };
const dir = mkdtempSync(join(tmpdir(), 'weft-egress-'));
const servers: Server[] = [];
let at: Record<'plain' | 'secure' | 'other' | 'tcp', number>;

async function listening(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  const authority = await testAuthority();
  writeFileSync(join(dir, 'ca.pem'), authority.caPem);
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const edge = await authority.issue('edge.test');
  credential = { 'tls.crt': base64(edge.chainPem), 'tls.key': base64(edge.keyPem), 'ca.crt': base64(authority.caPem) };
  const known = await authority.issue('client.test');
  client = { cert: known.chainPem, key: known.keyPem };
  const secure = async (name: string): Promise<Server> => {
    const { chainPem, keyPem } = await authority.issue(name);
    return createHttpsServer({ cert: chainPem, key: keyPem }, (asked, response) => response.end(`${name} over TLS, ${asked.headers.host}`));
  };
  at = {
    plain: await listening(createHttpServer((asked, response) => response.end(`plain ${asked.headers.host}`))),
    secure: await listening(await secure('api.test')),
    other: await listening(await secure('other.test')),
    tcp: await listening(createTcpServer((socket) => void socket.pipe(socket).on('error', () => socket.destroy()))),
  };
});
afterAll(() => {
  for (const server of servers) server.close();
  rmSync(dir, { recursive: true, force: true });
});

const entry = (name: string, host: string, resolution: string, port: object, endpoint?: { address: string; port: number }): MeshObject =>
  object('ServiceEntry', name, {
    hosts: [host],
    resolution,
    ports: [{ name: 'p', ...port }],
    ...(endpoint === undefined ? {} : { endpoints: [{ address: endpoint.address, ports: { p: endpoint.port } }] }),
  });
const local = (port: number): { address: string; port: number } => ({ address: '127.0.0.1', port });

function world(): MeshObject[] {
  return [
    entry('dns', 'web.test', 'DNS', { number: 80, protocol: 'HTTP' }, { address: 'localhost', port: at.plain }),
    entry('origin', 'api.test', 'STATIC', { number: 80, protocol: 'HTTP' }, local(at.secure)),
    object('DestinationRule', 'origin', { host: 'api.test', trafficPolicy: { tls: { mode: 'SIMPLE', caCertificates: join(dir, 'ca.pem') } } }),
    entry('liar', 'liar.test', 'STATIC', { number: 80, protocol: 'HTTP' }, local(at.other)),
    object('DestinationRule', 'liar', { host: 'liar.test', trafficPolicy: { tls: { mode: 'SIMPLE', caCertificates: join(dir, 'ca.pem') } } }),
    entry('tcp', 'db.test', 'STATIC', { number: 5432, protocol: 'TCP' }, local(at.tcp)),
    entry('tls', 'tls.test', 'STATIC', { number: 443, protocol: 'TLS' }, local(at.secure)),
    entry('tls-other', 'other.test', 'STATIC', { number: 443, protocol: 'TLS' }, local(at.other)),
    object('VirtualService', 'by-sni', {
      hosts: ['tls.test'],
      tls: [{ match: [{ port: 443, sniHosts: ['other.test'] }], route: [{ destination: { host: 'other.test', port: { number: 443 } } }] }],
    }),
    entry('sniffed', 'mixed.test', 'STATIC', { number: 9000 }, local(at.tcp)),
    entry('wild', '*host', 'NONE', { number: at.plain, protocol: 'HTTP' }),
  ];
}

/** The listeners' ports come by name. */
async function start(plane: 'embedded' | 'envoy', extra: readonly MeshObject[], changes: Partial<ProxyNode> = {}): Promise<(listener: string) => number> {
  const upstreams = [
    { host: 'db.test', port: 5432, listenPort: 1 },
    { host: 'tls.test', port: 443, listenPort: 2 },
    { host: 'mixed.test', port: 9000, listenPort: 3 },
  ];
  return startPlane(plane, [...world(), ...extra], { node: { httpProxyPort: 4, upstreams, ...changes } });
}

function certificateName(port: number, servername: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: '127.0.0.1', servername, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().subjectaltname ?? '');
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

describe.each(PLANES)('%s', (plane) => {
  test('what ServiceEntries name is reached, over the protocol they say', { timeout: 30_000 }, async () => {
    const port = await start(plane, []);
    // A name in DNS needs its first answer.
    await vi.waitFor(async () => expect(await get(port('http_proxy'), 'web.test')).toBe('200 plain web.test'), 10_000);
    expect(await get(port('http_proxy'), 'api.test')).toBe('200 api.test over TLS, api.test');
    expect(await get(port('http_proxy'), 'liar.test')).toMatch(/^503 /);
    expect(await exchange(port('db.test_5432'), 'select')).toBe('select');
    expect(await certificateName(port('tls.test_443'), 'tls.test')).toBe('DNS:api.test');
    expect(await certificateName(port('tls.test_443'), 'other.test')).toBe('DNS:other.test');
    expect(await exchange(port('mixed.test_9000'), '\u0000binary')).toBe('\u0000binary');
    expect(await get(port('http_proxy'), `localhost:${at.plain}`)).toBe(`200 plain localhost:${at.plain}`);
  });

  test('an unknown host is passed on under ALLOW_ANY and refused under REGISTRY_ONLY', { timeout: 30_000 }, async () => {
    const open = await start(plane, []);
    const shut = await start(plane, [object('Sidecar', 'default', { outboundTrafficPolicy: {}, egress: [{ hosts: ['./web.test'] }] })]);
    expect(await get(open('http_proxy'), `127.0.0.1:${at.plain}`)).toBe(`200 plain 127.0.0.1:${at.plain}`);
    expect(await get(shut('http_proxy'), `127.0.0.1:${at.plain}`)).toBe('502 ');
    // Not named by the Sidecar, so as unknown as any.
    expect(await get(shut('http_proxy'), 'api.test')).toBe('502 ');
    await vi.waitFor(async () => expect(await get(shut('http_proxy'), 'web.test')).toBe('200 plain web.test'), 10_000);
    expect(() => shut('db.test_5432')).toThrow('no listener');
  });

  test('a gateway ends TLS with the certificate of a Secret, or passes it on by SNI; TCP comes as it is', { timeout: 30_000 }, async () => {
    const number = { https: 443, mutual: 8443, tls: 9443, tcp: 9000 };
    const server = (port: number, name: string, protocol: string, hosts: string[], mode?: object): object => ({
      port: { number: port, name, protocol },
      hosts,
      ...mode,
    });
    const to = (host: string, number: number): object => ({ destination: { host, port: { number } } });
    const objects = [
      object('v1 Secret', 'edge', { data: credential }),
      object('Gateway', 'gw', {
        selector: { app: 'web' },
        servers: [
          server(number.https, 'https', 'HTTPS', ['edge.test'], { tls: { mode: 'SIMPLE', credentialName: 'edge' } }),
          server(number.mutual, 'mutual', 'HTTPS', ['edge.test'], { tls: { mode: 'OPTIONAL_MUTUAL', credentialName: 'edge' } }),
          server(number.tls, 'tls', 'TLS', ['*.test'], { tls: { mode: 'PASSTHROUGH' } }),
          server(number.tcp, 'tcp', 'TCP', ['*']),
        ],
      }),
      object('VirtualService', 'in', {
        hosts: ['edge.test', 'other.test'],
        gateways: ['gw'],
        http: [{ route: [to('web.test', 80)] }],
        tls: [{ match: [{ port: number.tls, sniHosts: ['other.test'] }], route: [to('other.test', 443)] }],
        tcp: [{ match: [{ port: number.tcp }], route: [to('db.test', 5432)] }],
      }),
    ];
    const port = await start(plane, objects, { role: 'router' });
    const [https, mutual, tls, tcp] = [number.https, number.mutual, number.tls, number.tcp].map((n) => port(`127.0.0.1_${n}`)) as [
      number,
      number,
      number,
      number,
    ];
    const ask = (at: number, options: object = {}): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = connectTls({ port: at, host: '127.0.0.1', servername: 'edge.test', rejectUnauthorized: false, ...options }, () =>
          socket.write('GET / HTTP/1.1\r\nhost: edge.test\r\nconnection: close\r\n\r\n'),
        );
        let text = '';
        socket.on('data', (part) => (text += part.toString()));
        socket.on('close', () => resolve(`${text.split(' ')[1] ?? 'closed'} ${text.split('\r\n\r\n')[1]?.includes('plain edge.test') ?? false}`));
        socket.on('error', reject);
      });
    await vi.waitFor(async () => expect(await ask(https)).toBe('200 true'), 10_000);
    expect(await certificateName(https, 'edge.test')).toBe('DNS:edge.test');
    await expect(ask(https, { servername: 'nobody.example' })).rejects.toThrow();
    expect(await ask(mutual)).toBe('200 true');
    expect(await ask(mutual, client)).toBe('200 true');
    expect(await certificateName(tls, 'other.test')).toBe('DNS:other.test');
    await expect(certificateName(tls, 'api.test')).rejects.toThrow();
    expect(await exchange(tcp, 'select')).toBe('select');
  });
});

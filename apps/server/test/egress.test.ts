// Ways out of the mesh and in by gateways, the same configuration on the embedded proxy and on stock Envoy: ServiceEntries, TLS
// origination and termination, TLS passed through by SNI, opaque TCP, unknown hosts under both outbound policies.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, request } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer as createTcpServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { fromBinary, toJson } from '@bufbuild/protobuf';
import { SecretSchema } from '@weft/mesh-core/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb';
import { DEFAULT_MESH_SETTINGS, type MeshObject, type ProxyNode } from '@weft/mesh-core/model';
import { buildMesh, translate } from '@weft/mesh-core/translate';
import { type ResourceSet, TYPE_URL } from '@weft/mesh-core/xds';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { decodeCluster, decodeEndpoints, decodeListener, decodeRouteConfig, decodeSecret } from '../src/proxy/config/decode.ts';
import { createProxyRuntime } from '../src/proxy/http/runtime.ts';
import { testAuthority } from '../src/proxy/listener/testing/certificates.ts';

// Of another project's tests, which TypeScript does not let this one import.
const { envoyBinary, staticBootstrap } = (await import(
  String(new URL('../../../packages/mesh-core/src/translate/testing/static-envoy.ts', import.meta.url))
)) as {
  envoyBinary(): string | undefined;
  staticBootstrap(set: ResourceSet, secrets: readonly object[]): object;
};
let credential: Record<string, string>;
let client: { cert: string; key: string };
const dir = mkdtempSync(join(tmpdir(), 'weft-egress-'));
const servers: Server[] = [];
const envoy = envoyBinary();
let at: Record<'plain' | 'secure' | 'other' | 'tcp', number>;

async function listening(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
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

const object = (kind: string, name: string, spec: unknown): MeshObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind,
  metadata: { name, namespace: 'shop' },
  spec,
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

interface Ports {
  proxy: number;
  db: number;
  tls: number;
  mixed: number;
}
interface Running {
  ports: Ports;
  stop(): Promise<void>;
}

async function nodeOf(
  dataPlane: ProxyNode['dataPlane'],
  extra: readonly MeshObject[],
  changes: Partial<ProxyNode> = {},
): Promise<{ ports: Ports; set: ResourceSet }> {
  const ports: Ports = { proxy: await freePort(), db: await freePort(), tls: await freePort(), mixed: await freePort() };
  const node: ProxyNode = {
    id: 'sidecar~127.0.0.1~web.shop~shop.svc.cluster.local',
    role: 'sidecar',
    dataPlane,
    ip: '127.0.0.1',
    workload: 'web',
    namespace: 'shop',
    identity: { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'web' },
    labels: { app: 'web' },
    locality: '',
    httpProxyPort: ports.proxy,
    inbound: [],
    upstreams: [
      { host: 'db.test', port: 5432, listenPort: ports.db },
      { host: 'tls.test', port: 443, listenPort: ports.tls },
      { host: 'mixed.test', port: 9000, listenPort: ports.mixed },
    ],
    adminPort: 0,
    version: '0',
    ...changes,
  };
  return { ports, set: translate(buildMesh([...world(), ...extra], DEFAULT_MESH_SETTINGS), node, DEFAULT_MESH_SETTINGS) };
}

async function embedded(extra: readonly MeshObject[], changes?: Partial<ProxyNode>): Promise<Running> {
  const { ports, set } = await nodeOf('embedded', extra, changes);
  const runtime = createProxyRuntime({ clock: () => performance.now(), random: Math.random, onRequestEnd: () => undefined });
  for (const { body, name } of set[TYPE_URL.cluster].values()) runtime.applyCluster(decodeCluster(body, name));
  for (const { body, name } of set[TYPE_URL.endpoint].values()) runtime.applyEndpoints(decodeEndpoints(body, name));
  for (const { body, name } of set[TYPE_URL.route].values()) runtime.applyRoutes(decodeRouteConfig(body, name));
  for (const { body, name } of set[TYPE_URL.secret].values()) runtime.applySecret(decodeSecret(body, name));
  await runtime.applyListeners([...set[TYPE_URL.listener].values()].map(({ body, name }) => decodeListener(body, name)));
  return { ports, stop: () => runtime.close() };
}

async function stock(extra: readonly MeshObject[], changes?: Partial<ProxyNode>): Promise<Running> {
  const { ports, set } = await nodeOf('envoy', extra, changes);
  const file = (name: string): string => join(dir, `${ports.proxy}.${name}`);
  const secrets = [...set[TYPE_URL.secret].values()].map(({ body }) => toJson(SecretSchema, fromBinary(SecretSchema, body)) as object);
  writeFileSync(file('json'), JSON.stringify(staticBootstrap(set, secrets)));
  let log = '';
  const child: ChildProcess = spawn(
    envoy ?? '',
    ['-c', file('json'), '--disable-hot-restart', '--concurrency', '1', '--admin-address-path', file('admin'), '-l', 'warning'],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  child.stderr?.on('data', (chunk: Buffer) => (log += chunk.toString()));
  await vi.waitFor(async () => {
    if (child.exitCode !== null) throw new Error(log);
    expect(await (await fetch(`http://${readFileSync(file('admin'), 'utf8')}/ready`)).text()).toContain('LIVE');
  }, 15_000);
  return {
    ports,
    stop: async () => {
      child.kill('SIGKILL');
      await new Promise((resolve) => child.once('exit', resolve));
    },
  };
}

function get(port: number, host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, headers: { host }, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve(`${response.statusCode} ${text}`));
    });
    asked.on('error', reject).end();
  });
}

function echo(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    // Ends only after the answer: a listener of Envoy that looks at first bytes drops who has ended by then.
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (part) => {
      resolve(part.toString());
      socket.destroy();
    });
    socket.on('end', () => reject(new Error('closed'))).on('error', reject);
  });
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

describe.each([
  ['embedded', embedded],
  ['envoy', stock],
] as const)('%s', (name, start) => {
  const missing = name === 'envoy' && envoy === undefined;

  test.skipIf(missing)('what ServiceEntries name is reached, over the protocol they say', { timeout: 30_000 }, async () => {
    const { ports, stop } = await start([]);
    try {
      // A name in DNS needs its first answer.
      await vi.waitFor(async () => expect(await get(ports.proxy, 'web.test')).toBe('200 plain web.test'), 10_000);
      expect(await get(ports.proxy, 'api.test')).toBe('200 api.test over TLS, api.test');
      expect(await get(ports.proxy, 'liar.test')).toMatch(/^503 /);
      expect(await echo(ports.db, 'select')).toBe('select');
      expect(await certificateName(ports.tls, 'tls.test')).toBe('DNS:api.test');
      expect(await certificateName(ports.tls, 'other.test')).toBe('DNS:other.test');
      expect(await echo(ports.mixed, '\u0000binary')).toBe('\u0000binary');
      expect(await get(ports.proxy, `localhost:${at.plain}`)).toBe(`200 plain localhost:${at.plain}`);
    } finally {
      await stop();
    }
  });

  test.skipIf(missing)('an unknown host is passed on under ALLOW_ANY and refused under REGISTRY_ONLY', { timeout: 30_000 }, async () => {
    const open = await start([]);
    const shut = await start([object('Sidecar', 'default', { outboundTrafficPolicy: {}, egress: [{ hosts: ['./web.test'] }] })]);
    try {
      expect(await get(open.ports.proxy, `127.0.0.1:${at.plain}`)).toBe(`200 plain 127.0.0.1:${at.plain}`);
      expect(await get(shut.ports.proxy, `127.0.0.1:${at.plain}`)).toBe('502 ');
      // Not named by the Sidecar, so as unknown as any.
      expect(await get(shut.ports.proxy, 'api.test')).toBe('502 ');
      await vi.waitFor(async () => expect(await get(shut.ports.proxy, 'web.test')).toBe('200 plain web.test'), 10_000);
      await expect(echo(shut.ports.db, 'x')).rejects.toThrow();
    } finally {
      await Promise.all([open.stop(), shut.stop()]);
    }
  });

  test.skipIf(missing)('a gateway ends TLS with the certificate of a Secret, or passes it on by SNI; TCP comes as it is', { timeout: 30_000 }, async () => {
    const [https, mutual, tls, tcp] = [await freePort(), await freePort(), await freePort(), await freePort()];
    const server = (number: number, name: string, protocol: string, hosts: string[], mode?: object): object => ({
      port: { number, name, protocol },
      hosts,
      ...mode,
    });
    const to = (host: string, number: number): object => ({ destination: { host, port: { number } } });
    const objects = [
      { ...object('Secret', 'edge', { data: credential }), apiVersion: 'v1' },
      object('Gateway', 'gw', {
        selector: { app: 'web' },
        servers: [
          server(https, 'https', 'HTTPS', ['edge.test'], { tls: { mode: 'SIMPLE', credentialName: 'edge' } }),
          server(mutual, 'mutual', 'HTTPS', ['edge.test'], { tls: { mode: 'OPTIONAL_MUTUAL', credentialName: 'edge' } }),
          server(tls, 'tls', 'TLS', ['*.test'], { tls: { mode: 'PASSTHROUGH' } }),
          server(tcp, 'tcp', 'TCP', ['*']),
        ],
      }),
      object('VirtualService', 'in', {
        hosts: ['edge.test', 'other.test'],
        gateways: ['gw'],
        http: [{ route: [to('web.test', 80)] }],
        tls: [{ match: [{ port: tls, sniHosts: ['other.test'] }], route: [to('other.test', 443)] }],
        tcp: [{ match: [{ port: tcp }], route: [to('db.test', 5432)] }],
      }),
    ];
    const { stop } = await start(objects, { role: 'router' });
    const ask = (port: number, options: object = {}): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = connectTls({ port, host: '127.0.0.1', servername: 'edge.test', rejectUnauthorized: false, ...options }, () =>
          socket.write('GET / HTTP/1.1\r\nhost: edge.test\r\nconnection: close\r\n\r\n'),
        );
        let text = '';
        socket.on('data', (part) => (text += part.toString()));
        socket.on('close', () => resolve(`${text.split(' ')[1] ?? 'closed'} ${text.split('\r\n\r\n')[1]?.includes('plain edge.test') ?? false}`));
        socket.on('error', reject);
      });
    try {
      await vi.waitFor(async () => expect(await ask(https)).toBe('200 true'), 10_000);
      expect(await certificateName(https, 'edge.test')).toBe('DNS:edge.test');
      await expect(ask(https, { servername: 'nobody.example' })).rejects.toThrow();
      expect(await ask(mutual)).toBe('200 true');
      expect(await ask(mutual, client)).toBe('200 true');
      expect(await certificateName(tls, 'other.test')).toBe('DNS:other.test');
      await expect(certificateName(tls, 'api.test')).rejects.toThrow();
      expect(await echo(tcp, 'select')).toBe('select');
    } finally {
      await stop();
    }
  });
});

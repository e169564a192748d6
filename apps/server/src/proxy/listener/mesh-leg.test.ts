// The leg between sidecars with stock Envoy at one end: HTTP/2 by ALPN over mutual TLS, upgrades over it too.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, get, request } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { ListenerConfig } from '../config/model.ts';
import { testAuthority, type TestAuthority } from './testing/certificates.ts';
import { chain, cluster, endpoint, listener, manager, startRig, type Rig } from './testing/rig.ts';

const envoy = process.env['ENVOY_BIN'];
if (envoy === undefined) process.stderr.write('weft: skipped: the mesh leg with Envoy: ENVOY_BIN is not set (npm test finds it)\n');

const id = (account: string): string => `spiffe://cluster.local/ns/default/sa/${account}`;
const typed = (type: string, fields: object): object => ({ '@type': `type.googleapis.com/envoy.${type}`, ...fields });
const any = { applicationProtocols: [], serverNames: [] };

interface App {
  port: number;
  protocols: string[];
}

/** Answers with what it saw, and echoes after an upgrade. */
async function app(): Promise<App> {
  const protocols: string[] = [];
  const server = createServer((incoming, response) => {
    protocols.push(incoming.httpVersion);
    incoming.pipe(response);
  });
  const open = new Set<{ destroy(): void }>();
  server.on('upgrade', (_, socket) => {
    open.add(socket);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    socket.on('error', () => undefined).on('data', (part: Buffer) => socket.write(`echo:${part.toString()}`));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of open) socket.destroy();
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, protocols };
}

async function tlsFiles(authority: TestAuthority, account: string): Promise<object> {
  const { chainPem, keyPem } = await authority.issue(id(account));
  return {
    alpn_protocols: ['h2', 'http/1.1'],
    tls_certificates: [{ certificate_chain: { inline_string: chainPem }, private_key: { inline_string: keyPem } }],
    validation_context: { trusted_ca: { inline_string: authority.caPem } },
  };
}

function envoyListener(upstreamTls: boolean, transportSocket: object | undefined): object {
  const hcm = typed('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
    stat_prefix: 'x',
    upgrade_configs: [{ upgrade_type: 'websocket' }],
    http2_protocol_options: { allow_connect: true },
    route_config: { virtual_hosts: [{ name: 'x', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'x' } }] }] },
    http_filters: [{ name: 'router', typed_config: typed('extensions.filters.http.router.v3.Router', {}) }],
  });
  return {
    name: 'x',
    address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
    filter_chains: [{ filters: [{ name: 'hcm', typed_config: hcm }], ...(transportSocket === undefined ? {} : { transport_socket: transportSocket }) }],
    stat_prefix: upstreamTls ? 'client' : 'server',
  };
}

/** Starts Envoy; resolves with its listener's port and admin address. */
async function startEnvoy(listenerConfig: object, clusterConfig: object): Promise<{ port: number; admin: string }> {
  const dir = mkdtempSync(join(tmpdir(), 'weft-leg-'));
  const admin = { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } };
  writeFileSync(join(dir, 'envoy.json'), JSON.stringify({ admin, static_resources: { listeners: [listenerConfig], clusters: [clusterConfig] } }));
  const child: ChildProcess = spawn(
    envoy ?? '',
    ['-c', join(dir, 'envoy.json'), '--disable-hot-restart', '--concurrency', '1', '--admin-address-path', join(dir, 'admin'), '-l', 'error'],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  onTestFinished(() => {
    child.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  });
  await expect.poll(() => existsSync(join(dir, 'admin')) && readFileSync(join(dir, 'admin'), 'utf8') !== '', { timeout: 15_000 }).toBe(true);
  const address = `http://${readFileSync(join(dir, 'admin'), 'utf8')}`;
  let port = 0;
  await expect
    .poll(
      async () => {
        port = Number(/::127\.0\.0\.1:(\d+)/.exec(await text(`${address}/listeners`))?.[1] ?? 0);
        return port > 0 && (await text(`${address}/ready`)).startsWith('LIVE');
      },
      { timeout: 15_000 },
    )
    .toBe(true);
  return { port, admin: address };
}

function text(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      let body = '';
      response.setEncoding('latin1').on('data', (part: string) => (body += part));
      response.on('end', () => resolve(body)).on('error', reject);
    }).on('error', reject);
  });
}

function post(port: number, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', method: 'POST', agent: false }, (response) => {
      let answer = '';
      response.setEncoding('latin1').on('data', (part: string) => (answer += part));
      response.on('end', () => resolve(`${response.statusCode} ${answer}`)).on('error', reject);
    });
    sent.on('error', reject).end(body);
  });
}

function echo(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', headers: { connection: 'Upgrade', upgrade: 'websocket' } });
    sent.on('error', reject).on('response', (response) => reject(new Error(`no upgrade: ${response.statusCode}`)));
    sent.on('upgrade', (_, socket) => {
      socket.once('data', (part: Buffer) => {
        resolve(part.toString());
        (socket as Socket).destroy();
      });
      socket.write('hi');
    });
    sent.end();
  });
}

async function load(rig: Rig, authority: TestAuthority, account: string): Promise<void> {
  rig.runtime.applySecret({ kind: 'validation', name: 'ROOTCA', caPem: authority.caPem });
  rig.runtime.applySecret({ kind: 'certificate', name: 'default', ...(await authority.issue(id(account))) });
}

async function embeddedClient(authority: TestAuthority, serverPort: number): Promise<Rig> {
  const own = cluster([]);
  const locality = { region: '', zone: '', subZone: '', priority: 0, weight: 0, endpoints: [endpoint(serverPort)] };
  const tls = { ...upstreamTls, peerSans: [{ kind: 'exact' as const, value: id('server'), ignoreCase: false }] };
  const rig = await startRig({
    clusters: [
      { ...own, http: { ...own.http, protocol: 'auto' }, endpoints: { ...own.endpoints, clusterName: 'app', localities: [locality] }, tls } as typeof own,
    ],
  });
  onTestFinished(() => rig.close());
  await load(rig, authority, 'client');
  return rig;
}

const upstreamTls = {
  certificateSecret: 'default',
  validationSecret: 'ROOTCA',
  sni: 'outbound_.80_._.server',
  alpn: ['h2', 'http/1.1'],
  verify: true,
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
};

async function embeddedServer(authority: TestAuthority, appPort: number, allowConnect = true): Promise<Rig> {
  const tls = { certificateSecrets: ['default'], validationSecret: 'ROOTCA', requireClientCertificate: true, alpn: ['h2', 'http/1.1'], peerSans: [] };
  const secure = chain({
    match: { transportProtocol: 'tls', ...any },
    tls: tls as NonNullable<ListenerConfig['chains'][number]['tls']>,
    http: manager({ http2: { allowConnect } }),
  });
  const rig = await startRig({ listener: listener({ direction: 'inbound', inspectTls: true, chains: [secure] }), clusters: [cluster([appPort])] });
  onTestFinished(() => rig.close());
  await load(rig, authority, 'server');
  return rig;
}

async function carries(port: number, target: App): Promise<void> {
  const bodies = Array.from({ length: 20 }, (_, i) => 'x'.repeat(i * 3001));
  expect(await Promise.all(bodies.map((body) => post(port, body)))).toEqual(bodies.map((body) => `200 ${body}`));
  expect(new Set(target.protocols)).toEqual(new Set(['1.1']));
  expect(await echo(port)).toBe('echo:hi');
}

test('embedded on both ends: one connection, HTTP/2', async () => {
  const target = await app();
  const authority = await testAuthority();
  const server = await embeddedServer(authority, target.port);
  const client = await embeddedClient(authority, server.port);
  // Upgrades that find no connection wait until its settings have come.
  expect(await Promise.all([echo(client.port), post(client.port, 'first'), echo(client.port)])).toEqual(['echo:hi', '200 first', 'echo:hi']);
  await carries(client.port, target);
  expect(new Set(server.records.map((record) => record.protocol))).toEqual(new Set(['HTTP/2']));
  expect(server.runtime.stats().listeners[0]?.totalConnections).toBe(1);
});

test('upgrades to a peer that does not take them over HTTP/2 go by HTTP/1.1', async () => {
  const target = await app();
  const authority = await testAuthority();
  const server = await embeddedServer(authority, target.port, false);
  const client = await embeddedClient(authority, server.port);
  const answers = await Promise.all([echo(client.port), post(client.port, 'first'), echo(client.port)]);
  expect([...answers, await echo(client.port)]).toEqual(['echo:hi', '200 first', 'echo:hi', 'echo:hi']);
  await expect
    .poll(() => server.records.map((record) => `${record.protocol} ${record.status}`).toSorted())
    .toEqual(['HTTP/1.1 101', 'HTTP/1.1 101', 'HTTP/1.1 101', 'HTTP/2 200']);
});

test.skipIf(envoy === undefined)('an embedded client and Envoy as the server', async () => {
  const target = await app();
  const authority = await testAuthority();
  const tls = typed('extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
    require_client_certificate: true,
    common_tls_context: await tlsFiles(authority, 'server'),
  });
  const address = { socket_address: { address: '127.0.0.1', port_value: target.port } };
  const load_assignment = { cluster_name: 'x', endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] };
  const server = await startEnvoy(envoyListener(false, { name: 'tls', typed_config: tls }), { name: 'x', type: 'STATIC', load_assignment });
  const client = await embeddedClient(authority, server.port);
  expect(await echo(client.port)).toBe('echo:hi');
  await carries(client.port, target);
  expect(await text(`${server.admin}/stats?filter=downstream_cx_http2_total`)).toMatch(/http\.x\.downstream_cx_http2_total: 1/);
  expect(await text(`${server.admin}/stats?filter=downstream_cx_total`)).toMatch(/http\.x\.downstream_cx_total: 1/);
});

test.skipIf(envoy === undefined)('Envoy as the client and an embedded server', async () => {
  const target = await app();
  const authority = await testAuthority();
  const server = await embeddedServer(authority, target.port);
  const tls = typed('extensions.transport_sockets.tls.v3.UpstreamTlsContext', { common_tls_context: await tlsFiles(authority, 'client') });
  const address = { socket_address: { address: '127.0.0.1', port_value: server.port } };
  const client = await startEnvoy(envoyListener(true, undefined), {
    name: 'x',
    type: 'STATIC',
    load_assignment: { cluster_name: 'x', endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed('extensions.upstreams.http.v3.HttpProtocolOptions', {
        auto_config: { http_protocol_options: {}, http2_protocol_options: { allow_connect: true } },
      }),
    },
    transport_socket: { name: 'tls', typed_config: tls },
  });
  expect(await post(client.port, 'first')).toBe('200 first');
  await carries(client.port, target);
  expect(server.records[0]).toMatchObject({ protocol: 'HTTP/2', tls: true });
});

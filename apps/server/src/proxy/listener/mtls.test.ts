import { createServer, request } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { StringMatch } from '../config/model.ts';
import type { TcpRecord } from '../http/hooks.ts';
import { testAuthority, type TestAuthority } from './testing/certificates.ts';
import { chain, cluster, endpoint, exchangeRaw, listener, manager, startRaw, startRig, type Rig } from './testing/rig.ts';

const clientId = 'spiffe://cluster.local/ns/default/sa/client';
const serverId = 'spiffe://cluster.local/ns/default/sa/server';
const exactly = (value: string): StringMatch => ({ kind: 'exact', value, ignoreCase: false });
const any = { applicationProtocols: [], serverNames: [] };

async function load(rig: Rig, authority: TestAuthority, uri: string): Promise<void> {
  rig.runtime.applySecret({ kind: 'validation', name: 'ROOTCA', caPem: authority.caPem });
  rig.runtime.applySecret({ kind: 'certificate', name: 'default', ...(await authority.issue(uri)) });
}

interface Hops {
  inbound: Rig;
  outbound: Rig;
}

async function hops(
  options: {
    authority?: TestAuthority;
    clientAuthority?: TestAuthority;
    expectServer?: string;
    acceptClients?: readonly StringMatch[];
    permissive?: boolean;
  } = {},
): Promise<Hops> {
  const authority = options.authority ?? (await testAuthority());
  const server = createServer((incoming, response) => response.end(JSON.stringify(incoming.headers)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const tls = {
    certificateSecrets: ['default'],
    validationSecret: 'ROOTCA',
    requireClientCertificate: true,
    alpn: ['istio', 'h2', 'http/1.1'],
    peerSans: options.acceptClients ?? [],
  };
  const http = manager({ serverName: 'istio-envoy', forwardClientCert: 'append_forward', peerHeader: 'x-weft-peer' });
  const secure = chain({ name: 'mtls', match: { transportProtocol: 'tls', ...any }, tls, http });
  const plain = chain({ name: 'plain', match: { transportProtocol: 'raw_buffer', ...any }, http });
  const inbound = await startRig({
    listener: listener({ direction: 'inbound', inspectTls: true, chains: options.permissive === true ? [secure, plain] : [secure] }),
    clusters: [cluster([(server.address() as AddressInfo).port])],
  });
  onTestFinished(() => inbound.close());
  await load(inbound, authority, serverId);
  const peer = endpoint(inbound.port, { metadata: { 'envoy.transport_socket_match': { tlsMode: 'istio' } } });
  const upstreamTls = {
    certificateSecret: 'default',
    validationSecret: 'ROOTCA',
    sni: 'outbound_.80_._.server',
    alpn: ['istio', 'h2'],
    verify: true,
    minVersion: 'TLSv1.2' as const,
    maxVersion: 'TLSv1.3' as const,
    peerSans: [exactly(options.expectServer ?? serverId)],
  };
  const outbound = await startRig({
    listener: listener({ chains: [chain({ http: manager({ filters: [{ kind: 'peer-metadata', header: 'x-weft-peer' }, { kind: 'router' }] }) })] }),
    clusters: [
      cluster([], {
        endpoints: {
          clusterName: 'app',
          overprovisioning: 140,
          weightedPriorityHealth: false,
          localities: [{ region: '', zone: '', subZone: '', priority: 0, weight: 0, endpoints: [peer] }],
        },
        tlsMatches: [
          { name: 'istio', endpoint: { tlsMode: 'istio' }, tls: upstreamTls },
          { name: 'plain', endpoint: {} },
        ],
      }),
    ],
    deps: { peerIdentity: 'client-v1;default;client;v1' },
  });
  onTestFinished(() => outbound.close());
  await load(outbound, options.clientAuthority ?? authority, clientId);
  return { inbound, outbound };
}

function get(port: number): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', headers: { 'x-weft-peer': 'forged', 'x-forwarded-client-cert': 'forged' } }, (response) => {
      let body = '';
      response.setEncoding('latin1').on('data', (part: string) => (body += part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    sent.on('error', reject).end();
  });
}

test('two hops over mTLS: both identities checked, the peer believed, forged headers gone', async () => {
  const { inbound, outbound } = await hops({ acceptClients: [exactly(clientId)] });
  const answer = await get(outbound.port);
  const seen = JSON.parse(answer.body) as Record<string, string>;
  expect(answer.status).toBe(200);
  expect(seen['x-weft-peer']).toBeUndefined();
  expect(seen['x-forwarded-client-cert']).toMatch(new RegExp(`^By=${serverId};Hash=[0-9a-f]{64};URI=${clientId}$`));
  expect(inbound.records[0]).toMatchObject({ tls: true, peer: { principal: clientId, header: 'client-v1;default;client;v1' } });
  expect(outbound.records[0]).toMatchObject({ tls: false, status: 200 });
});

test('a server with another identity is not talked to', async () => {
  const { inbound, outbound } = await hops({ expectServer: 'spiffe://cluster.local/ns/default/sa/other' });
  expect((await get(outbound.port)).status).toBe(503);
  expect(outbound.records[0]?.responseFlags).toBe('UF');
  expect(inbound.records).toEqual([]);
});

test('a client of another CA, or with an identity not accepted, gets nothing', async () => {
  const stranger = await hops({ clientAuthority: await testAuthority('other') });
  expect((await get(stranger.outbound.port)).status).toBe(503);
  const unwanted = await hops({ acceptClients: [exactly('spiffe://cluster.local/ns/default/sa/admin')] });
  expect((await get(unwanted.outbound.port)).status).toBe(503);
  expect(stranger.inbound.records.length + unwanted.inbound.records.length).toBe(0);
});

test('STRICT closes plaintext; PERMISSIVE serves it without believing the peer header', async () => {
  const strict = await hops();
  const plainRequest = 'GET / HTTP/1.1\r\nhost: a\r\nx-weft-peer: forged\r\nconnection: close\r\n\r\n';
  expect(await exchangeRaw(strict.inbound.port, plainRequest)).toBe('');
  const permissive = await hops({ permissive: true });
  expect(await exchangeRaw(permissive.inbound.port, plainRequest)).toMatch(/^HTTP\/1.1 200/);
  expect((await get(permissive.outbound.port)).status).toBe(200);
  expect(permissive.inbound.records.map((record) => [record.tls, record.peer.header])).toEqual([
    [false, undefined],
    [true, 'client-v1;default;client;v1'],
  ]);
});

test('new certificates, and then a new root, take over without a lost request', async () => {
  const { inbound, outbound } = await hops();
  expect((await get(outbound.port)).status).toBe(200);
  const next = await testAuthority('next');
  for (const rig of [inbound, outbound]) await load(rig, next, rig === inbound ? serverId : clientId);
  // The pooled connection goes on; connections made from here use the new root.
  const answers = await Promise.all(Array.from({ length: 8 }, () => get(outbound.port)));
  expect(answers.map((answer) => answer.status)).toEqual(Array.from({ length: 8 }, () => 200));
  expect(inbound.runtime.stats().listeners[0]?.totalConnections).toBeGreaterThan(1);
});

const toApp = {
  statPrefix: 't',
  clusters: [{ name: 'app', weight: 1, requestHeaders: { add: [], remove: [] }, responseHeaders: { add: [], remove: [] } }],
  idleTimeoutMs: 0,
};

test('a TCP listener carries bytes both ways', async () => {
  const upstream = await startRaw((chunk, socket) => socket.write(chunk.toUpperCase()));
  onTestFinished(() => upstream.close());
  const rig = await startRig({
    listener: listener({ chains: [{ name: 'tcp', match: { transportProtocol: 'any', ...any }, tcp: toApp }] }),
    clusters: [cluster([upstream.port])],
  });
  onTestFinished(() => rig.close());
  expect(await exchangeRaw(rig.port, 'hello', (text) => text === 'HELLO')).toBe('HELLO');
});

test('a TCP listener tells of handshakes that failed, and why', async () => {
  const authority = await testAuthority();
  const records: TcpRecord[] = [];
  const tls = { certificateSecrets: ['default'], validationSecret: 'ROOTCA', requireClientCertificate: true, alpn: [], peerSans: [] };
  const rig = await startRig({
    listener: listener({ direction: 'inbound', chains: [{ name: 'tcp', match: { transportProtocol: 'tls', ...any }, tls, tcp: toApp }] }),
    clusters: [cluster([1])],
    deps: { onTcp: (record) => records.push({ ...record }) },
  });
  onTestFinished(() => rig.close());
  await load(rig, authority, serverId);
  const stranger = await (await testAuthority('other')).issue(clientId);
  for (const identity of [{}, { cert: stranger.chainPem, key: stranger.keyPem }]) {
    const socket = connectTls({ port: rig.port, host: '127.0.0.1', servername: 'db.test', rejectUnauthorized: false, ...identity });
    await new Promise((resolve) => socket.on('error', () => undefined).once('close', resolve));
  }
  await vi.waitFor(() => expect(records).toHaveLength(2));
  expect(records).toMatchObject(
    ['ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE', ''].map((downstreamFailure) => ({
      ...{ phase: 'refused', serverName: 'db.test', responseFlags: '-', receivedBytes: 0, cluster: { name: 'app' }, downstreamFailure },
    })),
  );
});

test('a client that trickles a ClientHello is still served, and noise is refused', async () => {
  const { inbound } = await hops();
  const socket = connect(inbound.port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  const closed = new Promise<void>((resolve) => socket.on('error', () => undefined).on('close', () => resolve()));
  socket.write(Buffer.from([0x16, 3, 1, 0xff, 0xff]));
  await closed;
  expect(inbound.runtime.stats().listeners[0]?.refusedConnections).toBe(1);
});

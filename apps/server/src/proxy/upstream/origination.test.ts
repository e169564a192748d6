// What a cluster says about where and how to connect: DNS names, targets of the request, TLS of any server.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { type JsonObject, fromJson, toBinary } from '@bufbuild/protobuf';
import { ClusterSchema } from '@weft/mesh-core/gen/envoy/config/cluster/v3/cluster_pb';
import { registry } from '@weft/mesh-core/translate';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeCluster } from '../config/decode.ts';
import { type TestAuthority, testAuthority } from '../listener/testing/certificates.ts';
import { exchangeRaw, route, routes, startRig } from '../listener/testing/rig.ts';

const dir = mkdtempSync(join(tmpdir(), 'weft-origination-'));
const file = (name: string): string => join(dir, name);
let authority: TestAuthority;
let securePort = 0;
let plainPort = 0;
/** Server names of the requests so far. */
const asked: string[] = [];
const servers: { close(): void; closeAllConnections(): void }[] = [];

beforeAll(async () => {
  authority = await testAuthority();
  const own = await authority.issue('db.example');
  const client = await authority.issue('spiffe://cluster.local/ns/a/sa/b');
  writeFileSync(file('ca.pem'), authority.caPem);
  writeFileSync(file('other.pem'), (await testAuthority('other')).caPem);
  writeFileSync(file('client.pem'), client.chainPem);
  writeFileSync(file('client.key'), client.keyPem);
  const secure = createServer(
    { cert: own.chainPem, key: own.keyPem, requestCert: true, rejectUnauthorized: false, ca: authority.caPem },
    (request, response) => {
      const socket = request.socket as TLSSocket & { servername?: string };
      asked.push(String(socket.servername));
      const peer = socket.getPeerCertificate().subjectaltname ?? 'nobody';
      response.end(`${String(socket.servername)} ${socket.getProtocol()} ${peer}`);
    },
  ).listen(0, '127.0.0.1');
  const plain = createHttpServer((request, response) => response.end(`plain ${request.headers.host ?? ''}`)).listen(0, '127.0.0.1');
  servers.push(secure, plain);
  await Promise.all([secure, plain].map((server) => new Promise((resolve) => server.once('listening', resolve))));
  securePort = (secure.address() as AddressInfo).port;
  plainPort = (plain.address() as AddressInfo).port;
});
afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(dir, { recursive: true, force: true });
});

const decode = (json: JsonObject) => decodeCluster(toBinary(ClusterSchema, fromJson(ClusterSchema, { name: 'app', ...json }, { registry })), 'app');
const at = (address: string, portValue: number): JsonObject => ({
  loadAssignment: { clusterName: 'app', endpoints: [{ lbEndpoints: [{ endpoint: { address: { socketAddress: { address, portValue } } } }] }] },
});
const tls = (common: JsonObject, rest: JsonObject = {}): JsonObject => ({
  transportSocket: {
    name: 'tls',
    typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', commonTlsContext: common, ...rest },
  },
});
const auto = (upstreamHttpProtocolOptions: JsonObject): JsonObject => ({
  typedExtensionProtocolOptions: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
      explicitHttpConfig: { httpProtocolOptions: {} },
      upstreamHttpProtocolOptions,
    },
  },
});

/** Status and body of one request through the cluster. */
async function ask(json: JsonObject, host = 'db.example'): Promise<string> {
  const rig = await startRig({ clusters: [decode(json)] });
  try {
    await expect.poll(() => rig.runtime.stats().clusters[0]?.endpoints.length !== 0 || json['type'] !== 'STRICT_DNS').toBe(true);
    const answer = await exchangeRaw(rig.port, `GET / HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
    return `${answer.split(' ')[1] ?? ''} ${answer.split('\r\n\r\n')[1] ?? ''}`.replace(/^503 .*/s, '503');
  } finally {
    await rig.close();
  }
}

const trust = (): JsonObject => ({ validationContext: { trustedCa: { filename: file('ca.pem') } } });

test('the chain is checked against a file, and not at all without one', async () => {
  expect(await ask({ ...at('127.0.0.1', securePort), ...tls(trust(), { sni: 'x' }) })).toBe('200 x TLSv1.3 nobody');
  expect(await ask({ ...at('127.0.0.1', securePort), ...tls({ validationContext: { trustedCa: { filename: file('other.pem') } } }) })).toBe('503');
  expect(await ask({ ...at('127.0.0.1', securePort), ...tls({ validationContext: {} }) })).toBe('200 false TLSv1.3 nobody');
});

test('own certificate inline or from files, versions', async () => {
  const certificate = { tlsCertificates: [{ certificateChain: { filename: file('client.pem') }, privateKey: { filename: file('client.key') } }] };
  const params = { tlsParams: { tlsMaximumProtocolVersion: 'TLSv1_2' } };
  expect(await ask({ ...at('127.0.0.1', securePort), ...tls({ ...trust(), ...certificate, ...params }) })).toBe(
    '200 false TLSv1.2 URI:spiffe://cluster.local/ns/a/sa/b',
  );
});

test('names: those listed, and with auto_sni and auto_san_validation the one the request is for', async () => {
  const names = (exact: string): JsonObject => ({
    validationContext: { trustedCa: { inlineString: authority.caPem }, matchTypedSubjectAltNames: [{ sanType: 'DNS', matcher: { exact } }] },
  });
  expect(await ask({ ...at('127.0.0.1', securePort), ...tls(names('db.example')) })).toContain('200');
  expect(await ask({ ...at('127.0.0.1', securePort), ...tls(names('other.example')) })).toBe('503');
  const follow = { ...at('127.0.0.1', securePort), ...tls(trust()), ...auto({ autoSni: true, autoSanValidation: true }) };
  expect(await ask(follow, 'db.example:8443')).toBe('200 db.example TLSv1.3 nobody');
  expect(await ask(follow, 'evil.example')).toBe('503');
});

test('each server name has connections of its own', async () => {
  const rig = await startRig({ clusters: [decode({ ...at('127.0.0.1', securePort), ...tls(trust()), ...auto({ autoSni: true }) })] });
  const body = async (host: string): Promise<string> =>
    (await exchangeRaw(rig.port, `GET / HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`)).split('\r\n\r\n')[1] ?? '';
  expect([await body('a.example'), await body('b.example'), await body('a.example')].map((text) => text.split(' ')[0])).toEqual([
    'a.example',
    'b.example',
    'a.example',
  ]);
  expect(rig.runtime.stats().clusters[0]).toMatchObject({ totalConnections: 2, endpoints: [{ activeConnections: 2, totalRequests: 3 }] });
  await rig.close();
});

test('a mirror asks for the name it is for, too', async () => {
  const mirrored = { name: 'mirrored', ...at('127.0.0.1', securePort), ...tls(trust()), ...auto({ autoSni: true }) };
  const mirror = { cluster: 'mirrored', fraction: { numerator: 100, of: 100 }, shadowSuffix: true, traceSampled: false };
  const clusters = [decode(at('127.0.0.1', plainPort)), decode(mirrored)];
  const rig = await startRig({ clusters, routes: routes([route({ mirrors: [mirror] })]) });
  asked.length = 0;
  await exchangeRaw(rig.port, 'GET / HTTP/1.1\r\nhost: a.example:80\r\nconnection: close\r\n\r\n');
  await expect.poll(() => asked).toEqual(['a.example-shadow']);
  await rig.close();
});

test('STRICT_DNS resolves first, LOGICAL_DNS when it connects', async () => {
  for (const type of ['STRICT_DNS', 'LOGICAL_DNS'])
    expect(await ask({ type, dnsLookupFamily: 'V4_ONLY', ...at('localhost', plainPort) })).toBe('200 plain db.example');
});

test('a dynamic forward proxy and an original destination go where the request says', async () => {
  const proxy = {
    clusterType: {
      name: 'envoy.clusters.dynamic_forward_proxy',
      typedConfig: {
        '@type': 'type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig',
        dnsCacheConfig: { name: 'dns', dnsLookupFamily: 'V4_ONLY' },
      },
    },
    lbPolicy: 'CLUSTER_PROVIDED',
  };
  for (const config of [proxy, { type: 'ORIGINAL_DST', lbPolicy: 'CLUSTER_PROVIDED' }])
    expect(await ask(config, `localhost:${plainPort}`)).toBe(`200 plain localhost:${plainPort}`);
  expect(await ask(proxy, 'no-such-host.invalid')).toBe('503');
});

test.each<[string, () => JsonObject]>([
  ['trustedCa: ENOENT', () => tls({ validationContext: { trustedCa: { filename: file('missing') } } })],
  ['trustedCa: does not load', () => tls({ validationContext: { trustedCa: { inlineString: 'nonsense' } } })],
  [
    'names or hashes are to be matched but there is no trusted CA',
    () => tls({ validationContext: { matchTypedSubjectAltNames: [{ sanType: 'DNS', matcher: { exact: 'a' } }] } }),
  ],
  [
    'transportSocket.typedConfig: a transport socket of type xds.type.v3.TypedStruct is not supported',
    () => ({
      transportSocket: {
        name: 'p',
        typedConfig: { '@type': 'type.googleapis.com/xds.type.v3.TypedStruct', typeUrl: 'x' },
      },
    }),
  ],
])('refused: %s', (problem, json) => {
  expect(() => decode(json())).toThrow(problem);
});

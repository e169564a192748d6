// What others may ask the control plane about its proxies: CSDS, load reports, metrics.

import { Client, credentials } from '@grpc/grpc-js';
import type { ChannelCredentials } from '@grpc/grpc-js';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ClientResourceStatus } from '@weft/mesh-core/gen/envoy/admin/v3/config_dump_shared_pb';
import { SecretSchema } from '@weft/mesh-core/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb';
import { LoadStatsRequestSchema, LoadStatsResponseSchema } from '@weft/mesh-core/gen/envoy/service/load_stats/v3/lrs_pb';
import { ClientStatusRequestSchema, ClientStatusResponseSchema, ConfigStatus } from '@weft/mesh-core/gen/envoy/service/status/v3/csds_pb';
import type { ClientStatusResponse } from '@weft/mesh-core/gen/envoy/service/status/v3/csds_pb';
import { TYPE_URL } from '@weft/mesh-core/xds';
import { openDelta } from './testing/ads-client.ts';
import { nodeOf, startHarness, until, virtualService } from './testing/harness.ts';

let harness: Awaited<ReturnType<typeof startHarness>>;
const closers: (() => void)[] = [];
const pass = (bytes: Buffer): Buffer => bytes;

beforeEach(async () => {
  harness = await startHarness();
});
afterEach(async () => {
  for (const close of closers.splice(0)) close();
  await harness.close();
});

function fetchStatus(port: number, request: MessageInitShape<typeof ClientStatusRequestSchema> = {}, creds: ChannelCredentials = credentials.createInsecure()) {
  const client = new Client(`localhost:${port}`, creds);
  closers.push(() => client.close());
  return new Promise<ClientStatusResponse>((resolve, reject) => {
    const bytes = Buffer.from(toBinary(ClientStatusRequestSchema, create(ClientStatusRequestSchema, request)));
    client.makeUnaryRequest('/envoy.service.status.v3.ClientStatusDiscoveryService/FetchClientStatus', pass, pass, bytes, (error, reply) =>
      error === null && reply !== undefined ? resolve(fromBinary(ClientStatusResponseSchema, reply)) : reject(error ?? new Error('no reply')),
    );
  });
}

/** A proxy that has cluster `one` acknowledged and was refused an edit of it, and that waits for route `none`. */
async function proxyWithRefusal(): Promise<void> {
  await harness.put(virtualService('one', { cluster: 1 }), virtualService('two', {}));
  const stream = openDelta(harness.plane.ports().plain);
  closers.push(stream.close);
  stream.send({ node: nodeOf('client'), typeUrl: TYPE_URL.cluster });
  stream.send({ typeUrl: TYPE_URL.cluster, responseNonce: (await stream.next()).nonce });
  stream.send({ typeUrl: TYPE_URL.route, resourceNamesSubscribe: ['none'] });
  stream.send({ typeUrl: TYPE_URL.route, responseNonce: (await stream.next()).nonce });
  await harness.put(virtualService('one', { cluster: 2 }));
  stream.send({ typeUrl: TYPE_URL.cluster, responseNonce: (await stream.next()).nonce, errorDetail: { code: 3, message: 'one is bad' } });
  await until(() => harness.plane.proxies()[0]?.state === 'nacked');
}

test('CSDS tells per resource what is in step, refused and missing; contents on demand', async () => {
  await proxyWithRefusal();
  const { plain } = harness.plane.ports();
  const { config } = await fetchStatus(plain);
  expect(config).toHaveLength(1);
  const states = Object.fromEntries((config[0]?.genericXdsConfigs ?? []).map((c) => [c.name, [c.configStatus, c.clientStatus, c.errorState?.details]]));
  expect(states).toEqual({
    one: [ConfigStatus.ERROR, ClientResourceStatus.NACKED, 'one is bad'],
    two: [ConfigStatus.SYNCED, ClientResourceStatus.ACKED, undefined],
    none: [ConfigStatus.NOT_SENT, ClientResourceStatus.DOES_NOT_EXIST, undefined],
  });
  expect(config[0]?.genericXdsConfigs.find((c) => c.name === 'two')?.xdsConfig?.typeUrl).toBe(TYPE_URL.cluster);
  const short = await fetchStatus(plain, { excludeResourceContents: true });
  expect(short.config[0]?.genericXdsConfigs.every((c) => c.xdsConfig === undefined)).toBe(true);
  const of = (exact: string) => fetchStatus(plain, { nodeMatchers: [{ nodeId: { matchPattern: { case: 'exact', value: exact } } }] });
  expect((await of(nodeOf('client').id)).config).toHaveLength(1);
  expect((await of('another')).config).toHaveLength(0);
  await expect(fetchStatus(plain, { nodeMatchers: [{ nodeMetadatas: [{}] }] })).rejects.toMatchObject({ code: 12 });
});

test('CSDS as a stream answers every request in order', async () => {
  await proxyWithRefusal();
  const client = new Client(`127.0.0.1:${harness.plane.ports().plain}`, credentials.createInsecure());
  const call = client.makeBidiStreamRequest('/envoy.service.status.v3.ClientStatusDiscoveryService/StreamClientStatus', pass, pass);
  closers.push(() => client.close());
  call.on('error', () => undefined);
  const sizes: number[] = [];
  call.on('data', (bytes: Buffer) => sizes.push(fromBinary(ClientStatusResponseSchema, bytes).config.length));
  for (let i = 0; i < 3; i += 1) call.write(Buffer.from(toBinary(ClientStatusRequestSchema, create(ClientStatusRequestSchema, {}))));
  await until(() => sizes.length === 3);
  expect(sizes).toEqual([1, 1, 1]);
  call.end();
});

test('on the mTLS port a workload sees its own proxies only, and no private key', async () => {
  const { tls } = harness.plane.ports();
  const credentialsOf = async (serviceAccount: string): Promise<ChannelCredentials> => {
    const leaf = await harness.ca.issueLeaf({ trustDomain: 'cluster.local', namespace: 'a', serviceAccount });
    return credentials.createSsl(Buffer.from(harness.ca.rootCaPem), Buffer.from(leaf.privateKeyPem), Buffer.from(leaf.certificatePem), {
      checkServerIdentity: () => undefined,
    });
  };
  const mine = await credentialsOf('client');
  const stream = openDelta(tls, mine);
  closers.push(stream.close);
  stream.send({ node: nodeOf('client'), typeUrl: TYPE_URL.secret, resourceNamesSubscribe: ['default'] });
  stream.send({ typeUrl: TYPE_URL.secret, responseNonce: (await stream.next()).nonce });
  const [config] = (await fetchStatus(tls, {}, mine)).config;
  const secret = config?.genericXdsConfigs.find((c) => c.name === 'default')?.xdsConfig;
  const { type } = fromBinary(SecretSchema, secret?.value ?? new Uint8Array());
  expect(type.case).toBe('tlsCertificate');
  expect(type.case === 'tlsCertificate' ? type.value.certificateChain : undefined).toBeDefined();
  expect(type.case === 'tlsCertificate' ? type.value.privateKey : 'x').toBeUndefined();
  expect((await fetchStatus(tls, {}, await credentialsOf('stranger'))).config).toEqual([]);
  const anonymous = credentials.createSsl(Buffer.from(harness.ca.rootCaPem), null, null, { checkServerIdentity: () => undefined });
  await expect(fetchStatus(tls, {}, anonymous)).rejects.toMatchObject({ code: 7 });
});

test('load reports are asked for and summed by proxy, cluster and locality', async () => {
  const client = new Client(`127.0.0.1:${harness.plane.ports().plain}`, credentials.createInsecure());
  closers.push(() => client.close());
  const call = client.makeBidiStreamRequest('/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats', pass, pass);
  const asked = new Promise<Buffer>((resolve) => call.once('data', resolve));
  const send = (message: MessageInitShape<typeof LoadStatsRequestSchema>): unknown =>
    call.write(Buffer.from(toBinary(LoadStatsRequestSchema, create(LoadStatsRequestSchema, message))));
  send({ node: { id: 'reporter', clientFeatures: ['envoy.lrs.supports_send_all_clusters'] } });
  expect(fromBinary(LoadStatsResponseSchema, await asked)).toMatchObject({ sendAllClusters: true, loadReportingInterval: { seconds: 1n } });
  const stats = {
    locality: { region: 'r', zone: 'z' },
    totalIssuedRequests: 5n,
    totalSuccessfulRequests: 3n,
    totalErrorRequests: 1n,
    totalRequestsInProgress: 1n,
  };
  for (let i = 0; i < 2; i += 1) send({ clusterStats: [{ clusterName: 'c', totalDroppedRequests: 2n, upstreamLocalityStats: [stats] }] });
  await until(() => harness.plane.loads()[0]?.issued === 10);
  expect(harness.plane.loads()).toMatchObject([
    { proxyId: 'reporter', cluster: 'c', locality: 'r/z', issued: 10, succeeded: 6, failed: 2, inProgress: 1, dropped: 4 },
  ]);
  call.on('error', () => undefined);
  call.cancel();
});

test('metrics carry Istio’s names, types and buckets', async () => {
  await proxyWithRefusal();
  const text = await harness.plane.metrics();
  for (const row of [
    'pilot_xds_pushes{type="cds"} 2',
    'pilot_total_xds_rejects{type="cds"} 1',
    'pilot_xds_cds_reject 1',
    'pilot_virt_services 2',
    'pilot_xds{version=""} 1',
    'pilot_proxy_convergence_time_bucket{le="0.1"}',
    'pilot_proxy_queue_time_bucket{le="30"} 1',
    'pilot_xds_push_time_bucket{le="0.01",type="cds"}',
    'pilot_xds_config_size_bytes_bucket{le="10000",type="cds"} 2',
  ])
    expect(text).toContain(row);
});

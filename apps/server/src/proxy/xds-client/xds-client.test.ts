// The delta client against an ADS server that says exactly what the test tells it to.

import { create, fromBinary, toBinary, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { ClusterSchema, Cluster_DiscoveryType, Cluster_LbPolicy } from '@weft/mesh-core/gen/envoy/config/cluster/v3/cluster_pb';
import { ClusterLoadAssignmentSchema } from '@weft/mesh-core/gen/envoy/config/endpoint/v3/endpoint_pb';
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from '@weft/mesh-core/gen/envoy/service/discovery/v3/discovery_pb';
import { TYPE_URL } from '@weft/mesh-core/xds';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createCertificateAuthority } from '../../certificates/ca.ts';
import { until } from '../../control-plane/testing/harness.ts';
import type { ProxyRuntime } from '../http/hooks.ts';
import { createConfiguration } from './configuration.ts';
import { type XdsClient, startXdsClient } from './xds-client.ts';

type Stream = ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;
let server: Server;
let client: XdsClient;
let dir: string;
let streams: { stream: Stream; requests: DeltaDiscoveryRequest[] }[];
let applied: string[];

const note =
  (what: string) =>
  (of: string | { name?: string; clusterName?: string }): void =>
    void applied.push(`${what} ${typeof of === 'string' ? of : (of.name ?? of.clusterName ?? '')}`);
const runtime: ProxyRuntime = {
  applyListeners: (listeners) => Promise.resolve(note('listeners')(listeners.map((l) => l.name).join())),
  applyRoutes: note('route'),
  removeRoutes: note('-route'),
  applyCluster: note('cluster'),
  removeCluster: note('-cluster'),
  applyEndpoints: note('endpoints'),
  removeEndpoints: note('-endpoints'),
  applySecret: note('secret'),
  failHealth: () => undefined,
  drain: () => Promise.resolve(),
  close: () => Promise.resolve(),
  stats: () => ({ clusters: [], listeners: [], counters: {} }),
};

beforeEach(async () => {
  streams = [];
  applied = [];
  dir = await mkdtemp(join(tmpdir(), 'weft-xds-'));
  const ca = await createCertificateAuthority({ stateDir: dir, trustDomain: 'cluster.local' });
  const identity = { trustDomain: 'cluster.local', namespace: 'a', serviceAccount: 's' };
  const leaf = await ca.issueLeaf(identity, { hostNames: [{ type: 'dns', value: 'localhost' }] });
  server = new Server();
  server.addService(
    {
      Delta: {
        path: '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
        requestStream: true,
        responseStream: true,
        requestSerialize: (m: DeltaDiscoveryRequest) => Buffer.from(toBinary(DeltaDiscoveryRequestSchema, m)),
        requestDeserialize: (b: Buffer) => fromBinary(DeltaDiscoveryRequestSchema, b),
        responseSerialize: (m: DeltaDiscoveryResponse) => Buffer.from(toBinary(DeltaDiscoveryResponseSchema, m)),
        responseDeserialize: (b: Buffer) => fromBinary(DeltaDiscoveryResponseSchema, b),
      },
    },
    {
      Delta: (stream: Stream) => {
        const requests: DeltaDiscoveryRequest[] = [];
        streams.push({ stream, requests });
        stream.on('data', (request: DeltaDiscoveryRequest) => requests.push(request));
        stream.on('error', () => undefined);
        stream.on('end', () => stream.end());
      },
    },
  );
  const tls = ServerCredentials.createSsl(
    Buffer.from(ca.rootCaPem),
    [{ private_key: Buffer.from(leaf.privateKeyPem), cert_chain: Buffer.from(leaf.certificatePem) }],
    true,
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', tls, (error, bound) => (error === null ? resolve(bound) : reject(error))),
  );
  client = startXdsClient({
    address: `127.0.0.1:${port}`,
    rootCaPem: ca.rootCaPem,
    identity: () => ({ keyPem: leaf.privateKeyPem, chainPem: leaf.certificatePem, notBefore: 0, notAfter: Number.MAX_SAFE_INTEGER }),
    node: { id: 'sidecar~127.0.0.1~w.a~a.svc.cluster.local', cluster: 'w.a', metadata: { NAMESPACE: 'a' }, version: '0.1.0' },
    configuration: createConfiguration(runtime, { changed: () => undefined, live: () => undefined }),
    log: () => undefined,
  });
});
afterEach(async () => {
  client.stop();
  server.forceShutdown();
  await rm(dir, { recursive: true });
});

function send<D extends DescMessage>(
  stream: Stream,
  nonce: string,
  typeUrl: string,
  schema: D,
  resources: Record<string, MessageInitShape<D>>,
  removed: string[] = [],
): void {
  stream.write(
    create(DeltaDiscoveryResponseSchema, {
      typeUrl,
      nonce,
      resources: Object.entries(resources).map(([name, value]) => ({
        name,
        version: `v-${nonce}`,
        resource: { typeUrl, value: toBinary(schema, create(schema, value)) },
      })),
      removedResources: removed,
    }),
  );
}
const eds = (name: string): MessageInitShape<typeof ClusterSchema> => ({
  name,
  clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.EDS },
  edsClusterConfig: {},
});
const answerTo = (i: number, nonce: string): Promise<DeltaDiscoveryRequest> => until(() => streams[i]?.requests.find((r) => r.responseNonce === nonce));

test('clusters and listeners are asked for whole, endpoints by the names clusters refer to', async () => {
  const first = await until(() => streams[0]);
  await until(() => first.requests.length >= 2);
  expect(first.requests.map((r) => [r.typeUrl, r.resourceNamesSubscribe, r.node?.id])).toEqual([
    [TYPE_URL.cluster, ['*'], 'sidecar~127.0.0.1~w.a~a.svc.cluster.local'],
    [TYPE_URL.listener, ['*'], undefined],
  ]);
  send(first.stream, 'n1', TYPE_URL.cluster, ClusterSchema, { a: eds('a'), b: eds('b') });
  expect((await answerTo(0, 'n1')).errorDetail).toBeUndefined();
  const subscription = await until(() => first.requests.find((r) => r.typeUrl === TYPE_URL.endpoint));
  expect(subscription.resourceNamesSubscribe).toEqual(['a', 'b']);
  send(first.stream, 'n2', TYPE_URL.cluster, ClusterSchema, {}, ['b']);
  const gone = await until(() => first.requests.find((r) => r.resourceNamesUnsubscribe.length > 0));
  expect(gone.resourceNamesUnsubscribe).toEqual(['b']);
  expect(applied).toEqual(['cluster a', 'cluster b', '-cluster b', '-endpoints b']);
});

test('of a batch with one part it cannot do the rest is served, and the part refused with the reason', async () => {
  const { stream } = await until(() => streams[0]);
  send(stream, 'n1', TYPE_URL.cluster, ClusterSchema, { good: eds('good'), bad: { ...eds('bad'), lbPolicy: Cluster_LbPolicy.LOAD_BALANCING_POLICY_CONFIG } });
  expect((await answerTo(0, 'n1')).errorDetail?.message).toBe('bad.lbPolicy: LOAD_BALANCING_POLICY_CONFIG is not supported');
  expect(applied).toEqual(['cluster good']);
  expect(client.state().lastNack).toContain('bad.lbPolicy');
  send(stream, 'n2', TYPE_URL.cluster, ClusterSchema, { bad: eds('bad') });
  expect((await answerTo(0, 'n2')).errorDetail).toBeUndefined();
  expect(applied).toEqual(['cluster good', 'cluster bad']);
});

test('after a lost stream it comes back with the versions it has and keeps what it serves', async () => {
  const { stream } = await until(() => streams[0]);
  send(stream, 'n1', TYPE_URL.cluster, ClusterSchema, { a: eds('a') });
  await answerTo(0, 'n1');
  send(stream, 'n2', TYPE_URL.endpoint, ClusterLoadAssignmentSchema, { a: { clusterName: 'a' } });
  await answerTo(0, 'n2');
  const before = [...applied];
  stream.end();
  const second = await until(() => streams[1]);
  await until(() => second.requests.length >= 3);
  expect(Object.fromEntries(second.requests.map((r) => [r.typeUrl, r.initialResourceVersions]))).toEqual({
    [TYPE_URL.cluster]: { a: 'v-n1' },
    [TYPE_URL.listener]: {},
    [TYPE_URL.endpoint]: { a: 'v-n2' },
  });
  expect(second.requests[0]?.node?.id).toContain('w.a');
  expect(applied).toEqual(before);
});

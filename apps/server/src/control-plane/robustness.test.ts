// Clients that are broken, hostile or gone: the others must not notice.

import { randomBytes } from 'node:crypto';
import { connect } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { create, toBinary } from '@bufbuild/protobuf';
import { Client, credentials } from '@grpc/grpc-js';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DeltaDiscoveryRequestSchema } from '@weft/mesh-core/gen/envoy/service/discovery/v3/discovery_pb';
import { TYPE_URL, decodeRequest } from '@weft/mesh-core/xds';
import { openDelta } from './testing/ads-client.ts';
import type { DeltaStream } from './testing/ads-client.ts';
import { nodeOf, startHarness, until, virtualService } from './testing/harness.ts';
import { DISCOVERY_METHODS } from './xds-services.ts';

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

/** A proxy with clusters and routes in step. */
async function healthy(name: string, held?: Record<string, string>): Promise<DeltaStream> {
  const stream = openDelta(harness.plane.ports().plain);
  closers.push(stream.close);
  stream.send({ node: nodeOf(name), typeUrl: TYPE_URL.cluster, ...(held === undefined ? {} : { initialResourceVersions: held }) });
  if (held === undefined) {
    stream.send({ typeUrl: TYPE_URL.cluster, responseNonce: (await stream.next()).nonce });
    await until(() => harness.plane.proxies().some((p) => p.workload === name && p.state === 'synced'));
  }
  return stream;
}

/** An edit reaches `stream`. */
async function editReaches(stream: DeltaStream, cluster: number | string): Promise<void> {
  await harness.put(virtualService('one', { cluster }));
  const response = await stream.next();
  expect(response.resources.map((r) => r.name)).toEqual(['one']);
  stream.send({ typeUrl: response.typeUrl, responseNonce: response.nonce });
}

test('random bytes on every method of both ports end that call with an error and nothing else', async () => {
  await harness.put(virtualService('one', { cluster: 1 }));
  const stream = await healthy('good');
  const { plain, tls } = harness.plane.ports();
  const anonymous = credentials.createSsl(Buffer.from(harness.ca.rootCaPem), null, null, { checkServerIdentity: () => undefined });
  const paths = [
    ...DISCOVERY_METHODS.map((m) => m.path),
    '/envoy.service.status.v3.ClientStatusDiscoveryService/StreamClientStatus',
    '/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats',
    '/istio.v1.auth.IstioCertificateService/CreateCertificate',
    '/no.such.Service/Method',
  ];
  for (const [port, creds] of [
    [plain, credentials.createInsecure()],
    [tls, anonymous],
  ] as const) {
    const client = new Client(`localhost:${port}`, creds);
    closers.push(() => client.close());
    const outcomes = await Promise.all(
      paths.flatMap((path) =>
        [1, 7, 300, 5_000].map(
          (size) =>
            new Promise<number>((resolve) => {
              const call = client.makeBidiStreamRequest(path, pass, pass);
              call.on('data', () => undefined);
              call.on('error', (error: { code?: number }) => resolve(error.code ?? -1));
              call.on('end', () => resolve(0));
              call.write(randomBytes(size));
              call.end();
            }),
        ),
      ),
    );
    // Never 2 (UNKNOWN) or 13 (INTERNAL): those would be exceptions of ours.
    expect(outcomes.filter((code) => code === 2 || code === 13)).toEqual([]);
  }
  await editReaches(stream, 2);
});

test('raw garbage on the sockets, and HTTP/2 that is no gRPC', async () => {
  await harness.put(virtualService('one', { cluster: 1 }));
  const stream = await healthy('good');
  const { plain, tls } = harness.plane.ports();
  const closed = [plain, tls].flatMap((port) =>
    [randomBytes(4_096), Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.from([22, 3, 1, 255, 255])].map(
      (bytes) =>
        new Promise<void>((resolve) => {
          const socket = connectTcp(port, '127.0.0.1');
          socket.on('error', () => undefined);
          socket.on('close', () => resolve());
          socket.resume();
          socket.end(bytes);
        }),
    ),
  );
  const session = connect(`http://127.0.0.1:${plain}`);
  closers.push(() => session.destroy());
  const request = session.request({ ':method': 'GET', ':path': '/' });
  const status = new Promise((resolve) => request.on('response', (headers) => resolve(headers[':status'])));
  expect(await status).toBe(415);
  await Promise.all(closed);
  await editReaches(stream, 2);
});

test('the request decoder throws on what is no message, and never runs on', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom('sotw' as const, 'delta' as const), (bytes, dialect) => {
      try {
        decodeRequest(dialect, bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('a stream that never answers is sent one response per type, whatever is edited, and delays no other', async () => {
  await harness.put(virtualService('one', { cluster: 1 }));
  const silent = openDelta(harness.plane.ports().plain);
  closers.push(silent.close);
  silent.send({ node: nodeOf('silent'), typeUrl: TYPE_URL.cluster });
  await silent.next();
  const stream = await healthy('good');
  for (let i = 2; i < 30; i += 1) await editReaches(stream, i);
  expect(silent.waiting).toBe(0);
  // When it speaks at last it gets the newest, once.
  silent.send({ typeUrl: TYPE_URL.cluster, responseNonce: '1' });
  expect((await silent.next()).resources.map((r) => r.version)).toHaveLength(1);
});

test('a client that does not read delays no other', async () => {
  // Enough that neither socket nor window takes it all.
  const names = Array.from({ length: 3_000 }, (_, i) => `service-${i}-${'x'.repeat(200)}`);
  await harness.put(...names.map((name) => virtualService(name, { cluster: 1 })), virtualService('one', { cluster: 1 }));
  const stuck = connect(`http://127.0.0.1:${harness.plane.ports().plain}`, { settings: { initialWindowSize: 1_024 } });
  closers.push(() => stuck.destroy());
  const call = stuck.request({
    ':method': 'POST',
    ':path': '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  call.pause();
  call.on('error', () => undefined);
  call.write(frame(nodeRequest('stuck')));
  await until(() => harness.plane.proxies().some((p) => p.workload === 'stuck' && p.types.length > 0));
  const stream = await healthy('good');
  for (let i = 2; i < 10; i += 1) await editReaches(stream, i);
  expect(harness.plane.proxies().find((p) => p.workload === 'stuck')?.state).toBe('stale');
});

test('200 refused edits: every one is known as refused, other resources still get through', async () => {
  await harness.put(virtualService('one', { cluster: 1 }), virtualService('two', { cluster: 1 }));
  const stream = await healthy('good');
  for (let i = 0; i < 200; i += 1) {
    const { revision } = await harness.put(virtualService('one', { cluster: `bad ${i}` }));
    const { nonce } = await stream.next();
    stream.send({ typeUrl: TYPE_URL.cluster, responseNonce: nonce, errorDetail: { code: 3, message: `refused ${i}` } });
    await until(() => harness.plane.propagation(revision)?.proxies[0]?.state === 'nacked');
    expect(harness.plane.propagation(revision)?.proxies[0]?.error).toBe(`refused ${i}`);
  }
  // Nothing was sent again meanwhile.
  expect(stream.waiting).toBe(0);
  const { revision } = await harness.put(virtualService('two', { cluster: 2 }));
  const response = await stream.next();
  expect(response.resources.map((r) => r.name).toSorted()).toEqual(['one', 'two']);
  stream.send({ typeUrl: TYPE_URL.cluster, responseNonce: response.nonce });
  await until(() => harness.plane.propagation(revision)?.proxies[0]?.state === 'acked');
});

test('a proxy that died comes back with what it holds: what is unchanged is not sent again', async () => {
  await harness.put(virtualService('one', { cluster: 1 }), virtualService('two', { cluster: 1 }));
  const first = openDelta(harness.plane.ports().plain);
  first.send({ node: nodeOf('phoenix'), typeUrl: TYPE_URL.cluster });
  const { resources, nonce } = await first.next();
  first.send({ typeUrl: TYPE_URL.cluster, responseNonce: nonce });
  await until(() => harness.plane.proxies()[0]?.state === 'synced');
  const held = { ...Object.fromEntries(resources.map((r) => [r.name, r.version])), gone: 'x' };
  for (let i = 2; i < 6; i += 1) {
    first.close();
    await harness.put(virtualService('one', { cluster: i }));
    const again = await healthy('phoenix', held);
    const response = await again.next();
    expect(response.resources.map((r) => r.name)).toEqual(['one']);
    // Once it has asked for all it is going to ask for: its routes may name it.
    again.send({ typeUrl: TYPE_URL.cluster, responseNonce: response.nonce });
    expect((await again.next()).removedResources).toEqual(['gone']);
    again.close();
  }
});

test('a new stream of a node ends its older one', async () => {
  await harness.put(virtualService('one', { cluster: 1 }));
  const older = await healthy('twin');
  const newer = await healthy('twin');
  await expect(older.next()).rejects.toThrow();
  await editReaches(newer, 2);
  expect(harness.plane.proxies().filter((p) => p.workload === 'twin')).toHaveLength(1);
});

test('connections end at their age when one is set, with GOAWAY and no error of ours', async () => {
  const aged = await startHarness({ maxConnectionAgeMs: 300 });
  closers.push(() => void aged.close());
  await aged.put(virtualService('one', { cluster: 1 }));
  const session = connect(`http://127.0.0.1:${aged.plane.ports().plain}`);
  closers.push(() => session.destroy());
  session.on('error', () => undefined);
  const code = await new Promise((resolve) => session.on('goaway', resolve));
  expect(code).toBe(0);
});

function frame(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, 5);
  return bytes;
}

function nodeRequest(name: string): Uint8Array {
  return toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, { node: nodeOf(name), typeUrl: TYPE_URL.cluster }));
}

import { gzipSync } from 'node:zlib';
import { Client, credentials } from '@grpc/grpc-js';
import type { ProxyStatus } from '@weft/mesh-core/api';
import { encodeMetrics, encodeTraces, type OtlpMetric, type OtlpResourceSpans } from '@weft/mesh-core/telemetry';
import type { MeshObject } from '@weft/mesh-core/model';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createTelemetry, type Telemetry } from './create-telemetry.ts';

const HOST = 'reviews.bookinfo.svc.cluster.local';
const BOUNDS = [5, 10, 25];
let now = 0;
let proxies: ProxyStatus[] = [];
let objects: MeshObject[] = [];
let telemetry: Telemetry;
const logs: string[] = [];

beforeEach(async () => {
  now = 1_700_000_000_000;
  proxies = [];
  objects = [];
  telemetry = createTelemetry({
    clock: () => now,
    objects: () => objects,
    proxies: () => proxies,
    host: '127.0.0.1',
    otlpHttpPort: 0,
    otlpGrpcPort: 0,
    log: (message) => logs.push(message),
  });
  await telemetry.start();
});
afterEach(() => telemetry.stop());

/** What the sidecar of reviews has counted: requests and buckets per version. */
function metrics(counts: Record<string, { ok: number; failed: number; buckets: number[] }>): Uint8Array {
  const labels = (version: string, code: string) => ({ reporter: 'destination', source_workload: 'productpage-v1', source_workload_namespace: 'bookinfo', destination_workload: `reviews-${version}`, destination_workload_namespace: 'bookinfo', destination_version: version, destination_app: 'reviews', destination_service: HOST, destination_service_name: 'reviews', destination_service_namespace: 'bookinfo', request_protocol: 'http', response_code: code, response_flags: '-', connection_security_policy: 'mutual_tls' }); // prettier-ignore
  const time = { startMs: 1_700_000_000_100, timeMs: now };
  const requests: OtlpMetric = { name: 'istio_requests_total', unit: '', kind: 'sum', temporality: 'cumulative', points: [] };
  const duration: OtlpMetric = { name: 'istio_request_duration_milliseconds', unit: 'ms', kind: 'histogram', temporality: 'cumulative', points: [] };
  for (const [version, { ok, failed, buckets }] of Object.entries(counts)) {
    requests.points.push({ ...time, attributes: labels(version, '200'), value: ok }, { ...time, attributes: labels(version, '503'), value: failed });
    duration.points.push({ ...time, attributes: labels(version, '200'), count: ok, sum: ok * 7, bounds: BOUNDS, bucketCounts: buckets });
  }
  return encodeMetrics([
    { resource: { 'weft.node_id': 'sidecar~1', 'weft.workload': 'reviews-v1', 'weft.namespace': 'bookinfo' }, metrics: [requests, duration] },
  ]);
}
const post = (path: string, body: Uint8Array, headers: Record<string, string> = {}) =>
  fetch(`http://127.0.0.1:${telemetry.intake.ports.http}${path}`, {
    method: 'POST',
    body: Buffer.from(body),
    headers: { 'content-type': 'application/x-protobuf', ...headers },
  });

const trace: OtlpResourceSpans[] = [{ resource: { 'service.name': 'reviews.bookinfo' }, spans: [{ traceId: 'ab'.repeat(16), spanId: 'cd'.repeat(8), parentSpanId: '', name: 'reviews:9080/*', kind: 2, startUs: 1_700_000_000_000_000, endUs: 1_700_000_000_005_000, attributes: { 'http.status_code': 503 }, events: [], status: 2 }] }]; // prettier-ignore

// Four seconds after the start a window of ten has four.
test('metrics posted over OTLP/HTTP answer every question with exact numbers', async () => {
  now += 1_000;
  expect(
    (await post('/v1/metrics', metrics({ v1: { ok: 90, failed: 0, buckets: [0, 90, 0, 0] }, v2: { ok: 5, failed: 5, buckets: [0, 0, 5, 0] } }))).status,
  ).toBe(200);
  now += 1_000;
  const changedAt = now;
  now += 1_000;
  await post('/v1/metrics', gzipSync(metrics({ v1: { ok: 120, failed: 0, buckets: [0, 120, 0, 0] }, v2: { ok: 35, failed: 5, buckets: [0, 0, 35, 0] } })), {
    'content-encoding': 'gzip',
  });
  now += 1_000;

  const subsets = ['v1', 'v2'].map((name) => ({ name, labels: { version: name } }));
  expect(telemetry.splitStats({ host: HOST, subsets, sinceMs: changedAt })).toMatchObject([{ subset: 'v1', requests: 30, rps: 15, errors: 0, p50: 7.5 }, { subset: 'v2', requests: 30, rps: 15, errors: 0, p50: 17.5 }]); // prettier-ignore
  expect(telemetry.splitStats({ host: HOST, subsets, sinceMs: 4_000 }).map((s) => [s.requests, s.errors])).toEqual([[120, 0], [40, 0.125]]); // prettier-ignore
  expect(telemetry.serviceStats(10)(HOST)).toEqual({
    rps: 40,
    errors: 5 / 160,
    p95: expect.closeTo(10 + (15 * (147.25 - 120)) / 35, 9),
    tcpBytes: 0,
    health: 'degraded',
  });

  const graph = await telemetry.graph({ namespaces: [], windowSec: 10, graphType: 'versionedApp', includeIdle: false });
  expect(graph.edges.map((e, i) => [e.id, graph.edgeRows[i]?.[0]])).toEqual([
    ['svc:bookinfo/reviews>wl:bookinfo/reviews-v1:http', 30],
    ['svc:bookinfo/reviews>wl:bookinfo/reviews-v2:http', 10],
    ['wl:bookinfo/productpage-v1>svc:bookinfo/reviews:http', 40],
  ]);

  const range = { start: now - 4_000, end: now, stepMs: 1_000 };
  expect(telemetry.series({ metric: 'rps', of: 'svc:bookinfo/reviews', by: 'version', ...range })).toEqual({ times: [1, 2, 3, 4].map((s) => 1_700_000_000_000 + s * 1_000), lines: [{ name: 'v1', values: [90, 0, 30, 0] }, { name: 'v2', values: [10, 0, 30, 0] }] }); // prettier-ignore
  expect(telemetry.series({ metric: 'errors', of: 'edge:svc:bookinfo/reviews>wl:bookinfo/reviews-v2:http', by: 'none', ...range }).lines).toEqual([
    { name: 'all', values: [0.5, null, 0, null] },
  ]);
});

test('subsets select configured workloads by all of their labels, others by what their metrics say', async () => {
  const entry = { apiVersion: 'networking.istio.io/v1', kind: 'WorkloadEntry', metadata: { name: 'reviews-v1', namespace: 'bookinfo' } };
  objects = [{ ...entry, spec: { address: '127.0.0.1', labels: { app: 'reviews', version: 'v1', track: 'stable' } } }];
  proxies = ['reviews-v1', 'reviews-v2'].map(
    (workload) => ({ id: workload, workload, namespace: 'bookinfo', role: 'sidecar', state: 'synced' }) as ProxyStatus,
  );
  await post('/v1/metrics', metrics({ v1: { ok: 3, failed: 0, buckets: [3, 0, 0, 0] }, v2: { ok: 2, failed: 0, buckets: [2, 0, 0, 0] } }));
  now += 1_000;
  const wanted = { stable: { track: 'stable' }, old: { version: 'v1', track: 'old' }, v2: { app: 'reviews', version: 'v2' } };
  const subsets = Object.entries(wanted).map(([name, labels]) => ({ name, labels }));
  expect(telemetry.splitStats({ host: HOST, subsets, sinceMs: now - 2_000 }).map((s) => [s.subset, s.requests])).toEqual([
    ['stable', 3],
    ['old', 0],
    ['v2', 2],
  ]);
});

test('all services are told of from one look at the metrics', async () => {
  await post('/v1/metrics', metrics({ v1: { ok: 1, failed: 0, buckets: [1, 0, 0, 0] } }));
  now += 1_000;
  await post('/v1/metrics', metrics({ v1: { ok: 3, failed: 0, buckets: [3, 0, 0, 0] } }));
  const looks = vi.spyOn(telemetry.metrics, 'increases');
  const statsOf = telemetry.serviceStats(10);
  // By its whole host, by name and namespace, and another's.
  const requests = [HOST, 'reviews.bookinfo.svc.other', 'ratings.bookinfo.svc.cluster.local'].map((host) => statsOf(host).rps);
  expect(requests).toEqual([3, 3, 0]);
  expect(looks).toHaveBeenCalledOnce();
});

test('what reached no version is the last line', async () => {
  await post('/v1/metrics', metrics({ v1: { ok: 1, failed: 0, buckets: [1, 0, 0, 0] }, unknown: { ok: 1, failed: 0, buckets: [1, 0, 0, 0] } }));
  now += 1_000;
  await post('/v1/metrics', metrics({ v1: { ok: 2, failed: 0, buckets: [2, 0, 0, 0] }, unknown: { ok: 2, failed: 0, buckets: [2, 0, 0, 0] } }));
  const { lines } = telemetry.series({ metric: 'rps', of: '', by: 'version', start: now - 1_000, end: now, stepMs: 1_000 });
  expect(lines.map((l) => l.name)).toEqual(['v1', 'unknown']);
});

test('a TCP service has bytes, and is healthy while they flow', async () => {
  const labels = { reporter: 'destination', source_workload: 'client-v1', source_workload_namespace: 'bookinfo', destination_workload: 'reviews-v1', destination_workload_namespace: 'bookinfo', destination_service: HOST, destination_service_name: 'reviews', destination_service_namespace: 'bookinfo', request_protocol: 'tcp', response_flags: '-' }; // prettier-ignore
  const sent = (value: number): Uint8Array =>
    encodeMetrics([
      {
        resource: { 'weft.node_id': 'sidecar~1', 'weft.workload': 'reviews-v1', 'weft.namespace': 'bookinfo' },
        metrics: [
          {
            ...{ name: 'istio_tcp_sent_bytes_total', unit: '', kind: 'sum', temporality: 'cumulative' },
            points: [{ startMs: 1_700_000_000_100, timeMs: now, attributes: labels, value }],
          },
        ],
      },
    ]);
  now += 1_000;
  await post('/v1/metrics', sent(1_000));
  now += 1_000;
  await post('/v1/metrics', sent(5_000));
  expect(telemetry.serviceStats(10)(HOST)).toEqual({ rps: 0, errors: 0, p95: -1, tcpBytes: 2_500, health: 'healthy' });
  const range = { of: 'svc:bookinfo/reviews', start: now - 2_000, end: now, stepMs: 1_000 };
  expect(telemetry.series({ metric: 'tcpBytes', by: 'source', ...range }).lines).toEqual([{ name: 'client-v1', values: [1_000, 4_000] }]);
  expect(telemetry.series({ metric: 'rps', by: 'code', ...range }).lines).toEqual([]);
});

test('spans come in over gRPC as raw bytes', async () => {
  const client = new Client(`127.0.0.1:${telemetry.intake.ports.grpc}`, credentials.createInsecure());
  const identity = (bytes: Uint8Array): Buffer => Buffer.from(bytes);
  const call = (path: string, body: Uint8Array): Promise<unknown> =>
    new Promise((resolve, reject) =>
      client.makeUnaryRequest(path, identity, identity, body, (error, value) => (error === null ? resolve(value) : reject(error))),
    );
  const path = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';
  await call(path, encodeTraces(trace));
  expect(telemetry.trace('ab'.repeat(16))?.spans).toMatchObject([{ service: 'reviews.bookinfo', kind: 'server', durationUs: 5_000, error: true }]);
  expect(telemetry.traceServices()).toEqual([{ name: 'reviews.bookinfo', operations: ['reviews:9080/*'] }]);
  // Envoy's spans name its node and nothing of the workload.
  proxies = [{ id: 'sidecar~9', workload: 'reviews-v2', namespace: 'bookinfo' } as ProxyStatus];
  await call(
    path,
    encodeTraces(trace.map((r) => ({ ...r, spans: r.spans.map((s) => ({ ...s, traceId: 'ef'.repeat(16), attributes: { node_id: 'sidecar~9' } })) }))),
  );
  expect(telemetry.trace('ef'.repeat(16))?.spans[0]?.resource).toMatchObject({ 'weft.workload': 'reviews-v2', 'weft.namespace': 'bookinfo' });
  await expect(call(path, new Uint8Array([10, 200, 1]))).rejects.toMatchObject({ code: 3 });
  client.close();
});

test('refuses what is no OTLP, and a body that unpacks to too much', async () => {
  expect((await post('/v1/metrics', new Uint8Array([10, 200, 1]))).status).toBe(400);
  expect((await post('/v1/traces', new Uint8Array(), { 'content-type': 'application/json' })).status).toBe(415);
  expect((await post('/v1/logs', new Uint8Array())).status).toBe(404);
  expect((await post('/v1/traces', gzipSync(Buffer.alloc(40_000_000)), { 'content-encoding': 'gzip' })).status).toBe(413);
  expect((await post('/v1/traces', Buffer.from('no gzip'), { 'content-encoding': 'gzip' })).status).toBe(400);
  expect((await post('/v1/traces', encodeTraces(trace))).status).toBe(200);
});

test('says which proxies are silent while their peers report traffic with them', async () => {
  const proxy = (workload: string, dataPlane: ProxyStatus['dataPlane']): ProxyStatus => ({ id: workload, workload, namespace: 'bookinfo', role: 'sidecar', dataPlane, version: '1', address: '', adminPort: 0, state: 'synced', connectedAt: now, lastSeenAt: now, identity: '', types: [] }); // prettier-ignore
  proxies = [proxy('productpage-v1', 'envoy'), proxy('reviews-v1', 'embedded'), proxy('details-v1', 'embedded')];
  const notes = async () => (await telemetry.graph({ namespaces: [], windowSec: 10, graphType: 'versionedApp', includeIdle: true })).notes;
  now += 1_000;
  await post('/v1/metrics', metrics({ v1: { ok: 1, failed: 0, buckets: [1, 0, 0, 0] } }));
  // details has no traffic and nothing to say; productpage calls reviews and says nothing.
  expect(await notes()).toEqual(['no telemetry from productpage-v1 yet']);
  now += 10_000;
  expect(await notes()).toEqual([]);
});

test('a taken port is named, and nothing stays open', async () => {
  const taken = telemetry.intake.ports.grpc;
  const second = createTelemetry({
    clock: () => now,
    objects: () => [],
    proxies: () => [],
    host: '127.0.0.1',
    otlpHttpPort: 0,
    otlpGrpcPort: taken,
    log: () => {},
  });
  await expect(second.start()).rejects.toMatchObject({ code: 'WEFT_OTLP_LISTEN', message: expect.stringContaining(String(taken)) });
  await second.stop();
});

test('sends spans on over OTLP: one Weft to another', async () => {
  const first = createTelemetry({
    clock: () => now,
    objects: () => [],
    proxies: () => [],
    host: '127.0.0.1',
    otlpHttpPort: 0,
    otlpGrpcPort: 0,
    log: (message) => logs.push(message),
    traceExport: { kind: 'otlp', endpoint: `http://127.0.0.1:${telemetry.intake.ports.http}` },
  });
  await first.start();
  const response = await fetch(`http://127.0.0.1:${first.intake.ports.http}/v1/traces`, {
    method: 'POST',
    body: Buffer.from(encodeTraces(trace)),
    headers: { 'content-type': 'application/x-protobuf' },
  });
  expect(response.status).toBe(200);
  await first.stop();
  expect(telemetry.trace('ab'.repeat(16))).toEqual(first.trace('ab'.repeat(16)));
});

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type OtlpPoint, type OtlpSpan, UNKNOWN_PEER, decodeMetrics, decodeTraces } from '@weft/mesh-core/telemetry';
import { afterEach, expect, test } from 'vitest';
import { until } from '../../control-plane/testing/harness.ts';
import type { ClusterConfig, Endpoint } from '../config/model.ts';
import type { RequestRecord, TcpRecord } from '../http/hooks.ts';
import { type OtlpExporter, startOtlpExporter } from './otlp-exporter.ts';
import { createPrometheus } from './prometheus.ts';
import { createRequestMetrics } from './request-metrics.ts';
import { createTcpMetrics } from './tcp-metrics.ts';

const self = { ...UNKNOWN_PEER, workload: 'web-v1', namespace: 'a', canonicalService: 'web' };
const cluster = {
  name: 'outbound|80||db.a.svc.cluster.local',
  metadata: { istio: { services: [{ host: 'db.a.svc.cluster.local', name: 'db', namespace: 'a' }] } },
} as unknown as ClusterConfig;
const endpoint: Endpoint = {
  address: '127.0.0.1',
  port: 1,
  hostname: '',
  weight: 1,
  health: 'healthy',
  metadata: { 'weft.peer': { workload: 'db-v1', namespace: 'a' } },
};
const record = (change: Partial<RequestRecord> = {}): RequestRecord =>
  ({
    direction: 'outbound',
    manager: {},
    startedAt: 0,
    durationMs: 7,
    requestHeaderBytes: 100,
    requestBodyBytes: 20,
    responseHeaderBytes: 50,
    responseBodyBytes: 3_000,
    status: 200,
    responseFlags: '-',
    route: undefined,
    cluster,
    endpoint,
    method: 'GET',
    path: '/',
    authority: 'db',
    protocol: 'HTTP/1.1',
    peer: { principal: undefined, header: undefined },
    contentType: '',
    grpcStatus: '',
    requestId: 'r',
    upstreamAddress: '127.0.0.1:1',
    downstreamAddress: '127.0.0.1:2',
    userAgent: 'test',
    details: 'via_upstream',
    ...change,
  }) as RequestRecord;

let exporter: OtlpExporter | undefined;
afterEach(async () => exporter?.stop());

test('counts per destination and code; a new object for the same endpoint goes on in its row', () => {
  const metrics = createRequestMetrics(self, () => 1);
  metrics.onRequest(record());
  metrics.onRequest(record({ endpoint: { ...endpoint }, durationMs: 20 }));
  metrics.onRequest(record({ status: 503, responseFlags: 'UH', endpoint: undefined }));
  const rows = [...metrics.rows()];
  expect(rows.map((r) => [r.labels.destination_workload, r.labels.destination_service, r.labels.response_code, r.labels.response_flags, r.requests])).toEqual([
    ['db-v1', 'db.a.svc.cluster.local', '200', '-', 2],
    ['unknown', 'db.a.svc.cluster.local', '503', 'UH', 1],
  ]);
  expect(rows[0]?.duration.sum).toBe(27);
  expect(Array.from(rows[0]?.duration.counts ?? []).slice(0, 5)).toEqual([0, 0, 0, 1, 1]);
});

test('a value on a bound is in the bucket below it, small and large', () => {
  const metrics = createRequestMetrics(self, () => 1);
  for (const durationMs of [0, 0.5, 0.501, 1, 1.01, 1_000, 1_000.2, 2_048, 2_048.5, 2_500, 2_500.1, 9e9]) metrics.onRequest(record({ durationMs }));
  const [row] = [...metrics.rows()];
  expect(Array.from(row?.duration.counts ?? [])).toEqual([2, 2, 1, 0, 0, 0, 0, 0, 0, 1, 4, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
});

test('messages are counted for gRPC only, and told apart from HTTP of the same status', async () => {
  const metrics = createRequestMetrics(self, () => 1);
  const grpc = { contentType: 'application/grpc', requestMessages: 2, responseMessages: 3 };
  metrics.onRequest(record());
  metrics.onRequest(record({ ...grpc, contentType: 'application/grpc-web', grpcStatus: '0' }));
  // An answer without a status of its own has that of its HTTP status.
  metrics.onRequest(record({ ...grpc, grpcStatus: '' }));
  metrics.onRequest(record({ ...grpc, status: 503, grpcStatus: '' }));
  metrics.onRequest(record({ ...grpc, status: 0, grpcStatus: '' }));
  metrics.onRequest(record({ ...grpc, grpcStatus: '0' }));
  metrics.onRequest(record({ ...grpc, grpcStatus: '0' }));
  const { metrics: sent } = metrics.takeChanged(2);
  const told = (name: string): unknown[] =>
    sent.find((m) => m.name === name)?.points.map((p) => [p.attributes['request_protocol'], p.attributes['grpc_response_status'], p.value]) ?? [];
  expect(told('istio_requests_total')).toEqual([
    ['http', '', 2],
    ['grpc', '2', 1],
    ['grpc', '14', 1],
    ['grpc', '', 1],
    ['grpc', '0', 2],
  ]);
  expect(told('istio_request_messages_total')).toEqual([
    ['grpc', '2', 2],
    ['grpc', '14', 2],
    ['grpc', '', 2],
    ['grpc', '0', 4],
  ]);
  expect(told('istio_response_messages_total')).toEqual([
    ['grpc', '2', 3],
    ['grpc', '14', 3],
    ['grpc', '', 3],
    ['grpc', '0', 6],
  ]);
  const { body: scraped } = await createPrometheus(
    metrics,
    createTcpMetrics(self, () => 1),
  )();
  expect(scraped.match(/^istio_response_messages_total\{.*grpc_response_status="0".*\} 6$/m)).not.toBeNull();
});

test('a Telemetry switches metrics off, leaves labels out and sets others; rows that then look alike are one', () => {
  const metrics = createRequestMetrics(self, () => 1);
  const manager = {
    metrics: { istio_requests_total: { remove: ['response_code'], set: { team: "'shop'" } }, istio_request_bytes: { disabled: true } },
  } as unknown as RequestRecord['manager'];
  metrics.onRequest(record({ manager }));
  metrics.onRequest(record({ manager, status: 404 }));
  const sent = metrics
    .takeChanged(2)
    .metrics.map(({ name, points }) => [name, points.length, points[0]?.attributes['response_code'], points[0]?.attributes['team']]);
  expect(sent).toEqual([
    ['istio_requests_total', 1, undefined, 'shop'],
    ['istio_request_duration_milliseconds', 2, '200', undefined],
    ['istio_request_bytes', 0, undefined, undefined],
    ['istio_response_bytes', 2, '200', undefined],
  ]);
  metrics.onRequest(record());
  expect([...metrics.rows()].at(-1)?.requests).toBe(1);
});

test('a plaintext peer that claims nothing is unknown, one with a certificate has its principal', () => {
  const metrics = createRequestMetrics(self, () => 1);
  const inbound = { direction: 'inbound' as const, cluster: undefined, endpoint: undefined };
  metrics.onRequest(record(inbound));
  metrics.onRequest(record({ ...inbound, peer: { principal: 'spiffe://cluster.local/ns/a/sa/c', header: 'c-v1;a;c;v1;c;v1;weft' } }));
  expect([...metrics.rows()].map((r) => [r.labels.source_workload, r.labels.source_principal, r.labels.connection_security_policy])).toEqual([
    ['unknown', 'unknown', 'none'],
    ['c-v1', 'spiffe://cluster.local/ns/a/sa/c', 'mutual_tls'],
  ]);
});

test('more label sets than the limit end in one row, and no request is lost', () => {
  const metrics = createRequestMetrics(self, () => 1);
  for (let i = 0; i < 5_500; i += 1) metrics.onRequest(record({ endpoint: { ...endpoint, metadata: { 'weft.peer': { workload: `w${i}` } } } }));
  const rows = [...metrics.rows()];
  expect(rows.length).toBe(5_001);
  expect(rows.reduce((sum, r) => sum + r.requests, 0)).toBe(5_500);
});

test('TCP connections count when they open and close, their bytes as they flow', async () => {
  const tcp = createTcpMetrics(self, () => 1);
  const connection = {
    direction: 'outbound',
    proxy: {},
    cluster,
    endpoint,
    peer: { principal: undefined, header: undefined },
    newReceivedBytes: 0,
    newSentBytes: 0,
    responseFlags: '-',
  } as unknown as TcpRecord;
  tcp.onTcp({ ...connection, phase: 'opened' });
  tcp.onTcp({ ...connection, phase: 'bytes', newReceivedBytes: 10, newSentBytes: 800 });
  tcp.onTcp({ ...connection, phase: 'closed', newSentBytes: 100 });
  tcp.onTcp({ ...connection, phase: 'closed', responseFlags: 'UF,URX' });
  expect([...tcp.rows()]).toMatchObject([
    { opened: 1, closed: 1, sent: 900, received: 10, labels: { request_protocol: 'tcp', destination_service_name: 'db', response_flags: '-' } },
    { opened: 0, closed: 1, sent: 0, received: 0, labels: { response_flags: 'UF,URX' } },
  ]);
  const opened = tcp.takeChanged(1).metrics.find((metric) => metric.name === 'istio_tcp_connections_opened_total');
  expect(opened?.points.map((point) => point.attributes['response_flags'])).toEqual(['-']);
  const { body: text } = await createPrometheus(
    createRequestMetrics(self, () => 1),
    tcp,
  )();
  expect(text).toMatch(/^istio_tcp_sent_bytes_total\{reporter="source".*\} 900$/m);
  expect(text).not.toContain('response_code');
});

test('tags by CEL differ from request to request; TCP metrics are changed on their own', () => {
  const metrics = createRequestMetrics(self, () => 1);
  const manager = { metrics: { istio_requests_total: { set: { host: 'request.host', code: 'string(response.code) + "!"', none: "request.headers['x']" } } } };
  for (const [authority, status] of [
    ['a', 200],
    ['b', 200],
    ['b', 404],
    ['b', 404],
  ] as const) {
    const one = record({ manager: manager as unknown as RequestRecord['manager'], authority, status });
    metrics.onRequest(one, { record: one, request: () => undefined, response: () => undefined });
  }
  const [requests] = metrics.takeChanged(2).metrics;
  expect(requests?.points.map(({ attributes: { host, code, none }, value }) => [host, code, none, value])).toEqual([
    ['a', '200!', 'unknown', 1],
    ['b', '200!', 'unknown', 1],
    ['b', '404!', 'unknown', 2],
  ]);

  const tcp = createTcpMetrics(self, () => 1);
  const proxy = {
    metrics: {
      istio_tcp_sent_bytes_total: { disabled: true },
      istio_tcp_connections_opened_total: { remove: ['destination_app'], set: { client: 'source.port' } },
    },
  };
  const connection = { phase: 'opened', direction: 'outbound', cluster, endpoint, peer: {}, proxy, responseFlags: '-', downstreamAddress: '10.0.0.1:4' };
  tcp.onTcp({ ...connection, newSentBytes: 1, newReceivedBytes: 2 } as unknown as TcpRecord);
  const told = tcp
    .takeChanged(2)
    .metrics.map(({ name, points }) => [name, points[0]?.attributes['client'], 'destination_app' in (points[0]?.attributes ?? {})]);
  expect(told).toEqual([
    ['istio_tcp_connections_opened_total', '4', false],
    ['istio_tcp_connections_closed_total', undefined, true],
    ['istio_tcp_received_bytes_total', undefined, true],
  ]);
});

test('connections with tags of other names and equal values are counted apart', () => {
  const tcp = createTcpMetrics(self, () => 1);
  for (const tag of ['one', 'two']) {
    const proxy = { metrics: { istio_tcp_connections_opened_total: { set: { [tag]: '"x"' } } } };
    const connection = { phase: 'opened', direction: 'outbound', cluster: undefined, endpoint: undefined, peer: {}, proxy, responseFlags: '-' };
    tcp.onTcp({ ...connection, newSentBytes: 0, newReceivedBytes: 0 } as unknown as TcpRecord);
  }
  const opened = tcp.takeChanged(2).metrics.find(({ name }) => name === 'istio_tcp_connections_opened_total');
  expect(opened?.points.map(({ attributes: { one, two }, value }) => [one, two, value])).toEqual([
    ['x', undefined, 1],
    [undefined, 'x', 1],
  ]);
});

test('TCP out of the mesh has Istio’s names, and label sets beyond the limit share one row', () => {
  const tcp = createTcpMetrics(self, () => 1);
  const to = (name: string, responseFlags = '-'): TcpRecord =>
    ({
      ...{ phase: 'opened', direction: 'outbound', cluster: { name, metadata: {} }, endpoint: undefined, peer: {}, proxy: {}, responseFlags },
      ...{ newSentBytes: 1, newReceivedBytes: 0 },
    }) as unknown as TcpRecord;
  tcp.onTcp(to('PassthroughCluster'));
  tcp.onTcp(to('BlackHoleCluster'));
  const names = [...tcp.rows()].map(({ labels }) => [labels.destination_service, labels.destination_service_name, labels.connection_security_policy]);
  expect(names).toEqual([
    ['unknown', 'PassthroughCluster', 'unknown'],
    ['unknown', 'BlackHoleCluster', 'unknown'],
  ]);
  for (let i = 0; i < 1_200; i++) tcp.onTcp(to('PassthroughCluster', `X${i}`));
  const rows = [...tcp.rows()];
  expect(rows.length).toBe(1_001);
  expect(rows.reduce((sum, row) => sum + row.sent, 0)).toBe(1_202);
  expect(rows.at(-1)).toMatchObject({ sent: 202, labels: { source_workload: 'unknown', destination_service_name: 'unknown' } });
});

const span: OtlpSpan = {
  traceId: 'a'.repeat(32),
  spanId: 'b'.repeat(16),
  parentSpanId: '',
  name: 'n',
  kind: 3,
  startUs: 1,
  endUs: 2,
  attributes: {},
  events: [],
  status: 0,
};

test('while the receiver refuses, counts wait and spans are dropped and counted; then the totals arrive', async () => {
  let up = false;
  const points: OtlpPoint[] = [];
  const spans: OtlpSpan[] = [];
  let refused = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (!up) refused += 1;
      else if (request.url === '/v1/metrics')
        points.push(...decodeMetrics(Buffer.concat(chunks)).flatMap((r) => r.metrics.find((m) => m.name === 'istio_requests_total')?.points ?? []));
      else spans.push(...decodeTraces(Buffer.concat(chunks)).flatMap((r) => r.spans));
      response.writeHead(up ? 200 : 503).end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const metrics = createRequestMetrics(self, () => 1);
  exporter = startOtlpExporter(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { 'service.name': 'web.a' }, [metrics], Date.now);
  metrics.onRequest(record());
  exporter.addSpan(span);
  await until(() => refused >= 2);
  await until(() => exporter?.droppedSpans() === 1);
  up = true;
  metrics.onRequest(record());
  exporter.addSpan(span);
  await until(() => points.length > 0 && spans.length > 0);
  expect(points.at(-1)).toMatchObject({ value: 2 });
  expect(spans.length).toBe(1);
  server.closeAllConnections();
  server.close();
});

test('spans that meet a kept connection the receiver closes go by another', async () => {
  let spans = 0;
  const used = new WeakSet<object>();
  const server = createServer((request, response) => {
    if (used.has(request.socket)) {
      request.socket.resetAndDestroy();
      return;
    }
    used.add(request.socket);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      spans += decodeTraces(Buffer.concat(chunks)).flatMap((r) => r.spans).length;
      response.end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  exporter = startOtlpExporter(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { 'service.name': 'web.a' }, [], Date.now);
  for (const sent of [1, 2]) {
    exporter.addSpan(span);
    await until(() => spans === sent);
  }
  expect(exporter.droppedSpans()).toBe(0);
  server.closeAllConnections();
  server.close();
});

test('an end sends all that has come, also while a push is under way', async () => {
  let spans = 0;
  let answer: (() => void) | undefined;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const first = spans === 0;
      spans += decodeTraces(Buffer.concat(chunks)).flatMap((r) => r.spans).length;
      if (first) answer = () => response.end();
      else response.end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { addSpan, stop } = startOtlpExporter(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { 'service.name': 'web.a' }, [], Date.now);
  addSpan(span);
  await until(() => answer !== undefined);
  for (let i = 0; i < 600; i++) addSpan(span);
  const stopped = stop();
  answer?.();
  await stopped;
  expect(spans).toBe(601);
  server.closeAllConnections();
  server.close();
});

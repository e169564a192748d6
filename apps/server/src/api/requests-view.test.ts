import type { Span, Trace, TraceQuery } from '@weft/mesh-core/api';
import { expect, test } from 'vitest';
import { requestsOf } from './requests-view.ts';

const span = (spanId: string, parentId: string, service: string, more: Partial<Span> & { workload?: string } = {}): Span => ({
  ...{ spanId, parentId, service, name: 'x', kind: 'server' as const, startUs: 1, durationUs: 5, error: false, events: [] },
  ...{ attributes: { 'http.method': 'GET', 'http.url': 'http://h/p', 'http.status_code': 200, response_flags: '-', response_size: 7 } },
  ...more,
  resource: { 'weft.workload': more.workload ?? `${service.split('.')[0]}-v1`, 'weft.namespace': service.split('.')[1] ?? '' },
});
const TRACES: Trace[] = [
  {
    traceId: 'old',
    spans: [
      span('1', '', 'gw.edge', { kind: 'client', workload: 'gw', attributes: { node_id: 'router~127.0.0.1~gw.edge~x' } }),
      span('2', '1', 'web.shop', { startUs: 10 }),
      span('3', '2', 'web.shop', { kind: 'client' }),
      span('4', '3', 'cart.shop'),
    ],
  },
  {
    traceId: 'new',
    spans: [
      span('5', '', 'web.shop', {
        startUs: 90,
        error: true,
        workload: 'web-v2',
        attributes: { 'http.status_code': 200, 'grpc.status_code': '14', response_flags: 'UH' },
      }),
    ],
  },
];
TRACES.push({
  traceId: 'unsent',
  spans: [
    span('6', '', 'web.shop', { startUs: 95 }),
    span('7', '6', 'web.shop', {
      ...{ kind: 'client', startUs: 96, error: true, name: 'x:80/*' },
      attributes: { upstream_cluster: 'outbound|80||cart.shop.svc.cluster.local', 'http.status_code': 503, response_flags: 'FI' },
    }),
    span('8', '6', 'web.shop', { kind: 'client', startUs: 97, error: true, name: 'cart.other.svc.cluster.local:80/*', attributes: {} }),
    span('9', '6', 'web.shop', { kind: 'client', startUs: 98, error: true, name: 'cart:80/*', attributes: { response_flags: 'NC' } }),
  ],
});
/** Long after all of them. */
const NOW = 10_000;
const asked: TraceQuery[] = [];
const traces = {
  findTraces: (query: TraceQuery) => {
    asked.push(query);
    return { traces: TRACES.map((t) => ({ traceId: t.traceId })) as never };
  },
  trace: (id: string) => TRACES.find((t) => t.traceId === id),
};

test('what arrived at a service, newest first, with who sent it and what was answered', () => {
  expect(requestsOf(traces, { service: 'web.shop', status: 'any', limit: 10 }, NOW)).toMatchObject([
    { traceId: 'unsent', spanId: '6' },
    { traceId: 'new', spanId: '5', workload: 'web-v2', code: '200', grpcStatus: '14', flags: 'UH', error: true },
    { traceId: 'old', spanId: '2', from: 'gw.edge', method: 'GET', url: 'http://h/p', code: '200', flags: '', responseBytes: 7 },
  ]);
  expect(requestsOf(traces, { service: 'gw.edge', status: 'any', limit: 10 }, NOW).map((r) => r.spanId)).toEqual(['1']);
});

test('what a sidecar sent is no arrival, though the span it belongs to is not there yet', () => {
  const early = { traceId: 'early', spans: [span('9', '8', 'web.shop', { kind: 'client', attributes: { node_id: 'sidecar~127.0.0.1~web-v1.shop~x' } })] };
  const one = { findTraces: () => ({ traces: [{ traceId: 'early' }] as never }), trace: () => early };
  expect(requestsOf(one, { service: 'web.shop', status: 'any', limit: 10 }, NOW)).toEqual([]);
});

test('of one workload, or only what failed or did not', () => {
  expect(requestsOf(traces, { service: 'web.shop', workload: 'web-v1', status: 'any', limit: 10 }, NOW).map((r) => r.spanId)).toEqual(['6', '2']);
  expect(requestsOf(traces, { service: 'web.shop', status: 'error', limit: 10 }, NOW).map((r) => r.spanId)).toEqual(['5']);
  expect(asked).toContainEqual({ service: 'web.shop', status: 'error', limit: 10 });
  expect(requestsOf(traces, { service: 'web.shop', status: 'ok', limit: 1 }, NOW).map((r) => r.spanId)).toEqual(['6']);
});

test('what the caller gave up is not said to have reached nobody before the service had the time to tell', () => {
  const query = { service: 'cart.shop', status: 'any', limit: 10 } as const;
  expect(requestsOf(traces, query, 2_000).map((r) => r.spanId)).toEqual(['4']);
});

test('what the caller answered itself is there too: the service never saw it', () => {
  expect(requestsOf(traces, { service: 'cart.shop', status: 'any', limit: 10 }, NOW)).toMatchObject([
    { spanId: '9', from: 'web.shop', workload: '', code: '', flags: 'NC' },
    { spanId: '7', from: 'web.shop', workload: '', code: '503', flags: 'FI' },
    { spanId: '4', from: 'web.shop', workload: 'cart-v1' },
  ]);
  expect(requestsOf(traces, { service: 'cart.shop', workload: 'cart-v1', status: 'any', limit: 10 }, NOW).map((r) => r.spanId)).toEqual(['4']);
});

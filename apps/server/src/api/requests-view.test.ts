import type { Span, Trace, TraceQuery } from '@weft/mesh-core/api';
import { expect, test } from 'vitest';
import { requestsOf } from './requests-view.ts';

const span = (spanId: string, parentId: string, service: string, more: Partial<Span> & { workload?: string } = {}): Span => ({
  ...{ spanId, parentId, service, name: 'x', kind: 'server' as const, startUs: 1, durationUs: 5, error: false, events: [] },
  ...{ attributes: { 'http.method': 'GET', 'http.url': 'http://h/p', 'http.status_code': 200, response_flags: '-', response_size: 7 } },
  ...more,
  resource: { 'weft.workload': more.workload ?? `${service.split('.')[0]}-v1` },
});
const TRACES: Trace[] = [
  {
    traceId: 'old',
    spans: [
      span('1', '', 'gw.edge', { kind: 'client', workload: 'gw' }),
      span('2', '1', 'web.shop', { startUs: 10 }),
      span('3', '2', 'web.shop', { kind: 'client' }),
      span('4', '3', 'cart.shop'),
    ],
  },
  {
    traceId: 'new',
    spans: [span('5', '', 'web.shop', { startUs: 90, error: true, workload: 'web-v2', attributes: { 'http.status_code': 503, response_flags: 'UH' } })],
  },
];
const asked: TraceQuery[] = [];
const traces = {
  findTraces: (query: TraceQuery) => {
    asked.push(query);
    return { traces: TRACES.map((t) => ({ traceId: t.traceId })) as never };
  },
  trace: (id: string) => TRACES.find((t) => t.traceId === id),
};

test('what arrived at a service, newest first, with who sent it and what was answered', () => {
  expect(requestsOf(traces, { service: 'web.shop', status: 'any', limit: 10 })).toMatchObject([
    { traceId: 'new', spanId: '5', workload: 'web-v2', code: '503', flags: 'UH', error: true },
    { traceId: 'old', spanId: '2', from: 'gw.edge', method: 'GET', url: 'http://h/p', code: '200', flags: '', responseBytes: 7 },
  ]);
  expect(requestsOf(traces, { service: 'gw.edge', status: 'any', limit: 10 }).map((r) => r.spanId)).toEqual(['1']);
});

test('of one workload, or only what failed or did not', () => {
  expect(requestsOf(traces, { service: 'web.shop', workload: 'web-v1', status: 'any', limit: 10 }).map((r) => r.spanId)).toEqual(['2']);
  expect(requestsOf(traces, { service: 'web.shop', status: 'error', limit: 10 }).map((r) => r.spanId)).toEqual(['5']);
  expect(asked.at(-1)).toMatchObject({ service: 'web.shop', status: 'error', limit: 10 });
  expect(requestsOf(traces, { service: 'web.shop', status: 'ok', limit: 1 }).map((r) => r.spanId)).toEqual(['2']);
});

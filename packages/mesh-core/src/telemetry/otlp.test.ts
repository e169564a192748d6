import { expect, test } from 'vitest';
import { BUCKET_BOUNDS, labelsFor, parsePeerHeader, UNKNOWN_PEER } from './istio-metrics.ts';
import { decodeMetrics, decodeTraces, encodeMetrics, encodeTraces, type OtlpResourceMetrics, type OtlpResourceSpans } from './otlp.ts';
import { formatTraceparent, parseB3, parseTraceparent } from './trace-context.ts';

const METRICS: OtlpResourceMetrics[] = [
  {
    resource: { 'service.name': 'reviews.bookinfo' },
    metrics: [
      {
        name: 'istio_requests_total',
        unit: '1',
        kind: 'sum',
        temporality: 'cumulative',
        points: [{ attributes: { reporter: 'source', response_code: '200' }, startMs: 1_764_000_000_000, timeMs: 1_764_000_001_000.5, value: 42 }],
      },
      {
        name: 'istio_request_duration_milliseconds',
        unit: 'ms',
        kind: 'histogram',
        temporality: 'cumulative',
        points: [
          {
            attributes: { reporter: 'source' },
            startMs: 1_764_000_000_000,
            timeMs: 1_764_000_001_000,
            count: 3,
            sum: 12.5,
            bounds: BUCKET_BOUNDS,
            bucketCounts: BUCKET_BOUNDS.map((_, i) => i).concat(7),
          },
        ],
      },
    ],
  },
];
const SPANS: OtlpResourceSpans[] = [
  {
    resource: { 'service.name': 'reviews.bookinfo' },
    spans: [
      {
        traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
        spanId: '00f067aa0ba902b7',
        parentSpanId: '',
        name: 'reviews:9080/*',
        kind: 3,
        startUs: 1_764_000_000_000_123,
        endUs: 1_764_000_000_010_123,
        attributes: { 'http.status_code': 503, ok: false, share: 0.25, 'http.url': '/' },
        events: [{ timeUs: 1_764_000_000_000_200, name: 'retry', attributes: { attempt: 1 } }],
        status: 2,
      },
    ],
  },
];

test('metrics and spans survive the wire', () => {
  expect(decodeMetrics(encodeMetrics(METRICS))).toEqual(METRICS);
  expect(decodeTraces(encodeTraces(SPANS))).toEqual(SPANS);
});

test('cut-off bytes are refused, not half read', () => {
  const bytes = encodeTraces(SPANS);
  for (const length of [1, 10, bytes.length - 1]) expect(() => decodeTraces(bytes.slice(0, length))).toThrow();
});

test('a hostile attribute name stays a name', () => {
  const [entry] = decodeTraces(encodeTraces([{ resource: JSON.parse('{"__proto__":"x"}') as Record<string, string>, spans: [] }]));
  expect(Object.keys(entry?.resource ?? {})).toEqual(['__proto__']);
});

test('missing labels are unknown, a missing revision latest', () => {
  const labels = labelsFor({
    reporter: 'destination',
    source: UNKNOWN_PEER,
    destination: parsePeerHeader('reviews-v1;bookinfo;reviews;v1;reviews;v1;weft', 'spiffe://x'),
    service: { host: 'reviews.bookinfo.svc.cluster.local', name: 'reviews', namespace: 'bookinfo' },
    protocol: 'http',
    code: 0,
    grpcStatus: '',
    flags: '',
    mutualTls: true,
  });
  expect(labels).toMatchObject({
    source_workload: 'unknown',
    source_canonical_revision: 'latest',
    destination_workload: 'reviews-v1',
    response_code: '0',
    response_flags: '-',
    connection_security_policy: 'mutual_tls',
  });
});

test.each(['00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', '01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x'])(
  '%s is a trace context',
  (value) => {
    const parent = parseTraceparent(value);
    expect(parent).toMatchObject({ sampled: true });
    expect(parent && formatTraceparent(parent)).toContain(value.slice(3, 55));
  },
);
test.each([
  '00-00000000000000000000000000000000-00f067aa0ba902b7-01',
  'ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  '00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01',
  'x',
  '',
])('%s is none', (value) => expect(parseTraceparent(value)).toBeUndefined());

test('B3 in both forms', () => {
  expect(parseB3((n) => ({ b3: '80f198ee56343ba8-e457b5a2e4d86bd1-1' })[n])).toEqual({
    traceId: '000000000000000080f198ee56343ba8',
    spanId: 'e457b5a2e4d86bd1',
    sampled: true,
  });
  expect(parseB3((n) => ({ 'x-b3-traceid': '80f198ee56343ba864fe8b2a57d3eff7', 'x-b3-spanid': 'e457b5a2e4d86bd1', 'x-b3-sampled': '0' })[n])?.sampled).toBe(
    false,
  );
});

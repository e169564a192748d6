// The last requests a service or workload got, as its proxies recorded them in spans: the access log of what is traced.

import type { RecordedRequest, RequestQuery, Span, Trace, TraceQuery, TraceSummary } from '@weft/mesh-core/api';

interface Traces {
  findTraces(query: TraceQuery): { traces: readonly TraceSummary[] };
  trace(id: string): Trace | undefined;
}

/** Newest first. */
export function requestsOf(traces: Traces, query: RequestQuery): RecordedRequest[] {
  const { service, workload, status, limit, start, end } = query;
  const found = traces.findTraces({
    ...{ service, status: status === 'error' ? ('error' as const) : ('any' as const), limit },
    ...(start === undefined ? {} : { start }),
    ...(end === undefined ? {} : { end }),
  });
  return found.traces
    .flatMap(({ traceId }) => {
      const spans = traces.trace(traceId)?.spans ?? [];
      return spans
        .filter((s) => s.service === service && isArrival(s, spans) && (workload === undefined || s.resource['weft.workload'] === workload))
        .filter((s) => status === 'any' || s.error === (status === 'error'))
        .map((s) => requestOf(traceId, s, spans));
    })
    .toSorted((a, b) => b.atUs - a.atUs)
    .slice(0, limit);
}

/** A server's span; of a gateway, which records only what it sends on, that of the first hop. */
function isArrival(span: Span, spans: readonly Span[]): boolean {
  return span.kind === 'server' || (span.kind === 'client' && !spans.some((s) => s.spanId === span.parentId));
}

function requestOf(traceId: string, span: Span, spans: readonly Span[]): RecordedRequest {
  const { attributes } = span;
  const text = (key: string): string => {
    const value = attributes[key];
    return value === undefined || value === '-' ? '' : String(value);
  };
  const from = spans.find((s) => s.spanId === span.parentId)?.service;
  return {
    ...{ traceId, spanId: span.spanId, atUs: span.startUs, durationUs: span.durationUs, error: span.error },
    workload: String(span.resource['weft.workload'] ?? ''),
    ...(from === undefined ? {} : { from }),
    method: text('http.method'),
    url: text('http.url'),
    protocol: text('http.protocol'),
    code: text('http.status_code') || text('grpc.status_code'),
    flags: text('response_flags'),
    requestBytes: Number(attributes['request_size'] ?? 0),
    responseBytes: Number(attributes['response_size'] ?? 0),
    userAgent: text('user_agent'),
  };
}

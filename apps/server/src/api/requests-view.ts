// The last requests a service or workload got, or should have got, as proxies recorded them in spans: the access log of what is traced.

import type { RecordedRequest, RequestQuery, Span, Trace, TraceQuery, TraceSummary } from '@weft/mesh-core/api';

interface Traces {
  findTraces(query: TraceQuery): { traces: readonly TraceSummary[] };
  trace(id: string): Trace | undefined;
}

/** Proxies push their spans once a second: until then that of the service may be on its way, as where the caller gave up first. */
const LATE_MS = 2_500;

/** Newest first. */
export function requestsOf(traces: Traces, query: RequestQuery, nowMs: number): RecordedRequest[] {
  const { service, workload, status, limit, start, end } = query;
  const range = { limit, ...(start === undefined ? {} : { start }), ...(end === undefined ? {} : { end }) };
  const spansOf = (found: { traces: readonly TraceSummary[] }, wanted: (span: Span, spans: readonly Span[]) => boolean) =>
    found.traces.flatMap(({ traceId }) => {
      const spans = traces.trace(traceId)?.spans ?? [];
      return spans.filter((s) => wanted(s, spans)).map((s) => ({ traceId, span: s, spans }));
    });
  const arrived = spansOf(
    traces.findTraces({ ...range, service, status: status === 'error' ? 'error' : 'any' }),
    (s, spans) =>
      s.service === service &&
      isArrival(s, spans) &&
      (workload === undefined || s.resource['weft.workload'] === workload) &&
      (status === 'any' || s.error === (status === 'error')),
  );
  // Of what the caller's proxy refused or could not send only the caller tells, and its trace may have no span of the service.
  const unsent =
    status === 'ok' || workload !== undefined
      ? []
      : spansOf(
          traces.findTraces({ ...range, status: 'error' }),
          (s, spans) =>
            s.kind === 'client' &&
            s.error &&
            targetOf(s) === service &&
            (s.startUs + s.durationUs) / 1_000 < nowMs - LATE_MS &&
            !spans.some((child) => child.parentId === s.spanId),
        );
  return [...arrived.map((r) => requestOf(r, true)), ...unsent.map((r) => requestOf(r, false))].toSorted((a, b) => b.atUs - a.atUs).slice(0, limit);
}

/** A server's span; of a gateway, which records only what it sends on, that of the first hop. A sidecar's may be there before the span it belongs to. */
function isArrival({ kind, parentId, attributes }: Span, spans: readonly Span[]): boolean {
  if (kind !== 'client') return kind === 'server';
  return String(attributes['node_id'] ?? '').startsWith('router~') && !spans.some((s) => s.spanId === parentId);
}

/** `<service>.<namespace>` a client's span was for: by its cluster, else by the host its name begins with, which may be short. */
function targetOf({ attributes, resource, name }: Span): string {
  const host = String(attributes['upstream_cluster'] ?? '').split('|')[3] || (/^[^:/]+/.exec(name)?.[0] ?? '');
  const [service, namespace = String(resource['weft.namespace'] ?? '')] = host.split('.');
  return `${service}.${namespace}`;
}

function requestOf({ traceId, span, spans }: { traceId: string; span: Span; spans: readonly Span[] }, arrived: boolean): RecordedRequest {
  const { attributes } = span;
  const text = (key: string): string => {
    const value = attributes[key];
    return value === undefined || value === '-' ? '' : String(value);
  };
  const from = arrived ? spans.find((s) => s.spanId === span.parentId)?.service : span.service;
  return {
    ...{ traceId, spanId: span.spanId, atUs: span.startUs, durationUs: span.durationUs, error: span.error },
    workload: arrived ? String(span.resource['weft.workload'] ?? '') : '',
    ...(from === undefined ? {} : { from }),
    method: text('http.method'),
    url: text('http.url'),
    protocol: text('http.protocol'),
    code: text('http.status_code'),
    grpcStatus: text('grpc.status_code'),
    flags: text('response_flags'),
    requestBytes: Number(attributes['request_size'] ?? 0),
    responseBytes: Number(attributes['response_size'] ?? 0),
    userAgent: text('user_agent'),
  };
}

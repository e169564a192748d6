// Continues the caller's trace or starts one; whether it is recorded is decided before any id is made.

import { randomFillSync } from 'node:crypto';
import { type OtlpSpan, formatTraceparent, parseB3, parseTraceparent } from '@weft/mesh-core/telemetry';
import type { CustomTag } from '../config/model.ts';
import type { RequestRecord, TraceDecision, Tracer } from '../http/hooks.ts';

/** Random bytes in bulk: one call to the system for hundreds of ids. */
const pool = Buffer.alloc(8_192);
let used = pool.length;
function hexId(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += bytes;
  return pool.toString('hex', used - bytes, used);
}

export function createTracer(random: () => number): Tracer {
  return {
    onRequest(headers, _listener, manager): TraceDecision {
      const parent = parseTraceparent(headers.get('traceparent')) ?? parseB3((name) => headers.get(name));
      const sampled = parent === undefined ? random() * 100 < (manager.tracing?.samplingPercent ?? 0) : parent.sampled;
      if (!sampled) {
        // A new trace tells the rest of the path that it is not recorded; an existing one is passed on as it came.
        const traceparent = parent === undefined ? formatTraceparent({ traceId: hexId(16), spanId: hexId(8), sampled: false }) : undefined;
        return { sampled: false, traceparent, traceId: '', spanId: '', parentSpanId: '' };
      }
      const traceId = parent?.traceId ?? hexId(16);
      const spanId = hexId(8);
      return { sampled: true, traceparent: formatTraceparent({ traceId, spanId, sampled: true }), traceId, spanId, parentSpanId: parent?.spanId ?? '' };
    },
  };
}

/** The span of a finished request; undefined when its trace is not recorded. `epochOffsetMs` turns monotonic time into Unix ms. */
export function spanOf(record: RequestRecord, nodeId: string, isGateway: boolean, epochOffsetMs: number): OtlpSpan | undefined {
  const { trace } = record;
  if (trace === undefined || !trace.sampled) return undefined;
  const startUs = Math.round((record.startedAt + epochOffsetMs) * 1_000);
  const path = record.path.split('?')[0] ?? record.path;
  const attributes: OtlpSpan['attributes'] = {
    'http.method': record.method,
    'http.url': `http://${record.authority}${record.path}`,
    'http.status_code': record.status,
    'http.protocol': record.protocol,
    response_flags: record.responseFlags,
    upstream_cluster: record.cluster?.name ?? '',
    'peer.address': record.upstreamAddress === '' ? record.downstreamAddress : record.upstreamAddress,
    'downstream.address': record.downstreamAddress,
    request_size: record.requestBodyBytes,
    response_size: record.responseBodyBytes,
    'guid:x-request-id': record.requestId,
    user_agent: record.userAgent,
    node_id: nodeId,
    'retry.attempt': Math.max(0, record.attempts - 1),
    tls: record.tls,
    ...(record.peer.principal === undefined ? {} : { peer_principal: record.peer.principal }),
    ...(record.grpcStatus === '' ? {} : { 'grpc.status_code': record.grpcStatus }),
  };
  for (const tag of record.manager.tracing?.customTags ?? []) {
    const value = tagValue(tag, record);
    if (value !== undefined) attributes[tag.tag] = value;
  }
  const inbound = record.direction === 'inbound';
  return {
    traceId: trace.traceId,
    spanId: trace.spanId,
    parentSpanId: trace.parentSpanId,
    name: inbound || isGateway ? `${record.method} ${path}` : record.route?.operation || `${record.method} ${path}`,
    kind: inbound || isGateway ? 2 : 3,
    startUs,
    endUs: startUs + Math.max(1, Math.round(record.durationMs * 1_000)),
    attributes,
    events:
      record.attempts > 1 ? [{ timeUs: startUs + Math.round(record.durationMs * 1_000), name: 'retried', attributes: { attempts: record.attempts } }] : [],
    status: record.status >= 500 || record.status === 0 ? 2 : 0,
  };
}

function tagValue({ source }: CustomTag, record: RequestRecord): string | undefined {
  switch (source.kind) {
    case 'literal':
      return source.value;
    case 'route-metadata':
    case 'host-metadata': {
      const metadata = source.kind === 'route-metadata' ? record.route?.metadata : record.endpoint?.metadata;
      let value: unknown = metadata?.[source.key];
      for (const key of source.path) value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
      return typeof value === 'string' ? value : undefined;
    }
    case 'header':
      return source.default === '' ? undefined : source.default;
  }
}

// Continues the caller's trace or starts one; whether it is recorded is decided before any id is made.

import { isGrpcContentType } from '@weft/mesh-core/model';
import {
  type OtlpSpan,
  b3Decision,
  formatB3,
  formatTraceparent,
  parseB3,
  parseTraceparent,
  requestIdIsTraceable,
  requestIdSaysTraced,
} from '@weft/mesh-core/telemetry';
import { type LogFormatter, compileTagFormat, decoded } from '../access-log/format.ts';
import type { CustomTag } from '../config/log-model.ts';
import type { HeaderValueSource } from '../http/header-values.ts';
import type { CallSpan, RequestRecord, TraceDecision, Tracer } from '../http/hooks.ts';
import { newSpanId, newTraceId, newUnsampledTraceparent } from '../http/random-ids.ts';

const noSpan = { traceId: '', spanId: '' };
/** Always the same fields in the same order: the request path looks at them. A new trace has nothing of the old one's `tracestate`. */
function decide(mark: Mark, traceparent: string | undefined, b3: string | undefined, span?: typeof noSpan, parentSpanId = '', isNew = false): TraceDecision {
  const { traceId, spanId } = span ?? noSpan;
  return { sampled: span !== undefined, mark, traceparent, tracestate: isNew ? '' : undefined, b3, traceId, spanId, parentSpanId };
}
type Mark = TraceDecision['mark'];
/** Not recorded; what the request says of its trace goes on. */
const PASSED_ON: Readonly<Record<Mark, TraceDecision>> = {
  '': decide('', undefined, undefined),
  9: decide('9', undefined, undefined),
  b: decide('b', undefined, undefined),
};

/** OTLP span kinds. */
const SERVER = 2;
const CLIENT = 3;

/** gRPC statuses that are the server's fault: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS. */
const SERVER_ERRORS: ReadonlySet<string> = new Set(['2', '4', '12', '13', '14', '15']);
const RESOURCE_EXHAUSTED = '8';
const MESSAGE = 'grpc-message';

/** Envoy's max_path_tag_length. */
const MAX_PATH = 256;

export function createTracer(random: () => number): Tracer {
  return {
    onRequest(headers, requestId, manager): TraceDecision {
      const get = (name: string): string | undefined => headers.get(name);
      const { traced } = headers;
      const w3c = traced ? parseTraceparent(headers.get('traceparent')) : undefined;
      const parent = w3c ?? (traced ? parseB3(get) : undefined);
      const { always, silent } = manager.tracing ?? {};
      // As Envoy: what the id says, else a client that names its trace, else chance; what was found goes on in the id.
      const told = always === true || requestIdSaysTraced(requestId);
      const named = !told && traced && headers.get('x-client-trace-id') !== undefined;
      const drawn = told || named || random() * 100 < (manager.tracing?.samplingPercent ?? 0);
      const wanted = drawn && (always === true || requestIdIsTraceable(requestId));
      // A W3C parent has a say only against it. B3, which Envoy's tracer leaves alone, decides.
      const sampled = w3c === undefined ? ((traced ? b3Decision(get) : undefined) ?? wanted) : wanted && w3c.sampled;
      const mark = told || !(wanted || sampled) ? '' : named ? 'b' : '9';
      const parentSpanId = parent?.spanId ?? '';
      if (!sampled) {
        if (silent === true) return PASSED_ON[mark];
        if (w3c?.sampled === true) return decide(mark, formatTraceparent({ ...w3c, spanId: newSpanId(), sampled }), undefined);
        if (parent?.sampled !== undefined) return PASSED_ON[mark];
        if (parent !== undefined) return decide(mark, undefined, formatB3(get, { ...parent, sampled }, ''));
        // A new one tells the rest of the path that it is not recorded.
        return decide(mark, newUnsampledTraceparent(), undefined, undefined, '', true);
      }
      const span = { traceId: parent?.traceId ?? newTraceId(), spanId: newSpanId(), sampled };
      if (silent === true) return decide(mark, undefined, undefined, span, parentSpanId);
      return decide(mark, formatTraceparent(span), traced ? formatB3(get, span, parentSpanId) : undefined, span, parentSpanId, w3c === undefined);
    },
  };
}

/** The span of a finished request; undefined when its trace is not recorded. `epochOffsetMs` turns monotonic time into Unix ms. */
export function spanOf(record: RequestRecord, source: HeaderValueSource, nodeId: string, epochOffsetMs: number): OtlpSpan | undefined {
  const { trace } = record;
  if (trace === undefined || !trace.sampled) return undefined;
  const startUs = Math.round((record.startedAt + epochOffsetMs) * 1_000);
  const inbound = record.direction === 'inbound';
  // A gateway's listeners are outbound.
  const kind = inbound ? SERVER : CLIENT;
  const cluster = record.cluster?.name;
  const grpc = isGrpcContentType(record.contentType);
  // A status counts whatever the request was.
  const grpcFailed = SERVER_ERRORS.has(record.grpcStatus);
  const failed = record.status === 0 || record.status >= 500 || grpcFailed || record.grpcStatus === RESOURCE_EXHAUSTED;
  const grpcError = grpcFailed || (kind === CLIENT && record.grpcStatus !== '0');
  const httpError = record.status >= (kind === SERVER ? 500 : 400);
  // Names and values as Envoy's: a graph or search must not care which proxy made a span.
  const attributes: OtlpSpan['attributes'] = {
    component: 'proxy',
    node_id: nodeId,
    zone: '',
    'guid:x-request-id': record.requestId,
    'http.url': `${source.request(':scheme') ?? 'http'}://${record.authority}${record.path.slice(0, MAX_PATH)}`,
    'http.method': record.method,
    'http.protocol': record.protocol,
    'http.status_code': record.status,
    response_flags: record.responseFlags,
    downstream_cluster: '-',
    'peer.address': record.directAddress.slice(0, record.directAddress.lastIndexOf(':')),
    user_agent: source.request('user-agent') ?? '-',
    request_size: record.requestBodyBytes,
    response_size: record.responseBodyBytes,
    ...(cluster === undefined ? {} : { upstream_cluster: cluster, 'upstream_cluster.name': cluster }),
    ...(record.attempts > 1 ? { 'retry.attempt': record.attempts - 1 } : {}),
    ...(failed ? { error: true } : {}),
    ...(grpc ? { 'grpc.path': source.request(':path') ?? '', 'grpc.authority': record.authority, 'grpc.content_type': record.contentType } : {}),
    ...(grpc ? given('grpc.timeout', source.request('grpc-timeout')) : {}),
    ...(record.grpcStatus === ''
      ? {}
      : { 'grpc.status_code': record.grpcStatus, ...given('grpc.message', source.trailer?.(MESSAGE) ?? source.response(MESSAGE)) }),
  };
  for (const tag of record.manager.tracing?.customTags ?? []) {
    const value = tagValue(tag, record, source);
    if (value !== undefined) attributes[tag.tag] = value;
  }
  for (const [attribute, value] of Object.entries(attributes)) if (typeof value === 'string') attributes[attribute] = decoded(value);
  return {
    traceId: trace.traceId,
    spanId: trace.spanId,
    parentSpanId: trace.parentSpanId,
    name: record.callerOperation || record.route?.operation || (inbound ? 'ingress' : `egress ${record.authority}`),
    kind,
    startUs,
    endUs: startUs + Math.max(1, Math.round(record.durationMs * 1_000)),
    attributes,
    events:
      record.attempts > 1 ? [{ timeUs: startUs + Math.round(record.durationMs * 1_000), name: 'retried', attributes: { attempts: record.attempts } }] : [],
    // As Envoy's tracer, which follows OpenTelemetry: to a caller a 4xx and every gRPC status but OK is an error too, and no status at
    // all is none. Where there is a gRPC status it alone decides.
    status: (record.grpcStatus === '' ? httpError : grpcError) ? 2 : 0,
  };
}

const given = (attribute: string, value: string | undefined): Record<string, string> => (value === undefined ? {} : { [attribute]: value });

/** The span of a call. `epochOffsetMs` as above. */
export function spanOfCall({ startedAt, durationMs, failed, ...span }: CallSpan, epochOffsetMs: number): OtlpSpan {
  const startUs = Math.round((startedAt + epochOffsetMs) * 1_000);
  return { ...span, kind: CLIENT, startUs, endUs: startUs + Math.max(1, Math.round(durationMs * 1_000)), events: [], status: failed ? 2 : 0 };
}

/** Compiled; there are as many as configurations have had. */
const formats = new Map<string, LogFormatter>();

function tagValue({ source }: CustomTag, record: RequestRecord, headers: HeaderValueSource): string | undefined {
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
    case 'format': {
      let read = formats.get(source.format);
      if (read === undefined) formats.set(source.format, (read = compileTagFormat(source.format)));
      const value = read(headers);
      return value === '' ? undefined : value;
    }
    case 'header':
      return headers.request(source.name) ?? (source.default === '' ? undefined : source.default);
  }
}

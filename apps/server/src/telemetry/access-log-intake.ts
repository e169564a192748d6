// Envoy's gRPC access log as Istio's metrics: every batch of entries becomes increases, one per label set. The name of a log is
// the list of metrics it is for.

import { fromBinary } from '@bufbuild/protobuf';
import { type Duration, anyUnpack } from '@bufbuild/protobuf/wkt';
import {
  type AccessLogCommon,
  AccessLogType,
  type HTTPAccessLogEntry,
  type ResponseFlags,
  type TCPAccessLogEntry,
} from '@weft/mesh-core/gen/envoy/data/accesslog/v3/accesslog_pb';
import { type FilterObject, FilterObjectSchema } from '@weft/mesh-core/gen/envoy/extensions/filters/http/grpc_stats/v3/config_pb';
import { type StreamAccessLogsMessage, StreamAccessLogsMessageSchema } from '@weft/mesh-core/gen/envoy/service/accesslog/v3/als_pb';
import { isGrpcContentType, toldGrpcStatus } from '@weft/mesh-core/model';
import { BUCKET_BOUNDS, LABELS, METRIC, type OtlpMetric, type OtlpPoint, type OtlpResourceMetrics } from '@weft/mesh-core/telemetry';

type Labels = Record<string, string>;

/** Envoy's short names. Envoy writes them as they come up, and that it will not try again comes up before what the last try ended with. */
const FLAGS: readonly (readonly [keyof ResponseFlags, string])[] = [
  ['upstreamRetryLimitExceeded', 'URX'],
  ['failedLocalHealthcheck', 'LH'],
  ['noHealthyUpstream', 'UH'],
  ['upstreamRequestTimeout', 'UT'],
  ['localReset', 'LR'],
  ['upstreamRemoteReset', 'UR'],
  ['upstreamConnectionFailure', 'UF'],
  ['upstreamConnectionTermination', 'UC'],
  ['upstreamOverflow', 'UO'],
  ['noRouteFound', 'NR'],
  ['delayInjected', 'DI'],
  ['faultInjected', 'FI'],
  ['rateLimited', 'RL'],
  ['unauthorizedDetails', 'UAEX'],
  ['rateLimitServiceError', 'RLSE'],
  ['downstreamConnectionTermination', 'DC'],
  ['streamIdleTimeout', 'SI'],
  ['invalidEnvoyRequestHeaders', 'IH'],
  ['downstreamProtocolError', 'DPE'],
  ['upstreamMaxStreamDurationReached', 'UMSDR'],
  ['responseFromCacheFilter', 'RFCF'],
  ['noFilterConfigFound', 'NFCF'],
  ['durationTimeout', 'DT'],
  ['upstreamProtocolError', 'UPE'],
  ['noClusterFound', 'NC'],
  ['overloadManager', 'OM'],
  ['dnsResolutionFailure', 'DF'],
  ['downstreamRemoteReset', 'DR'],
];

/** Decodes one stream: only its first message says whose it is. Throws what the decoder throws. */
export function accessLogReader(now: () => number): (bytes: Uint8Array) => OtlpResourceMetrics[] {
  let nodeId = '';
  let wanted: ReadonlySet<string> = new Set();
  return (bytes) => {
    const message = fromBinary(StreamAccessLogsMessageSchema, bytes);
    if (message.identifier !== undefined) {
      nodeId = message.identifier.node?.id ?? nodeId;
      wanted = new Set(message.identifier.logName.split(','));
    }
    const metrics = metricsOf(message, wanted, now());
    return metrics.length === 0 ? [] : [{ resource: { 'weft.node_id': nodeId }, metrics }];
  };
}

function metricsOf({ logEntries }: StreamAccessLogsMessage, wanted: ReadonlySet<string>, timeMs: number): OtlpMetric[] {
  const series = new Map<string, OtlpMetric>();
  const points = new Map<string, OtlpPoint>();
  const point = (name: string, unit: string, kind: 'sum' | 'histogram', labels: Labels): OtlpPoint => {
    let metric = series.get(name);
    if (metric === undefined) series.set(name, (metric = { name, unit, kind, temporality: 'delta', points: [] }));
    const key = `${name}|${Object.values(labels).join('|')}`;
    let found = points.get(key);
    if (found === undefined) {
      found = {
        attributes: labels,
        startMs: 0,
        timeMs,
        ...(kind === 'sum'
          ? { value: 0 }
          : { sum: 0, count: 0, bounds: BUCKET_BOUNDS, bucketCounts: Array.from({ length: BUCKET_BOUNDS.length + 1 }, () => 0) }),
      };
      points.set(key, found);
      metric.points.push(found);
    }
    return found;
  };
  const add = (name: string, unit: string, labels: Labels, value: number): void => {
    if (!wanted.has(name)) return;
    const sum = point(name, unit, 'sum', labels);
    sum.value = (sum.value ?? 0) + value;
  };
  const observe = (name: string, unit: string, labels: Labels, value: number): void => {
    if (!wanted.has(name)) return;
    const histogram = point(name, unit, 'histogram', labels);
    const bucket = BUCKET_BOUNDS.findIndex((bound) => value <= bound);
    const counts = histogram.bucketCounts as number[];
    counts[bucket < 0 ? BUCKET_BOUNDS.length : bucket] = (counts[bucket < 0 ? BUCKET_BOUNDS.length : bucket] ?? 0) + 1;
    histogram.sum = (histogram.sum ?? 0) + value;
    histogram.count = (histogram.count ?? 0) + 1;
  };
  if (logEntries.case === 'httpLogs')
    for (const entry of logEntries.value.logEntry) {
      const labels = httpLabels(entry);
      add(METRIC.requests, '1', labels, 1);
      observe(METRIC.duration, 'ms', labels, milliseconds(entry.commonProperties?.duration ?? entry.commonProperties?.timeToLastDownstreamTxByte));
      observe(METRIC.requestBytes, 'By', labels, Number(entry.commonProperties?.downstreamWireBytesReceived ?? 0n));
      observe(METRIC.responseBytes, 'By', labels, Number(entry.commonProperties?.downstreamWireBytesSent ?? 0n));
      if (labels['request_protocol'] !== 'grpc') continue;
      const messages = messagesOf(entry.commonProperties);
      add(METRIC.requestMessages, '1', labels, Number(messages?.requestMessageCount ?? 0n));
      add(METRIC.responseMessages, '1', labels, Number(messages?.responseMessageCount ?? 0n));
    }
  if (logEntries.case === 'tcpLogs')
    for (const entry of logEntries.value.logEntry) {
      const labels = tcpLabels(entry);
      // Older Envoys tell of a connection only once, when it is over.
      const type = entry.commonProperties?.accessLogType ?? AccessLogType.NotSet;
      if (type !== AccessLogType.TcpConnectionEnd) add(METRIC.tcpOpened, '1', labels, 1);
      if (type === AccessLogType.TcpUpstreamConnected) continue;
      add(METRIC.tcpClosed, '1', labels, 1);
      add(METRIC.tcpSent, 'By', labels, Number(entry.connectionProperties?.sentBytes ?? 0n));
      add(METRIC.tcpReceived, 'By', labels, Number(entry.connectionProperties?.receivedBytes ?? 0n));
    }
  return [...series.values()];
}

function httpLabels({ commonProperties, request, response }: HTTPAccessLogEntry): Labels {
  const grpc = isGrpcContentType(request?.requestHeaders['content-type'] ?? '');
  const code = response?.responseCode ?? 0;
  const said = response?.responseTrailers['grpc-status'] ?? response?.responseHeaders['grpc-status'] ?? '';
  return labelsOf(commonProperties, {
    request_protocol: grpc ? 'grpc' : 'http',
    response_code: String(code),
    grpc_response_status: grpc ? toldGrpcStatus(said, code) : '',
    response_flags: flagsOf(commonProperties?.responseFlags),
  });
}

/** What `envoy.filters.http.grpc_stats` counted of a stream. */
function messagesOf(common: AccessLogCommon | undefined): FilterObject | undefined {
  const object = common?.filterStateObjects['envoy.filters.http.grpc_stats'];
  return object === undefined ? undefined : anyUnpack(object, FilterObjectSchema);
}

function tcpLabels({ commonProperties }: TCPAccessLogEntry): Labels {
  const own = { request_protocol: 'tcp', response_flags: flagsOf(commonProperties?.responseFlags) };
  const { response_code: _code, grpc_response_status: _status, ...labels } = labelsOf(commonProperties, own);
  return labels;
}

/** Istio's labels in their order; the translator has put most of them into the entry as custom tags. */
function labelsOf(common: AccessLogCommon | undefined, own: Labels): Labels {
  const tls = common?.tlsProperties;
  const principal = (side: 'peerCertificateProperties' | 'localCertificateProperties'): string =>
    tls?.[side]?.subjectAltName.map(({ san }) => (san.case === 'uri' ? san.value : '')).find((uri) => uri !== '') ?? '';
  const known: Labels = {
    source_principal: principal('peerCertificateProperties'),
    destination_principal: principal('localCertificateProperties'),
    ...common?.customTags,
    ...own,
  };
  return Object.fromEntries(LABELS.map((label) => [label, known[label] || missing(label)]));
}

function missing(label: string): string {
  if (label === 'grpc_response_status') return '';
  return label.endsWith('_revision') ? 'latest' : 'unknown';
}

function flagsOf(flags: ResponseFlags | undefined): string {
  const set = flags === undefined ? [] : FLAGS.filter(([field]) => flags[field] !== false && flags[field] !== undefined).map(([, name]) => name);
  return set.length === 0 ? '-' : set.join(',');
}

function milliseconds(duration: Duration | undefined): number {
  return duration === undefined ? 0 : Math.round(Number(duration.seconds) * 1_000 + duration.nanos / 1_000_000);
}

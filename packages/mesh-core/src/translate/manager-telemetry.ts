// What an HTTP connection manager tells about its requests: access logs, Istio's metrics, spans.

import type { JsonObject } from '@bufbuild/protobuf';
import { type ProxyNode, canonicalRevision, canonicalService } from '../model/index.ts';
import { ISTIO_JSON, ISTIO_TEXT } from '../telemetry/access-log-format.ts';
import { any, without } from './common.ts';
import { metricOverrides } from './metric-overrides.ts';
import type { Mesh, MeshService } from './mesh.ts';
import { messageCounter, requestCounters } from './request-counting.ts';
import type { Reporter } from './stats-logger.ts';
import { type TelemetrySettings, type TracingSettings, telemetryOf } from './telemetry.ts';

export interface ReportOptions {
  reporter: Reporter;
  /** Peers prove who they are on this chain. */
  mtls: boolean;
  /** The destination, where it does not depend on the request. */
  service?: MeshService | undefined;
}

export interface ManagerTelemetry {
  /** HTTP filters that only count. */
  filters: JsonObject[];
  /** Other fields of the connection manager. */
  fields: JsonObject;
}

export function managerTelemetry(mesh: Mesh, node: ProxyNode, { reporter, mtls, service: destination }: ReportOptions): ManagerTelemetry {
  const settings = telemetryOf(mesh, node, reporter === 'source' ? 'CLIENT' : 'SERVER');
  const service = destination === undefined ? undefined : { host: destination.host, name: destination.name, namespace: destination.namespace };
  // Embedded proxies count by themselves; they are only told what a Telemetry changes.
  const ofEnvoy = node.dataPlane === 'envoy';
  const stats = ofEnvoy
    ? requestCounters(node, mesh.settings.clusterId, { reporter, mtls, service, metrics: settings.metrics })
    : metricOverrides(settings.metrics);
  return {
    filters: messageCounter(node, settings),
    fields: without({ accessLog: [...stats, ...accessLog(mesh, node, settings.accessLog)], ...tracing(node, settings.tracing) }),
  };
}

/** Access logs of TCP connections, and how embedded proxies count these. */
export function tcpAccessLog(mesh: Mesh, node: ProxyNode, reporter: Reporter): JsonObject[] {
  const { metrics, accessLog: log } = telemetryOf(mesh, node, reporter === 'source' ? 'CLIENT' : 'SERVER');
  return [...(node.dataPlane === 'embedded' ? metricOverrides(metrics) : []), ...accessLog(mesh, node, log)];
}

/** Envoy's own streams: it cannot open `/dev/stdout` where that is a pipe of Node's. */
const STREAMS: Readonly<Record<string, string>> = { '/dev/stdout': 'StdoutAccessLog', '/dev/stderr': 'StderrAccessLog' };

function accessLog(mesh: Mesh, node: ProxyNode, log: TelemetrySettings['accessLog']): JsonObject[] {
  if (log === undefined) return [];
  const format = logFormat(mesh, node);
  const stream = node.dataPlane === 'envoy' ? STREAMS[log.path] : undefined;
  return [
    without({
      name: stream === undefined ? 'envoy.access_loggers.file' : 'envoy.access_loggers.stream',
      filter: log.filter === '' ? undefined : { extensionFilter: { name: 'cel', typedConfig: celFilter(log.filter) } },
      typedConfig:
        stream === undefined
          ? any('envoy.extensions.access_loggers.file.v3.FileAccessLog', { path: log.path, ...format })
          : any(`envoy.extensions.access_loggers.stream.v3.${stream}`, format),
    }),
  ];
}

function logFormat({ settings }: Mesh, node: ProxyNode): JsonObject {
  const { accessLogEncoding, accessLogFormat: own } = settings;
  if (accessLogEncoding === 'JSON') return { logFormat: { jsonFormat: own === undefined ? { ...ISTIO_JSON } : (JSON.parse(own) as JsonObject) } };
  // Embedded proxies write Istio's text without being told.
  if (own === undefined && node.dataPlane !== 'envoy') return {};
  return { logFormat: { textFormatSource: { inlineString: own === undefined ? ISTIO_TEXT : own.endsWith('\n') ? own : `${own}\n` } } };
}

function celFilter(expression: string): JsonObject {
  return any('xds.type.v3.TypedStruct', {
    typeUrl: 'type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter',
    value: { expression },
  });
}

/** Fields `tracing` and `requestIdExtension`. */
function tracing(node: ProxyNode, settings: TelemetrySettings['tracing']): JsonObject {
  if (settings === undefined) return {};
  const byItself = { typedConfig: any('envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig', { useRequestIdForTraceSampling: false }) };
  return { tracing: spans(node, settings), ...(settings.byRequestId ? {} : { requestIdExtension: byItself }) };
}

function spans(node: ProxyNode, settings: TracingSettings): JsonObject {
  return {
    clientSampling: { value: 100 },
    randomSampling: { value: settings.samplingPercent },
    overallSampling: { value: 100 },
    ...(settings.propagates ? {} : { noContextPropagation: true }),
    customTags: [...routeTags(), ...(settings.istioTags ? istioTags(node) : []), ...customTags(settings.customTags)],
    ...(node.dataPlane === 'envoy'
      ? {
          provider: {
            name: 'envoy.tracers.opentelemetry',
            typedConfig: any('envoy.config.trace.v3.OpenTelemetryConfig', {
              grpcService: { envoyGrpc: { clusterName: 'weft-otlp' }, timeout: '1s' },
              serviceName: `${node.labels['app'] ?? node.workload}.${node.namespace}`,
            }),
          },
        }
      : {}),
  };
}

function routeTags(): JsonObject[] {
  const fromRoute = (key: string): JsonObject => ({ kind: { route: {} }, metadataKey: { key: 'istio', path: [{ key }] } });
  return [
    { tag: 'weft.route_config', metadata: fromRoute('config') },
    { tag: 'weft.route', metadata: fromRoute('route') },
  ];
}

function istioTags({ labels, workload, namespace }: ProxyNode): JsonObject[] {
  const literal = (tag: string, value: string): JsonObject => ({ tag, literal: { value } });
  return [
    literal('istio.canonical_service', canonicalService(labels, workload)),
    literal('istio.canonical_revision', canonicalRevision(labels)),
    literal('istio.namespace', namespace),
  ];
}

function customTags(tags: NonNullable<TelemetrySettings['tracing']>['customTags']): JsonObject[] {
  return Object.entries(tags)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([tag, { literal, environment, header, formatter }]): JsonObject[] => {
      if (literal !== undefined) return [{ tag, literal: { value: literal.value } }];
      if (environment !== undefined) return [{ tag, environment: without({ name: environment.name, defaultValue: environment.defaultValue }) }];
      if (formatter !== undefined) return [{ tag, value: formatter.value }];
      return header === undefined ? [] : [{ tag, requestHeader: without({ name: header.name, defaultValue: header.defaultValue }) }];
    });
}

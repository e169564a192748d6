// Istio's standard metrics from stock Envoy: the stats access logger, which formats tags per request.
// Newer than the protos we generate from, hence a TypedStruct (verified with Envoy 1.40, docs of envoy.access_loggers.stats).

import type { JsonObject } from '@bufbuild/protobuf';
import type { IstioMetric } from '../config/index.ts';
import type { ProxyNode } from '../model/index.ts';
import { PEER_FIELDS, SERVICE_METADATA, peerIdentity } from './common.ts';
import { tagFormat } from './tag-expression.ts';
import type { MetricSettings } from './telemetry.ts';

export type TelemetryMode = 'embedded' | 'stats' | 'als' | 'none';

/** Who counts the requests of a proxy. Envoy has the stats access logger from 1.37 on. */
export function telemetryMode(node: ProxyNode): TelemetryMode {
  if (node.dataPlane !== 'envoy') return node.dataPlane === 'embedded' ? 'embedded' : 'none';
  const [major = 0, minor = 0] = node.version.split('.').map(Number);
  return major > 1 || minor >= 37 ? 'stats' : 'als';
}

export type Reporter = 'source' | 'destination';

interface StatsOptions {
  reporter: Reporter;
  /** The peer proved who it is; without that its header is not believed. */
  mtls: boolean;
  grpc: boolean;
  /** The destination, where it does not depend on the request: outbound it is that of the cluster chosen. */
  service?: { host: string; name: string; namespace: string } | undefined;
  metrics: MetricSettings;
}

/** Envoy writes `-` for what it does not know; whoever reads the stats makes `unknown` of it (but in response_flags). */
export function statsLogger(node: ProxyNode, clusterId: string, { reporter, mtls, grpc, service, metrics }: StatsOptions): JsonObject {
  const self = peerIdentity(node, clusterId);
  const own = (field: (typeof PEER_FIELDS)[number]): string => self[field];
  const far = (field: string): string =>
    reporter === 'source' ? `%UPSTREAM_METADATA(weft.peer:${field})%` : mtls ? `%DYNAMIC_METADATA(weft.peer:${field})%` : 'unknown';
  const source = reporter === 'source' ? own : far;
  const destination = reporter === 'source' ? far : own;
  const principal = `spiffe://${node.identity.trustDomain}/ns/${node.identity.namespace}/sa/${node.identity.serviceAccount}`;
  const tags: Record<string, string> = {
    reporter,
    source_workload: source('workload'),
    source_canonical_service: source('canonical_service'),
    source_canonical_revision: source('canonical_revision'),
    source_workload_namespace: source('namespace'),
    source_principal: reporter === 'source' ? principal : mtls ? '%DOWNSTREAM_PEER_URI_SAN%' : 'unknown',
    source_app: source('app'),
    source_version: source('version'),
    source_cluster: source('cluster'),
    destination_workload: destination('workload'),
    destination_workload_namespace: destination('namespace'),
    destination_principal: reporter === 'source' ? '%UPSTREAM_METADATA(weft.peer:principal)%' : mtls ? '%DOWNSTREAM_LOCAL_URI_SAN%' : 'unknown',
    destination_app: destination('app'),
    destination_version: destination('version'),
    destination_service: service?.host ?? `%CLUSTER_METADATA(${SERVICE_METADATA}:host)%`,
    destination_canonical_service: destination('canonical_service'),
    destination_canonical_revision: destination('canonical_revision'),
    destination_service_name: service?.name ?? `%CLUSTER_METADATA(${SERVICE_METADATA}:name)%`,
    destination_service_namespace: service?.namespace ?? `%CLUSTER_METADATA(${SERVICE_METADATA}:namespace)%`,
    destination_cluster: destination('cluster'),
    request_protocol: grpc ? 'grpc' : 'http',
    response_code: '%RESPONSE_CODE%',
    grpc_response_status: grpc ? '%GRPC_STATUS_NUMBER%' : '',
    response_flags: '%RESPONSE_FLAGS%',
    connection_security_policy: reporter === 'source' ? 'unknown' : mtls ? 'mutual_tls' : 'none',
  };
  const tagList = (metric: IstioMetric): JsonObject[] => {
    const overrides = [...(metrics.tags.get(metric) ?? [])].map(([name, cel]) => [name, cel === undefined ? '' : (tagFormat(cel) ?? '')] as const);
    return Object.entries({ ...tags, ...Object.fromEntries(overrides) })
      .filter(([, value]) => value !== '')
      .map(([name, value_format]) => ({ name, value_format }));
  };
  const counted = (metric: IstioMetric, name: string, value: JsonObject): JsonObject[] =>
    metrics.disabled.has(metric) ? [] : [{ stat: { name, tags: tagList(metric) }, ...value }];
  return {
    name: 'envoy.access_loggers.stats',
    typedConfig: {
      '@type': 'type.googleapis.com/xds.type.v3.TypedStruct',
      typeUrl: 'type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config',
      value: {
        stats_scope: { prefix: 'istio' },
        counters: counted('REQUEST_COUNT', 'requests_total', { value_fixed: 1 }),
        histograms: [
          ...counted('REQUEST_DURATION', 'request_duration_milliseconds', { value_format: '%DURATION%' }),
          ...counted('REQUEST_SIZE', 'request_bytes', { value_format: '%DOWNSTREAM_WIRE_BYTES_RECEIVED%' }),
          ...counted('RESPONSE_SIZE', 'response_bytes', { value_format: '%DOWNSTREAM_WIRE_BYTES_SENT%' }),
        ],
      },
    },
  };
}

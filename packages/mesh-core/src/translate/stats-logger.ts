// Istio's standard metrics from stock Envoy: the stats access logger, which formats tags per request.
// Newer than the protos we generate from, hence a TypedStruct (verified with Envoy 1.40, docs of envoy.access_loggers.stats).

import type { JsonObject } from '@bufbuild/protobuf';
import type { IstioMetric } from '../config/index.ts';
import { type ProxyNode, spiffeId } from '../model/index.ts';
import { PEER_FIELDS, SERVICE_METADATA, isAtLeast, peerIdentity } from './common.ts';
import { tagFormat } from './tag-expression.ts';
import { METRIC_NAMES, type MetricSettings } from './telemetry.ts';

export type Reporter = 'source' | 'destination';

export interface PeerOptions {
  reporter: Reporter;
  /** The peer proved who it is; without that its header is not believed. */
  mtls: boolean;
  /** The destination, where it does not depend on the request: outbound it is that of the cluster chosen. */
  service?: { host: string; name: string; namespace: string } | undefined;
}

export interface StatsOptions extends PeerOptions {
  metrics: MetricSettings;
}

/** Of all the stats' names. */
const PREFIX = 'istio';
/** What Envoy itself takes for gRPC, of which it tells a status: `isGrpcContentType` as a match. */
export const IS_GRPC: JsonObject = { name: 'content-type', stringMatch: { safeRegex: { regex: 'application/grpc(|[+;].*)' } } };
/** Where the substitution command COALESCE was seen to work here. */
const WITH_COALESCE = [1, 40] as const;

/** The service of the cluster a request went to; without one (a host that is refused) what its route names. */
const CHOSEN_SERVICE: Tags = Object.fromEntries(
  Object.entries({ destination_service: 'host', destination_service_name: 'name', destination_service_namespace: 'namespace' }).map(([tag, field]) => {
    const param = `${SERVICE_METADATA}:${field}`;
    const operators = [
      { command: 'CLUSTER_METADATA', param },
      { command: 'METADATA', param: `ROUTE:${param}` },
    ];
    return [tag, `%COALESCE(${JSON.stringify({ operators })})%`];
  }),
);

type Tags = Record<string, string>;
type Counted = (metric: IstioMetric, value: JsonObject) => JsonObject[];

/** One logger for gRPC and one for other requests: which of the two a request is, its content type tells. */
export function statsLoggers(node: ProxyNode, clusterId: string, options: StatsOptions): JsonObject[] {
  return [false, true].map((grpc) => {
    const tags = {
      ...peerTags(node, clusterId, options),
      ...(options.service === undefined && isAtLeast(node.version, WITH_COALESCE) ? CHOSEN_SERVICE : {}),
      request_protocol: grpc ? 'grpc' : 'http',
      response_code: '%RESPONSE_CODE%',
      grpc_response_status: grpc ? '%GRPC_STATUS_NUMBER%' : '',
      response_flags: '%RESPONSE_FLAGS%',
    };
    const counted = countedWith(options.metrics, tags, node);
    return logger({
      filter: { headerFilter: { header: grpc ? IS_GRPC : { ...IS_GRPC, invertMatch: true, treatMissingHeaderAsEmpty: true } } },
      counters: counted('REQUEST_COUNT', { value_fixed: 1 }),
      histograms: [
        ...counted('REQUEST_DURATION', { value_format: '%DURATION%' }),
        ...counted('REQUEST_SIZE', { value_format: '%DOWNSTREAM_WIRE_BYTES_RECEIVED%' }),
        ...counted('RESPONSE_SIZE', { value_format: '%DOWNSTREAM_WIRE_BYTES_SENT%' }),
      ],
    });
  });
}

/** A TCP connection is counted when it is open to the upstream and once more, with its bytes, when it ends. */
export function tcpStatsLoggers(node: ProxyNode, clusterId: string, options: StatsOptions): JsonObject[] {
  const tags = { ...peerTags(node, clusterId, options), request_protocol: 'tcp', response_flags: '%RESPONSE_FLAGS%' };
  const counted = countedWith(options.metrics, tags, node);
  const at = (type: string, counters: JsonObject[]): JsonObject => logger({ filter: { logTypeFilter: { types: [type] } }, counters });
  return [
    at('TcpUpstreamConnected', counted('TCP_OPENED_CONNECTIONS', { value_fixed: 1 })),
    at('TcpConnectionEnd', [
      ...counted('TCP_CLOSED_CONNECTIONS', { value_fixed: 1 }),
      ...counted('TCP_SENT_BYTES', { value_format: '%BYTES_SENT%' }),
      ...counted('TCP_RECEIVED_BYTES', { value_format: '%BYTES_RECEIVED%' }),
    ]),
  ];
}

/** Nothing for a metric that is switched off, else its stat with the tags a Telemetry leaves or changes. */
function countedWith(metrics: MetricSettings, tags: Tags, { version }: ProxyNode): Counted {
  return (metric, value) => {
    if (metrics.disabled.has(metric)) return [];
    const overrides = [...(metrics.tags.get(metric) ?? [])].map(([tag, cel]) => [tag, cel === undefined ? '' : tagFormat(cel, version)] as const);
    const tagList = Object.entries({ ...tags, ...Object.fromEntries(overrides) })
      .filter(([, format]) => format !== '')
      .map(([tag, value_format]) => ({ name: tag, value_format }));
    return [{ stat: { name: METRIC_NAMES[metric].slice(PREFIX.length + 1), tags: tagList }, ...value }];
  };
}

function logger({ filter, ...value }: { filter: JsonObject; counters: JsonObject[]; histograms?: JsonObject[] }): JsonObject {
  return {
    name: 'envoy.access_loggers.stats',
    filter,
    typedConfig: {
      '@type': 'type.googleapis.com/xds.type.v3.TypedStruct',
      typeUrl: 'type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config',
      value: { stats_scope: { prefix: PREFIX }, ...value },
    },
  };
}

/** Who called whom. Envoy writes `-` for what it does not know; whoever reads the stats makes `unknown` of it. */
export function peerTags(node: ProxyNode, clusterId: string, { reporter, mtls, service }: PeerOptions): Tags {
  const self = peerIdentity(node, clusterId);
  // A tag without a value is no tag to Envoy; not everybody who reads these knows `-`.
  const own = (field: (typeof PEER_FIELDS)[number]): string => self[field] || 'unknown';
  const far = (field: string): string =>
    reporter === 'source' ? `%UPSTREAM_METADATA(weft.peer:${field})%` : mtls ? `%DYNAMIC_METADATA(weft.peer:${field})%` : 'unknown';
  const source = reporter === 'source' ? own : far;
  const destination = reporter === 'source' ? far : own;
  return {
    reporter,
    source_workload: source('workload'),
    source_canonical_service: source('canonical_service'),
    source_canonical_revision: source('canonical_revision'),
    source_workload_namespace: source('namespace'),
    source_principal: reporter === 'source' ? spiffeId(node.identity) : mtls ? '%DOWNSTREAM_PEER_URI_SAN%' : 'unknown',
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
    connection_security_policy: reporter === 'source' ? 'unknown' : mtls ? 'mutual_tls' : 'none',
  };
}

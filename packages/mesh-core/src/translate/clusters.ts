// CDS and EDS: one cluster per service port and subset, endpoints from WorkloadEntries.

import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { type DestinationRuleSpec, type TrafficPolicySpec, durationMs, matches } from '../config/index.ts';
import type { ProxyNode } from '../model/index.ts';
import { ADS, SERVICE_METADATA, any, clusterName, seconds, socketAddress, without } from './common.ts';
import { type Mesh, type MeshService, type ServicePort, type Workload, destinationRuleFor, endpointPort, mtlsModeOf } from './mesh.ts';

const UNLIMITED = 4_294_967_295;
const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

export interface ClusterPair {
  name: string;
  cluster: JsonObject;
  endpoints: JsonObject;
}

/** Clusters of one service as seen from a namespace, subsets included. */
export function serviceClusters(mesh: Mesh, service: MeshService, node: ProxyNode): ClusterPair[] {
  const rule = destinationRuleFor(mesh, service, node.namespace);
  return service.ports.flatMap((port) => {
    const whole = clusterPair(mesh, service, port, node, rule?.trafficPolicy, undefined);
    const subsets = (rule?.subsets ?? []).map((subset) =>
      clusterPair(mesh, service, port, node, mergePolicy(rule?.trafficPolicy, subset.trafficPolicy), subset),
    );
    return [whole, ...subsets];
  });
}

/** A subset's block replaces the rule's block whole and inherits the rest. */
function mergePolicy(rule: TrafficPolicySpec | undefined, subset: TrafficPolicySpec | undefined): TrafficPolicySpec | undefined {
  return rule === undefined ? subset : subset === undefined ? rule : { ...rule, ...subset };
}

function clusterPair(
  mesh: Mesh,
  service: MeshService,
  port: ServicePort,
  node: ProxyNode,
  policy: TrafficPolicySpec | undefined,
  subset: NonNullable<DestinationRuleSpec['subsets']>[number] | undefined,
): ClusterPair {
  const name = clusterName(service.host, port.port, subset?.name);
  // Port-level settings replace the whole set: what they leave out goes to the defaults, not to the rule's.
  const level = policy?.portLevelSettings?.find((p) => p.port.number === port.port);
  const effective = level ?? policy ?? {};
  const workloads = service.workloads.filter((w) => matches(w.labels, subset?.labels));
  const http = port.protocol === 'http' || port.protocol === 'http2' || port.protocol === 'grpc';
  const proxyless = node.dataPlane === 'grpc';
  const cluster = without({
    name,
    type: 'EDS',
    edsClusterConfig: { edsConfig: ADS, serviceName: name },
    connectTimeout: seconds(ms(effective.connectionPool?.tcp?.connectTimeout) ?? mesh.settings.connectTimeoutMs),
    ...loadBalancer(effective, proxyless),
    circuitBreakers: { thresholds: [thresholds(effective)] },
    outlierDetection: outlier(effective),
    ...(effective.outlierDetection === undefined
      ? {}
      : { commonLbConfig: { healthyPanicThreshold: { value: effective.outlierDetection.minHealthPercent ?? 0 } } }),
    ...(http && !proxyless ? { typedExtensionProtocolOptions: { [HTTP_OPTIONS]: httpOptions(port, effective) } } : {}),
    ...(proxyless ? {} : transport(service, port, subset?.name, effective)),
    metadata: {
      filterMetadata: {
        istio: {
          services: [{ host: service.host, name: service.name, namespace: service.namespace }],
          ...(subset === undefined ? {} : { subset: subset.name }),
        },
        [SERVICE_METADATA]: { host: service.host, name: service.name, namespace: service.namespace },
      },
    },
  });
  return { name, cluster, endpoints: loadAssignment(mesh, name, port, workloads) };
}

function ms(duration: string | undefined): number | undefined {
  return duration === undefined ? undefined : durationMs(duration);
}

function loadBalancer(policy: TrafficPolicySpec, proxyless: boolean): JsonObject {
  const hash = policy.loadBalancer?.consistentHash;
  if (hash !== undefined)
    return hash.maglev === undefined
      ? { lbPolicy: 'RING_HASH', ringHashLbConfig: { minimumRingSize: String(hash.ringHash?.minimumRingSize ?? hash.minimumRingSize ?? 1_024) } }
      : { lbPolicy: 'MAGLEV', maglevLbConfig: { tableSize: String(hash.maglev.tableSize ?? 65_537) } };
  switch (policy.loadBalancer?.simple) {
    case 'ROUND_ROBIN':
      return { lbPolicy: 'ROUND_ROBIN' };
    case 'RANDOM':
      return { lbPolicy: proxyless ? 'ROUND_ROBIN' : 'RANDOM' };
    case 'PASSTHROUGH':
    case 'LEAST_CONN':
    case 'LEAST_REQUEST':
    case 'UNSPECIFIED':
    case undefined:
      // gRPC's own clients know round robin; least request is switched off in them by default.
      return { lbPolicy: proxyless ? 'ROUND_ROBIN' : 'LEAST_REQUEST' };
  }
}

function thresholds(policy: TrafficPolicySpec): JsonObject {
  const pool = policy.connectionPool;
  return without({
    maxConnections: pool?.tcp?.maxConnections || UNLIMITED,
    maxPendingRequests: pool?.http?.http1MaxPendingRequests || UNLIMITED,
    maxRequests: pool?.http?.http2MaxRequests || UNLIMITED,
    maxRetries: pool?.http?.maxRetries || UNLIMITED,
    retryBudget:
      policy.retryBudget === undefined
        ? undefined
        : { budgetPercent: { value: policy.retryBudget.percent ?? 20 }, minRetryConcurrency: policy.retryBudget.minRetryConcurrency ?? 3 },
  });
}

function outlier(policy: TrafficPolicySpec): JsonObject | undefined {
  const o = policy.outlierDetection;
  if (o === undefined) return undefined;
  return without({
    consecutive5xx: o.consecutive5xxErrors ?? 5,
    enforcingConsecutive5xx: o.consecutive5xxErrors === 0 ? 0 : 100,
    consecutiveGatewayFailure: o.consecutiveGatewayErrors,
    enforcingConsecutiveGatewayFailure: (o.consecutiveGatewayErrors ?? 0) > 0 ? 100 : 0,
    interval: seconds(ms(o.interval) ?? 10_000),
    baseEjectionTime: seconds(ms(o.baseEjectionTime) ?? 30_000),
    maxEjectionPercent: o.maxEjectionPercent ?? 10,
    enforcingSuccessRate: 0,
    ...(o.splitExternalLocalOriginErrors === true
      ? {
          splitExternalLocalOriginErrors: true,
          consecutiveLocalOriginFailure: o.consecutiveLocalOriginFailures ?? 5,
          enforcingConsecutiveLocalOriginFailure: 100,
          enforcingLocalOriginSuccessRate: 0,
        }
      : {}),
  });
}

function httpOptions(port: ServicePort, policy: TrafficPolicySpec): JsonObject {
  const http2 = port.protocol === 'http2' || port.protocol === 'grpc' || policy.connectionPool?.http?.h2UpgradePolicy === 'UPGRADE';
  const idle = ms(policy.connectionPool?.http?.idleTimeout);
  const max = policy.connectionPool?.http?.maxRequestsPerConnection;
  return any(HTTP_OPTIONS, {
    explicitHttpConfig: http2 ? { http2ProtocolOptions: {} } : { httpProtocolOptions: {} },
    ...(idle === undefined && !max
      ? {}
      : { commonHttpProtocolOptions: without({ idleTimeout: idle === undefined ? undefined : seconds(idle), maxRequestsPerConnection: max || undefined }) }),
  });
}

/** Auto mTLS: endpoints that announce `tlsMode: istio` get TLS with their exact identity checked, others plaintext; a rule's tls block overrides. */
function transport(service: MeshService, port: ServicePort, subset: string | undefined, policy: TrafficPolicySpec): JsonObject {
  const mode = policy.tls?.mode;
  const raw = { name: 'envoy.transport_sockets.raw_buffer', typedConfig: any('envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer') };
  if (mode === 'DISABLE') return { transportSocket: raw };
  if (mode === 'SIMPLE' || mode === 'MUTUAL') {
    const { tls } = policy;
    return {
      transportSocket: tlsSocket(
        without({
          sni: tls?.sni ?? service.host,
          commonTlsContext: {
            validationContext: without({
              trustedCa: tls?.insecureSkipVerify === true ? undefined : { filename: tls?.caCertificates ?? '/etc/ssl/certs/ca-certificates.crt' },
            }),
            ...(tls?.clientCertificate === undefined
              ? {}
              : { tlsCertificates: [{ certificateChain: { filename: tls.clientCertificate }, privateKey: { filename: tls.privateKey ?? '' } }] }),
          },
        }),
      ),
    };
  }
  const principals = [...new Set(service.workloads.map((w) => w.principal))].toSorted();
  const http2 = port.protocol === 'http2' || port.protocol === 'grpc';
  const istio = tlsSocket({
    sni: `outbound_.${port.port}_.${subset ?? ''}_.${service.host}`,
    commonTlsContext: {
      tlsParams: { tlsMinimumProtocolVersion: 'TLSv1_2', tlsMaximumProtocolVersion: 'TLSv1_3' },
      alpnProtocols: [http2 ? 'h2' : 'http/1.1'],
      tlsCertificateSdsSecretConfigs: [{ name: 'default', sdsConfig: ADS }],
      combinedValidationContext: {
        defaultValidationContext: { matchTypedSubjectAltNames: principals.map((exact) => ({ sanType: 'URI', matcher: { exact } })) },
        validationContextSdsSecretConfig: { name: 'ROOTCA', sdsConfig: ADS },
      },
    },
  });
  if (mode === 'ISTIO_MUTUAL') return { transportSocket: istio };
  return {
    transportSocketMatches: [
      { name: 'tlsMode-istio', match: { tlsMode: 'istio' }, transportSocket: istio },
      { name: 'tlsMode-disabled', match: {}, transportSocket: raw },
    ],
  };
}

function tlsSocket(context: JsonObject): JsonObject {
  return { name: 'envoy.transport_sockets.tls', typedConfig: any('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', context) };
}

function loadAssignment(mesh: Mesh, name: string, port: ServicePort, workloads: readonly Workload[]): JsonObject {
  const localities = [...new Set(workloads.map((w) => w.locality))].toSorted();
  return {
    clusterName: name,
    endpoints: localities.map((locality): JsonObject => {
      const [region = '', zone = '', subZone = ''] = locality.split('/');
      const members = workloads.filter((w) => w.locality === locality);
      return {
        locality: { region, zone, subZone },
        loadBalancingWeight: members.reduce((sum, w) => sum + w.weight, 0) || 1,
        lbEndpoints: members.map((w) => lbEndpoint(mesh, w, port)),
      };
    }),
  };
}

function lbEndpoint(mesh: Mesh, workload: Workload, port: ServicePort): JsonValue {
  const { labels } = workload;
  const app = labels['app'] ?? '';
  const version = labels['version'] ?? '';
  const target = endpointPort(workload, port);
  const mtls = labels['security.istio.io/tlsMode'] === 'istio' && mtlsModeOf(mesh, workload.namespace, labels, target, port.port) !== 'DISABLE';
  return {
    endpoint: { address: socketAddress(workload.address, target) },
    healthStatus: workload.healthy ? 'HEALTHY' : 'UNHEALTHY',
    loadBalancingWeight: workload.weight || 1,
    metadata: {
      filterMetadata: {
        ...(mtls ? { 'envoy.transport_socket_match': { tlsMode: 'istio' } } : {}),
        'weft.peer': {
          workload: workload.name,
          namespace: workload.namespace,
          app,
          version,
          canonical_service: labels['service.istio.io/canonical-name'] ?? (app === '' ? workload.name : app),
          canonical_revision: labels['service.istio.io/canonical-revision'] ?? (version === '' ? 'latest' : version),
          principal: mtls ? workload.principal : '',
          cluster: mesh.settings.clusterId,
        },
      },
    },
  };
}

/** Clusters a proxy always has: its own application's ports, and the two ends of traffic to unknown hosts. */
export function ownClusters(node: ProxyNode, otlp: { host: string; grpcPort: number }): JsonObject[] {
  const inbound = node.inbound.map((port) => {
    const name = `inbound|${port.servicePort}||`;
    const http2 = /^(grpc|http2)/.test(port.name);
    return {
      name,
      type: 'STATIC',
      connectTimeout: '10s',
      circuitBreakers: { thresholds: [{ maxConnections: UNLIMITED, maxPendingRequests: UNLIMITED, maxRequests: UNLIMITED, maxRetries: UNLIMITED }] },
      loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints: [{ endpoint: { address: socketAddress('127.0.0.1', port.appPort) } }] }] },
      typedExtensionProtocolOptions: {
        [HTTP_OPTIONS]: any(HTTP_OPTIONS, { explicitHttpConfig: http2 ? { http2ProtocolOptions: {} } : { httpProtocolOptions: {} } }),
      },
    };
  });
  const blackHole = { name: 'BlackHoleCluster', type: 'STATIC', connectTimeout: '10s', loadAssignment: { clusterName: 'BlackHoleCluster' } };
  if (node.dataPlane !== 'envoy') return [...inbound, blackHole];
  const telemetry = {
    name: 'weft-otlp',
    type: 'STATIC',
    connectTimeout: '2s',
    loadAssignment: { clusterName: 'weft-otlp', endpoints: [{ lbEndpoints: [{ endpoint: { address: socketAddress(otlp.host, otlp.grpcPort) } }] }] },
    typedExtensionProtocolOptions: { [HTTP_OPTIONS]: any(HTTP_OPTIONS, { explicitHttpConfig: { http2ProtocolOptions: {} } }) },
  };
  return [...inbound, blackHole, telemetry];
}

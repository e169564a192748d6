// CDS: one cluster per service port and subset.

import type { JsonObject } from '@bufbuild/protobuf';
import { type DestinationRuleSpec, matches } from '../config/index.ts';
import type { ProxyNode } from '../model/index.ts';
import { ADS, SERVICE_METADATA, any, clusterName, seconds, socketAddress, without } from './common.ts';
import { loadAssignment } from './endpoints.ts';
import { type EffectiveRule, type Mesh, type MeshService, type ServicePort, destinationRuleFor } from './mesh.ts';
import {
  HTTP_OPTIONS,
  UNLIMITED,
  commonLbConfig,
  connectionOptions,
  effectivePolicy,
  httpOptions,
  loadBalancer,
  ms,
  outlier,
  thresholds,
} from './traffic-policy.ts';
import { transport } from './upstream-tls.ts';

export interface ClusterPair {
  name: string;
  cluster: JsonObject;
  endpoints: JsonObject;
}

/** Clusters of one service as seen from a namespace, subsets included. */
export function serviceClusters(mesh: Mesh, service: MeshService, node: ProxyNode): ClusterPair[] {
  const rule = destinationRuleFor(mesh, service, node);
  return service.ports.flatMap((port) => [undefined, ...(rule?.subsets ?? [])].map((subset) => clusterPair({ mesh, service, port, node, rule, subset })));
}

interface PairContext {
  mesh: Mesh;
  service: MeshService;
  port: ServicePort;
  node: ProxyNode;
  rule: EffectiveRule | undefined;
  subset: NonNullable<DestinationRuleSpec['subsets']>[number] | undefined;
}

function clusterPair({ mesh, service, port, node, rule, subset }: PairContext): ClusterPair {
  const name = clusterName(service.host, port.port, subset?.name);
  const policy = effectivePolicy(rule?.trafficPolicy, subset?.trafficPolicy, port.port);
  const { dataPlane } = node;
  const http = port.protocol === 'http' || port.protocol === 'http2' || port.protocol === 'grpc';
  const proxyless = dataPlane === 'grpc';
  const { fields, upstreamHttp } = transport({ service, port, subset: subset?.name, policy, dataPlane });
  const cluster = without({
    name,
    type: 'EDS',
    edsClusterConfig: { edsConfig: ADS, serviceName: name },
    connectTimeout: seconds(ms(policy.connectionPool?.tcp?.connectTimeout) ?? mesh.settings.connectTimeoutMs),
    ...loadBalancer(policy, dataPlane, rule?.peakEwma === true),
    commonLbConfig: proxyless ? undefined : commonLbConfig(policy),
    circuitBreakers: { thresholds: [thresholds(policy)] },
    outlierDetection: outlier(policy),
    upstreamConnectionOptions: proxyless ? undefined : connectionOptions(policy),
    ...(http && !proxyless ? { typedExtensionProtocolOptions: { [HTTP_OPTIONS]: httpOptions(port, policy, upstreamHttp) } } : {}),
    ...(proxyless ? {} : fields),
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
  const workloads = service.workloads.filter((w) => matches(w.labels, subset?.labels));
  return { name, cluster, endpoints: loadAssignment({ mesh, name, port, workloads, policy, client: node }) };
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

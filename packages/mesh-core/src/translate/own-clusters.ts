// CDS: the clusters a proxy always has: its own application's ports, and the two ends of traffic to unknown hosts.

import type { JsonObject } from '@bufbuild/protobuf';
import { type TrafficPolicySpec, protocolOf } from '../config/index.ts';
import type { ProxyNode } from '../model/index.ts';
import { any, seconds, socketAddress, without } from './common.ts';
import { passthroughCluster } from './external-clusters.ts';
import { type Inbound, inboundCluster, inboundPorts, serviceBehind } from './inbound-ports.ts';
import { destinationRuleFor } from './destination-rules.ts';
import type { Mesh } from './mesh.ts';
import { HTTP_OPTIONS, connectionOptions, effectivePolicy, ms, poolOptions, thresholds } from './traffic-policy.ts';

const CLIENT_PROTOCOL = { useDownstreamProtocolConfig: { httpProtocolOptions: {}, http2ProtocolOptions: {} } };

export function ownClusters(mesh: Mesh, node: ProxyNode): JsonObject[] {
  const { otlp, connectTimeoutMs } = mesh.settings;
  const inbound = inboundPorts(mesh, node).map((port) => applicationCluster(mesh, node, port));
  const passthrough = passthroughCluster(connectTimeoutMs, { typedExtensionProtocolOptions: { [HTTP_OPTIONS]: any(HTTP_OPTIONS, CLIENT_PROTOCOL) } });
  const blackHole = { name: 'BlackHoleCluster', type: 'STATIC', connectTimeout: '10s', loadAssignment: { clusterName: 'BlackHoleCluster' } };
  if (node.dataPlane !== 'envoy') return [...inbound, blackHole, ...(node.dataPlane === 'grpc' ? [] : [passthrough])];
  const telemetry = {
    name: 'weft-otlp',
    type: 'STATIC',
    connectTimeout: '2s',
    loadAssignment: { clusterName: 'weft-otlp', endpoints: [{ lbEndpoints: [{ endpoint: { address: socketAddress(otlp.host, otlp.grpcPort) } }] }] },
    typedExtensionProtocolOptions: { [HTTP_OPTIONS]: any(HTTP_OPTIONS, { explicitHttpConfig: { http2ProtocolOptions: {} } }) },
  };
  return [...inbound, blackHole, passthrough, telemetry];
}

/** What the application's own DestinationRule says of connections holds on this side too, unless its Sidecar says otherwise. */
function applicationCluster(mesh: Mesh, node: ProxyNode, port: Inbound): JsonObject {
  const name = inboundCluster(port);
  const service = serviceBehind(mesh, node, port);
  const rule = service === undefined ? undefined : destinationRuleFor(mesh, service, node);
  const { connectionPool: ruled, retryBudget } = effectivePolicy(rule?.trafficPolicy, undefined, port.servicePort);
  const pool = port.connectionPool ?? ruled;
  const policy: TrafficPolicySpec = { ...(pool === undefined ? {} : { connectionPool: pool }), ...(retryBudget === undefined ? {} : { retryBudget }) };
  const { common, http2 } = poolOptions(policy);
  return without({
    name,
    // Which service connections are counted for.
    metadata:
      service === undefined
        ? undefined
        : { filterMetadata: { istio: { services: [{ host: service.host, name: service.name, namespace: service.namespace }] } } },
    type: 'STATIC',
    connectTimeout: seconds(ms(pool?.tcp?.connectTimeout) ?? 10_000),
    circuitBreakers: { thresholds: [thresholds(policy, node.dataPlane)] },
    upstreamConnectionOptions: connectionOptions(policy),
    loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints: [{ endpoint: { address: port.application } }] }] },
    typedExtensionProtocolOptions: { [HTTP_OPTIONS]: any(HTTP_OPTIONS, { ...protocolOptions(port, http2), ...common }) },
  });
}

function protocolOptions(port: Inbound, http2: JsonObject): JsonObject {
  const protocol = port.protocol ?? protocolOf(port.name, undefined, port.servicePort);
  if (protocol === 'auto') return { useDownstreamProtocolConfig: { httpProtocolOptions: {}, http2ProtocolOptions: http2 } };
  return { explicitHttpConfig: ['http2', 'grpc', 'grpc-web'].includes(protocol) ? { http2ProtocolOptions: http2 } : { httpProtocolOptions: {} } };
}

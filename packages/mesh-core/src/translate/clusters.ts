// CDS: one cluster per service port and subset.

import type { JsonObject } from '@bufbuild/protobuf';
import { type DestinationRuleSpec, type TrafficPolicySpec, matches } from '../config/index.ts';
import type { ProxyNode } from '../model/index.ts';
import { ADS, SERVICE_METADATA, clusterName, seconds, without } from './common.ts';
import { loadAssignment, speaksMtls } from './endpoints.ts';
import { externalDiscovery } from './external-clusters.ts';
import { type EffectiveRule, destinationRuleFor } from './destination-rules.ts';
import type { Mesh, MeshService, ServicePort } from './mesh.ts';
import { isBehind, workloadsOf } from './service-workloads.ts';
import {
  HTTP_OPTIONS,
  commonLbConfig,
  connectionOptions,
  effectivePolicy,
  httpOptions,
  loadBalancer,
  ms,
  outlier,
  thresholds,
  withMeshLocality,
} from './traffic-policy.ts';
import { transport } from './upstream-tls.ts';

export interface ClusterPair {
  name: string;
  cluster: JsonObject;
  /** EDS; absent where the cluster finds its endpoints itself. */
  endpoints: JsonObject | undefined;
}

/** Clusters of one service as seen from a namespace, subsets included. */
export function serviceClusters(mesh: Mesh, service: MeshService, node: ProxyNode): ClusterPair[] {
  const rule = destinationRuleFor(mesh, service, node);
  return service.ports.flatMap((port) =>
    [undefined, ...(rule?.subsets ?? [])].flatMap((subset) => {
      const context = { mesh, service, node, rule, subset };
      const pair = clusterPair({ ...context, port, name: clusterName(service.host, port.port, subset?.name) });
      if (port.protocol !== 'auto' || node.dataPlane === 'grpc') return [pair];
      // What is sniffed may be plain TCP, which tells its peer so by ALPN.
      return [pair, clusterPair({ ...context, port: { ...port, protocol: 'tcp' }, name: tcpClusterName(service, port, subset?.name) })];
    }),
  );
}

interface PairContext {
  mesh: Mesh;
  service: MeshService;
  port: ServicePort;
  name: string;
  node: ProxyNode;
  rule: EffectiveRule | undefined;
  subset: NonNullable<DestinationRuleSpec['subsets']>[number] | undefined;
}

/** The cluster TCP connections to a port go to. */
export function tcpClusterName(service: MeshService, port: ServicePort | undefined, subset: string | undefined): string {
  return `${clusterName(service.host, port?.port ?? 0, subset)}${port?.protocol === 'auto' ? '|tcp' : ''}`;
}

function clusterPair({ mesh, service, port, name, node, rule, subset }: PairContext): ClusterPair {
  const ruled = withEntryTls(service, effectivePolicy(rule?.trafficPolicy, subset?.trafficPolicy, port.port));
  const policy = withMeshLocality(ruled, mesh.settings);
  const { dataPlane } = node;
  const http = port.protocol !== 'tcp' && port.protocol !== 'https';
  const proxyless = dataPlane === 'grpc';
  const all = workloadsOf(mesh, service);
  const workloads = all.filter((w) => matches(w.labels, subset?.labels) && isBehind(w, port));
  const allMtls = workloads.length > 0 && workloads.every((w) => speaksMtls(mesh, w, port));
  const principals = [...new Set(all.map((w) => w.principal))].toSorted();
  const { fields, ...choice } = transport({ service, port, subset: subset?.name, policy, dataPlane, allMtls, principals });
  const endpoints = loadAssignment({ mesh, name, port, workloads, policy, client: node });
  const discovery = proxyless ? undefined : externalDiscovery(service.entry, service.host, endpoints);
  const cluster = without({
    name,
    connectTimeout: seconds(ms(policy.connectionPool?.tcp?.connectTimeout) ?? mesh.settings.connectTimeoutMs),
    ...loadBalancer(policy, dataPlane, rule?.peakEwma === true),
    ...(discovery ?? { type: 'EDS', edsClusterConfig: { edsConfig: ADS, serviceName: name } }),
    commonLbConfig: proxyless ? undefined : commonLbConfig(policy),
    circuitBreakers: { thresholds: [thresholds(policy, dataPlane)] },
    outlierDetection: outlier(policy),
    upstreamConnectionOptions: proxyless ? undefined : connectionOptions(policy),
    // A port of TLS may be asked over HTTP, by a rule that leads there: then its server name follows the Host too.
    ...((http || choice.upstreamHttp !== undefined) && !proxyless
      ? { typedExtensionProtocolOptions: { [HTTP_OPTIONS]: httpOptions(port, policy, choice) } }
      : {}),
    // gRPC's clients report their load to where their configuration comes from.
    ...(proxyless ? { lrsServer: { self: {} } } : fields),
    metadata: {
      filterMetadata: {
        istio: {
          ...(rule === undefined ? {} : { config: rule.source }),
          services: [{ host: service.host, name: service.name, namespace: service.namespace }],
          ...(subset === undefined ? {} : { subset: subset.name }),
        },
        [SERVICE_METADATA]: { host: service.host, name: service.name, namespace: service.namespace },
      },
    },
  });
  return { name, cluster, endpoints: discovery === undefined ? endpoints : undefined };
}

/** Nobody outside the mesh speaks its mutual TLS; a ServiceEntry's names are those a rule's TLS accepts unless it says others. */
function withEntryTls({ entry }: MeshService, policy: TrafficPolicySpec): TrafficPolicySpec {
  if (entry === undefined) return policy;
  const { tls } = policy;
  if (tls?.mode === undefined) return entry.external ? { ...policy, tls: { mode: 'DISABLE' } } : policy;
  return tls.subjectAltNames === undefined && entry.subjectAltNames.length > 0
    ? { ...policy, tls: { ...tls, subjectAltNames: [...entry.subjectAltNames] } }
    : policy;
}

// Where the bytes of a TCP port go.

import type { JsonObject } from '@bufbuild/protobuf';
import { matches, resolveHost } from '../config/index.ts';
import type { ProxyNode } from '../model/index.ts';
import { any, clusterName } from './common.ts';
import { type Mesh, type MeshService, serviceOf } from './mesh.ts';
import { virtualServiceFor } from './virtual-services.ts';

/** The tcp_proxy filter of a service's port: the first rule of its VirtualService that fits this client, else the service itself. */
export function tcpProxy(mesh: Mesh, node: ProxyNode, service: MeshService, port: number): JsonObject {
  const statPrefix = `${service.host}_${port}`;
  const vs = virtualServiceFor(mesh, service.host, node.namespace, 'tcp');
  const rule = vs?.spec.tcp?.find(
    (r) =>
      (r.match ?? []).length === 0 ||
      r.match?.some(
        (m) =>
          (m.port === undefined || m.port === port) &&
          ((m.gateways ?? []).length > 0
            ? m.gateways?.includes('mesh')
            : matches(node.labels, m.sourceLabels) && (m.sourceNamespace === undefined || m.sourceNamespace === node.namespace)),
      ),
  );
  const namespace = vs?.metadata.namespace ?? service.namespace;
  const routes = (rule?.route ?? []).filter((r, _, list) => list.length === 1 || (r.weight ?? 0) > 0);
  const clusters = routes.map(({ destination, weight }) => {
    const host = resolveHost(destination.host, namespace, mesh.settings.domainSuffix);
    const ports = serviceOf(mesh, host)?.ports ?? [];
    return {
      name: clusterName(host, destination.port?.number ?? (ports.length === 1 ? ports[0]?.port : undefined) ?? port, destination.subset),
      weight: weight ?? 1,
    };
  });
  const [only] = clusters;
  const target: JsonObject =
    only === undefined ? { cluster: clusterName(service.host, port) } : clusters.length === 1 ? { cluster: only.name } : { weightedClusters: { clusters } };
  return { name: 'envoy.filters.network.tcp_proxy', typedConfig: any('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { statPrefix, ...target }) };
}

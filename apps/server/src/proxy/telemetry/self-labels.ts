// How a proxy's own workload is told in labels of metrics.

import { DEFAULT_MESH_SETTINGS, type Identity, canonicalRevision, canonicalService, spiffeId } from '@weft/mesh-core/model';
import type { PeerLabels } from '@weft/mesh-core/telemetry';

export function selfLabels(proxy: Identity & { workload: string; labels: Readonly<Record<string, string>> }): PeerLabels {
  const { labels } = proxy;
  return {
    workload: proxy.workload,
    namespace: proxy.namespace,
    app: labels['app'] ?? '',
    version: labels['version'] ?? '',
    canonicalService: canonicalService(labels, proxy.workload),
    canonicalRevision: canonicalRevision(labels),
    cluster: DEFAULT_MESH_SETTINGS.clusterId,
    principal: spiffeId(proxy),
  };
}

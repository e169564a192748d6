// Who a request goes to, as the configuration tells it.

import type { PeerLabels } from '@weft/mesh-core/telemetry';
import type { ClusterConfig, Endpoint } from '../config/model.ts';

export interface ServiceName {
  host: string;
  name: string;
  namespace: string;
}

/** The workload behind an endpoint. */
export function endpointPeer(endpoint: Endpoint): PeerLabels {
  const peer = endpoint.metadata['weft.peer'] ?? {};
  const text = (key: string): string => (typeof peer[key] === 'string' ? peer[key] : '');
  return {
    workload: text('workload'),
    namespace: text('namespace'),
    app: text('app'),
    version: text('version'),
    canonicalService: text('canonical_service'),
    canonicalRevision: text('canonical_revision'),
    cluster: text('cluster'),
    principal: text('principal'),
  };
}

/** Inbound routes say which service they serve in their operation: `reviews.bookinfo.svc.cluster.local:9080/*`. */
export function serviceOfOperation(operation: string | undefined): ServiceName | undefined {
  const host = operation?.split(':')[0] ?? '';
  const [name, namespace] = host.split('.');
  return name === undefined || namespace === undefined ? undefined : { host, name, namespace };
}

/** The service a cluster belongs to. */
export function serviceOf(cluster: ClusterConfig): ServiceName | undefined {
  const services = cluster.metadata['istio']?.['services'];
  const first: unknown = Array.isArray(services) ? services[0] : undefined;
  if (typeof first !== 'object' || first === null) return undefined;
  const { host, name, namespace } = first as Record<string, unknown>;
  return typeof host === 'string' && typeof name === 'string' && typeof namespace === 'string' ? { host, name, namespace } : undefined;
}

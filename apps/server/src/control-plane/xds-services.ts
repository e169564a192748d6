// The discovery services of xDS v3 by gRPC path: the aggregated one, and one per resource type over the same state machine.

import { TYPE_URL } from '@weft/mesh-core/xds';
import type { Dialect, TypeUrl } from '@weft/mesh-core/xds';

export interface DiscoveryMethod {
  path: string;
  dialect: Dialect;
  /** The one type the stream carries; absent on aggregated streams. */
  only?: TypeUrl;
}

const SERVICES: readonly { service: string; noun: string; only?: TypeUrl }[] = [
  { service: 'envoy.service.discovery.v3.AggregatedDiscoveryService', noun: 'AggregatedResources' },
  { service: 'envoy.service.listener.v3.ListenerDiscoveryService', noun: 'Listeners', only: TYPE_URL.listener },
  { service: 'envoy.service.route.v3.RouteDiscoveryService', noun: 'Routes', only: TYPE_URL.route },
  { service: 'envoy.service.cluster.v3.ClusterDiscoveryService', noun: 'Clusters', only: TYPE_URL.cluster },
  { service: 'envoy.service.endpoint.v3.EndpointDiscoveryService', noun: 'Endpoints', only: TYPE_URL.endpoint },
  { service: 'envoy.service.secret.v3.SecretDiscoveryService', noun: 'Secrets', only: TYPE_URL.secret },
];

export const DISCOVERY_METHODS: readonly DiscoveryMethod[] = SERVICES.flatMap(({ service, noun, only }) =>
  (['sotw', 'delta'] as const).map((dialect) => ({
    path: `/${service}/${dialect === 'sotw' ? 'Stream' : 'Delta'}${noun}`,
    dialect,
    ...(only === undefined ? {} : { only }),
  })),
);

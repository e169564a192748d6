// The header that tells the next sidecar who asks, and where nobody is to be told.

import type { JsonObject } from '@bufbuild/protobuf';
import type { ProxyNode } from '../model/index.ts';
import { PEER_FIELDS, PEER_HEADER, peerIdentity } from './common.ts';
import { type Mesh, serviceOf } from './mesh.ts';
import { isWithoutSidecars } from './service-workloads.ts';

/** The field of a RouteConfiguration that makes requests tell the next sidecar who sends them. */
export function peerHeader(node: ProxyNode, clusterId: string): JsonObject {
  const identity = peerIdentity(node, clusterId);
  const value = PEER_FIELDS.map((field) => identity[field]).join(';');
  return { requestHeadersToAdd: [{ header: { key: PEER_HEADER, value }, appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' }] };
}

type VirtualHost = JsonObject & { routes: JsonObject[] };

/**
 * Who asks is nobody's business where no sidecar listens: routes that lead there, even for a share or a copy of their requests, do
 * not say. Envoy applies a weighted cluster's header operations before all others, so that none of them can take the header back.
 */
export function withoutPeer<T extends VirtualHost>(mesh: Mesh, node: ProxyNode, virtualHost: T): JsonObject {
  const silent = virtualHost.routes.map((route) => clustersOf(route).some((name) => leavesMesh(mesh, node, name)));
  if (!silent.includes(true)) return virtualHost;
  if (!silent.includes(false)) return dropping(virtualHost);
  return { ...virtualHost, routes: virtualHost.routes.map((route, i) => (silent[i] === true ? dropping(route) : route)) };
}

function dropping(level: JsonObject): JsonObject {
  const { requestHeadersToRemove = [] } = level as { requestHeadersToRemove?: string[] };
  return { ...level, requestHeadersToRemove: [...requestHeadersToRemove, PEER_HEADER] };
}

function clustersOf({ route }: JsonObject): string[] {
  const {
    cluster,
    weightedClusters,
    requestMirrorPolicies = [],
  } = (route ?? {}) as {
    cluster?: string;
    weightedClusters?: { clusters: { name: string }[] };
    requestMirrorPolicies?: { cluster: string }[];
  };
  const targets = cluster === undefined ? (weightedClusters?.clusters ?? []).map(({ name }) => name) : [cluster];
  return [...targets, ...requestMirrorPolicies.map((mirror) => mirror.cluster)];
}

/** A service counts as inside while one of its workloads has a sidecar, or before the first of them is there. */
function leavesMesh(mesh: Mesh, node: ProxyNode, cluster: string): boolean {
  const host = cluster.split('|')[3];
  const service = host === undefined ? undefined : serviceOf(mesh, host, node);
  // A cluster without a service's name is PassthroughCluster.
  if (service === undefined) return host === undefined;
  return service.entry?.external === true || isWithoutSidecars(mesh, service);
}

// Which other resources a listener, cluster or route config names.

import type { ClusterConfig, FilterChain, HttpConnectionManager, ListenerConfig, RouteConfig } from '../config/model.ts';

function chainsOf({ chains, defaultChain }: ListenerConfig): readonly FilterChain[] {
  return defaultChain === undefined ? chains : [...chains, defaultChain];
}

export function managersOf(listeners: Iterable<ListenerConfig>): HttpConnectionManager[] {
  return [...listeners].flatMap(chainsOf).flatMap((chain) => (chain.http === undefined ? [] : [chain.http]));
}

/** RDS names. */
export function routesNamedBy(listener: ListenerConfig): string[] {
  return managersOf([listener]).flatMap((manager) => ('rds' in manager.routes ? [manager.routes.rds] : []));
}

/** SDS names of the listener's TLS chains. */
export function secretsNamedBy(listener: ListenerConfig): string[] {
  return chainsOf(listener)
    .flatMap(({ tls }) => [...(tls?.certificateSecrets ?? []), tls?.validationSecret])
    .filter((name) => name !== undefined);
}

/** SDS names of the cluster's TLS settings. */
export function secretsOfCluster(cluster: ClusterConfig): string[] {
  return [cluster.tls, ...cluster.tlsMatches.map((m) => m.tls)]
    .flatMap((tls) => [tls?.certificateSecret, tls?.validationSecret])
    .filter((name) => name !== undefined);
}

/** Clusters a listener's TCP proxies and filters send to. */
export function clustersOfListener(listener: ListenerConfig): string[] {
  return chainsOf(listener).flatMap(({ tcp, guards = [], http }) => [
    ...(tcp?.clusters ?? []).map(({ name }) => name),
    ...guards.flatMap((guard) => (guard.kind === 'ext-authz' ? [guard.service.cluster] : [])),
    ...(http?.filters ?? []).flatMap((filter) => (filter.kind === 'ext-authz' ? [filter.config.service.cluster] : [])),
  ]);
}

/** Clusters a route config sends or mirrors to. */
export function clustersOf(routes: RouteConfig): string[] {
  return routes.virtualHosts
    .flatMap((host) => host.routes)
    .flatMap(({ action }) => (action.kind === 'forward' ? [...action.clusters.map((c) => c.name), ...action.mirrors.map((m) => m.cluster)] : []));
}

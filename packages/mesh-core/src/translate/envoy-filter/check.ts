// What Envoy would refuse after a patch, found before it is sent. Not all of it: Envoy has the last word, and its words are shown.

import { type DescMessage, type Message, toBinary } from '@bufbuild/protobuf';
import type { Cluster } from '../../gen/envoy/config/cluster/v3/cluster_pb.ts';
import { type Filter, type FilterChain, FilterChainMatchSchema } from '../../gen/envoy/config/listener/v3/listener_components_pb.ts';
import type { Listener } from '../../gen/envoy/config/listener/v3/listener_pb.ts';
import type { RouteConfiguration } from '../../gen/envoy/config/route/v3/route_pb.ts';
import type { HttpConnectionManager } from '../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { withManager } from './listener-patches.ts';

const ROUTER = /\/envoy\.extensions\.filters\.http\.router\.v3\.Router$/;
const TERMINAL = /\/envoy\.extensions\.filters\.network\.(http_connection_manager\.v3\.HttpConnectionManager|tcp_proxy\.v3\.TcpProxy)$/;

/** First thing wrong with it; undefined when nothing is. */
export function listenerFault(listener: Listener): string | undefined {
  const chains = listener.defaultFilterChain === undefined ? listener.filterChains : [...listener.filterChains, listener.defaultFilterChain];
  if (listener.name === '') return 'the listener has no name';
  if (listener.address === undefined) return `listener ${listener.name} has no address`;
  if (chains.length === 0) return `listener ${listener.name} has no filter chain left`;
  if (hasTwins(listener.filterChains.map((c) => (c.filterChainMatch === undefined ? '' : bytesOf(FilterChainMatchSchema, c.filterChainMatch)))))
    return `two filter chains of listener ${listener.name} have the same match`;
  for (const chain of chains) {
    const fault = chainFault(chain);
    if (fault !== undefined) return `listener ${listener.name}: ${fault}`;
  }
  return undefined;
}

function chainFault(chain: FilterChain): string | undefined {
  if (chain.filters.length === 0) return 'a filter chain has no filter left';
  const terminal = chain.filters.findIndex((f) => TERMINAL.test(typeOf(f)));
  if (terminal >= 0 && terminal < chain.filters.length - 1)
    return `network filter ${chain.filters.at(-1)?.name ?? ''} stands after ${chain.filters[terminal]?.name ?? ''}, which is the last to get a connection`;
  const unnamed = chain.filters.find((f) => f.name === '' || f.configType.case === undefined);
  if (unnamed !== undefined) return `network filter ${unnamed.name || '(without name)'} has no configuration`;
  let fault: string | undefined;
  for (const filter of chain.filters) withManager(filter, (manager) => (fault ??= managerFault(manager)));
  return fault;
}

function managerFault(manager: HttpConnectionManager): string | undefined {
  const filters = manager.httpFilters;
  const last = filters.at(-1);
  if (last === undefined) return 'the connection manager has no HTTP filter left';
  const unnamed = filters.find((f) => f.name === '' || f.configType.case === undefined);
  if (unnamed !== undefined) return `HTTP filter ${unnamed.name || '(without name)'} has no configuration`;
  const router = filters.findIndex((f) => f.configType.case === 'typedConfig' && ROUTER.test(f.configType.value.typeUrl));
  if (router < 0) return 'the connection manager has no router left';
  return router < filters.length - 1 ? `HTTP filter ${last.name} stands after the router, which must be the last` : undefined;
}

export function routesFault(config: RouteConfiguration): string | undefined {
  if (hasTwins(config.virtualHosts.map((h) => h.name))) return `two virtual hosts of ${config.name} have the same name`;
  if (hasTwins(config.virtualHosts.flatMap((h) => h.domains))) return `two virtual hosts of ${config.name} have the same domain`;
  for (const host of config.virtualHosts) {
    if (host.name === '') return `a virtual host of ${config.name} has no name`;
    if (host.domains.length === 0) return `virtual host ${host.name} has no domain`;
    const route = host.routes.find((r) => r.match?.pathSpecifier.case === undefined || r.action.case === undefined);
    if (route !== undefined) return `a route of virtual host ${host.name} has no ${route.action.case === undefined ? 'action' : 'match'}`;
  }
  return undefined;
}

export function clusterFault(cluster: Cluster): string | undefined {
  return cluster.name === '' ? 'the cluster has no name' : undefined;
}

function typeOf(filter: Filter): string {
  return filter.configType.case === 'typedConfig' ? filter.configType.value.typeUrl : '';
}

function hasTwins(keys: readonly string[]): boolean {
  return new Set(keys).size < keys.length;
}

function bytesOf(schema: DescMessage, message: Message): string {
  return toBinary(schema, message).join();
}

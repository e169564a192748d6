// LISTENER, LISTENER_FILTER, FILTER_CHAIN, NETWORK_FILTER and HTTP_FILTER patches, from the outside in.

import { fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type FilterChain,
  type Filter,
  FilterChainSchema,
  FilterSchema,
  ListenerFilterSchema,
} from '../../gen/envoy/config/listener/v3/listener_components_pb.ts';
import { type Listener, ListenerSchema } from '../../gen/envoy/config/listener/v3/listener_pb.ts';
import { TrafficDirection } from '../../gen/envoy/config/core/v3/base_pb.ts';
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
  HttpFilterSchema,
} from '../../gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import type { ProxyNode } from '../../model/index.ts';
import { isMerge, mergePatch, patchList, replaceAll, valueOf } from './lists.ts';
import { patchRouteConfiguration } from './route-patches.ts';
import { type Direction, type Patch, fitsContext } from './select.ts';

const MANAGER = 'envoy.filters.network.http_connection_manager';
const OLD_NAMES: Readonly<Record<string, string>> = { 'envoy.http_connection_manager': MANAGER, 'envoy.tcp_proxy': 'envoy.filters.network.tcp_proxy' };

/** Patches a listener in place; false when it is to be removed. */
export function patchListener(listener: Listener, node: ProxyNode, all: readonly Patch[]): boolean {
  const direction: Direction = listener.trafficDirection === TrafficDirection.INBOUND ? 'inbound' : 'outbound';
  const patches = all.filter((p) => fitsContext(p.patch, node, direction) && fitsListener(p, listener, node));
  const of = (target: string): Patch[] => patches.filter((p) => p.patch.applyTo === target);
  for (const patch of of('LISTENER')) {
    if (patch.patch.patch.operation === 'REMOVE') return false;
    if (isMerge(patch)) mergePatch(ListenerSchema, listener, patch);
  }
  patchList(listener.listenerFilters, {
    schema: ListenerFilterSchema,
    patches: of('LISTENER_FILTER'),
    fits: (p, filter) => wantsName(p.patch.match?.listener?.listenerFilter, filter.name),
    names: (p) => hasText(p.patch.match?.listener?.listenerFilter),
  });
  patchChains(listener, of('FILTER_CHAIN'), node);
  const chains = listener.defaultFilterChain === undefined ? listener.filterChains : [...listener.filterChains, listener.defaultFilterChain];
  const inChain = { network: of('NETWORK_FILTER'), http: of('HTTP_FILTER'), routes: all.filter((p) => fitsContext(p.patch, node, direction)) };
  for (const chain of chains) patchChain(chain, inChain, { node, direction });
  return true;
}

/** New listeners of LISTENER ADD patches. */
export function addedListeners(node: ProxyNode, patches: readonly Patch[]): Listener[] {
  return patches
    .filter((p) => p.patch.applyTo === 'LISTENER' && p.patch.patch.operation === 'ADD')
    .map((p): [Patch, Listener] => [p, valueOf(p) as Listener])
    .filter(([p, listener]) => fitsContext(p.patch, node, listener.trafficDirection === TrafficDirection.INBOUND ? 'inbound' : 'outbound'))
    .map(([, listener]) => listener);
}

function patchChains(listener: Listener, patches: readonly Patch[], node: ProxyNode): void {
  for (const patch of patches) {
    const fits = (chain: FilterChain): boolean => fitsChain(patch, chain, node);
    if (patch.patch.patch.operation === 'REMOVE') {
      replaceAll(
        listener.filterChains,
        listener.filterChains.filter((chain) => !fits(chain)),
      );
      if (listener.defaultFilterChain !== undefined && fits(listener.defaultFilterChain)) delete listener.defaultFilterChain;
    } else if (isMerge(patch)) {
      for (const chain of listener.filterChains) if (fits(chain)) mergePatch(FilterChainSchema, chain, patch);
      if (listener.defaultFilterChain !== undefined && fits(listener.defaultFilterChain)) mergePatch(FilterChainSchema, listener.defaultFilterChain, patch);
    } else if (patch.patch.patch.operation === 'ADD') listener.filterChains.push(valueOf(patch) as FilterChain);
  }
}

function patchChain(
  chain: FilterChain,
  { network, http, routes }: { network: readonly Patch[]; http: readonly Patch[]; routes: readonly Patch[] },
  where: { node: ProxyNode; direction: Direction },
): void {
  const here = (patches: readonly Patch[]): Patch[] => patches.filter((p) => fitsChain(p, chain, where.node));
  const filterName = (p: Patch): string | undefined => p.patch.match?.listener?.filterChain?.filter?.name;
  patchList(chain.filters, {
    schema: FilterSchema,
    patches: here(network),
    fits: (p, filter) => wantsName(filterName(p), filter.name),
    names: (p) => hasText(filterName(p)),
  });
  const httpPatches = here(http);
  for (const filter of chain.filters)
    withManager(filter, (manager) => {
      const subFilter = (p: Patch): string | undefined => p.patch.match?.listener?.filterChain?.filter?.subFilter?.name;
      patchList(manager.httpFilters, {
        schema: HttpFilterSchema,
        patches: httpPatches.filter((p) => wantsName(filterName(p), filter.name)),
        fits: (p, httpFilter) => wantsName(subFilter(p), httpFilter.name),
        names: (p) => hasText(subFilter(p)),
      });
      if (manager.routeSpecifier.case === 'routeConfig') patchRouteConfiguration(manager.routeSpecifier.value, routes, where);
    });
}

/** Opens the connection manager of a filter, if it is one, and packs it again when it was changed. */
export function withManager(filter: Filter, change: (manager: HttpConnectionManager) => void): void {
  if (filter.configType.case !== 'typedConfig' || !filter.configType.value.typeUrl.endsWith(`/${HttpConnectionManagerSchema.typeName}`)) return;
  const any = filter.configType.value;
  const manager = fromBinary(HttpConnectionManagerSchema, any.value);
  change(manager);
  any.value = toBinary(HttpConnectionManagerSchema, manager);
}

function fitsListener({ patch }: Patch, listener: Listener, node: ProxyNode): boolean {
  const match = patch.match?.listener;
  if (match === undefined) return true;
  const port = portOf(listener.address);
  if (match.portNumber !== undefined && !portsKnownAs(node, port).includes(match.portNumber)) return false;
  if (hasText(match.portName) && !node.inbound.some((p) => p.listenPort === port && p.name === match.portName)) return false;
  // Istio has one inbound listener, Weft one per port of the workload.
  return !hasText(match.name) || match.name === listener.name || (match.name === 'virtualInbound' && listener.name.startsWith('virtualInbound_'));
}

/** Where it listens, and the Service's port it stands for: Istio's users know only that one. */
function portsKnownAs(node: ProxyNode, port: number): number[] {
  return [
    port,
    ...node.upstreams.filter((u) => u.listenPort === port).map((u) => u.port),
    ...node.inbound.filter((p) => p.listenPort === port).flatMap((p) => [p.servicePort, p.appPort]),
  ];
}

function portOf(address: Listener['address']): number {
  const socket = address?.address;
  return socket?.case === 'socketAddress' && socket.value.portSpecifier.case === 'portValue' ? socket.value.portSpecifier.value : 0;
}

function fitsChain({ patch }: Patch, chain: FilterChain, node: ProxyNode): boolean {
  const match = patch.match?.listener?.filterChain;
  if (match === undefined) return true;
  const own = chain.filterChainMatch;
  const ports = own?.destinationPort === undefined ? node.inbound.map((p) => p.servicePort) : [own.destinationPort];
  return (
    (!hasText(match.name) || match.name === chain.name) &&
    (!hasText(match.sni) || own?.serverNames.includes(match.sni) === true) &&
    (!hasText(match.transportProtocol) || own?.transportProtocol === match.transportProtocol) &&
    (!hasText(match.applicationProtocols) || match.applicationProtocols.split(',').every((p) => own?.applicationProtocols.includes(p.trim()) === true)) &&
    (match.destinationPort === undefined || ports.includes(match.destinationPort)) &&
    (match.filter === undefined || patch.applyTo !== 'FILTER_CHAIN' || chain.filters.some((f) => wantsName(match.filter?.name, f.name)))
  );
}

function hasText(text: string | undefined): text is string {
  return text !== undefined && text !== '';
}

function wantsName(wanted: string | undefined, name: string): boolean {
  return !hasText(wanted) || (OLD_NAMES[wanted] ?? wanted) === name;
}

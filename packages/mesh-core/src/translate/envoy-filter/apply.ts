// EnvoyFilters over what stock Envoy is sent. Each is applied as a whole or not at all.

import { type DescMessage, type Message, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type Cluster, ClusterSchema } from '../../gen/envoy/config/cluster/v3/cluster_pb.ts';
import type { TypedExtensionConfig } from '../../gen/envoy/config/core/v3/extension_pb.ts';
import { type Listener, ListenerSchema } from '../../gen/envoy/config/listener/v3/listener_pb.ts';
import { type RouteConfiguration, RouteConfigurationSchema } from '../../gen/envoy/config/route/v3/route_pb.ts';
import { type ProxyNode, refKey, refOf } from '../../model/index.ts';
import { type Resource, type ResourceSet, type TypeUrl, LayeredView, TYPE_URL, type View, bytesOf } from '../../xds/index.ts';
import { contentHash } from '../encode.ts';
import { serversOf } from '../gateways.ts';
import type { Mesh } from '../mesh.ts';
import { clusterFault, listenerFault, routesFault } from './check.ts';
import { addedClusters, patchCluster, patchesOfCluster } from './cluster-patches.ts';
import { addedListeners, patchListener, withManager } from './listener-patches.ts';
import { valueOf } from './lists.ts';
import { patchRouteConfiguration } from './route-patches.ts';
import { type Patch, envoyFiltersFor, patchesFor } from './select.ts';

/** What became of one EnvoyFilter on one proxy. */
export interface FilterOutcome {
  /** `EnvoyFilter/<namespace>/<name>` */
  filter: string;
  applied: boolean;
  /** Why not, with the field path. */
  reason?: string;
}

class PatchError extends Error {}

export function applyEnvoyFilters(mesh: Mesh, node: ProxyNode, set: ResourceSet): { resources: ResourceSet; outcomes: FilterOutcome[] } {
  let resources = set;
  const outcomes = envoyFiltersFor(mesh, node).map((filter): FilterOutcome => {
    const name = refKey(refOf(filter));
    const patches = patchesFor(filter, node);
    try {
      resources = applyPatches(mesh, node, resources, patches);
      return { filter: name, applied: true };
    } catch (error) {
      return { filter: name, applied: false, reason: `spec.configPatches[${culprit(mesh, node, resources, patches)}]: ${(error as Error).message}` };
    }
  });
  return { resources, outcomes };
}

/** Index of the first patch that makes a resource invalid. */
function culprit(mesh: Mesh, node: ProxyNode, set: ResourceSet, patches: readonly Patch[]): number {
  for (const [i, patch] of patches.entries()) {
    try {
      applyPatches(mesh, node, set, patches.slice(0, i + 1));
    } catch {
      return patch.index;
    }
  }
  return 0;
}

function applyPatches(mesh: Mesh, node: ProxyNode, set: ResourceSet, patches: readonly Patch[]): ResourceSet {
  if (patches.length === 0) return set;
  const has = (...targets: string[]): boolean => patches.some((p) => targets.includes(p.patch.applyTo));
  const ofRoutes = has('ROUTE_CONFIGURATION', 'VIRTUAL_HOST', 'HTTP_ROUTE');
  return {
    ...set,
    ...(ofRoutes || has('LISTENER', 'LISTENER_FILTER', 'FILTER_CHAIN', 'NETWORK_FILTER', 'HTTP_FILTER', 'EXTENSION_CONFIG')
      ? { [TYPE_URL.listener]: patchedListeners(node, set[TYPE_URL.listener], patches) }
      : {}),
    ...(ofRoutes ? { [TYPE_URL.route]: patchedRoutes(mesh, node, set[TYPE_URL.route], patches) } : {}),
    ...(has('CLUSTER') ? { [TYPE_URL.cluster]: patchedClusters(node, set[TYPE_URL.cluster], patches) } : {}),
  };
}

function patchedListeners(node: ProxyNode, view: View, patches: readonly Patch[]): View {
  const extensions = new Map(
    patches
      .filter((p) => p.patch.applyTo === 'EXTENSION_CONFIG')
      .map((p) => valueOf(p) as TypedExtensionConfig)
      .map((e) => [e.name, e]),
  );
  const result = new Map<string, Resource>();
  const keep = (listener: Listener): void => {
    inlineExtensions(listener, extensions);
    refuse(listenerFault(listener));
    result.set(listener.name, encoded(TYPE_URL.listener, ListenerSchema, listener));
  };
  for (const resource of view.values()) {
    const listener = fromBinary(ListenerSchema, bytesOf(resource));
    if (patchListener(listener, node, patches)) keep(listener);
  }
  for (const listener of addedListeners(node, patches)) {
    if (result.has(listener.name)) throw new PatchError(`there is a listener ${listener.name} already`);
    keep(listener);
  }
  return result;
}

/** Filters that ask for their configuration by name get it here, in place of a discovery service of its own. */
function inlineExtensions(listener: Listener, extensions: ReadonlyMap<string, TypedExtensionConfig>): void {
  if (extensions.size === 0) return;
  for (const chain of listener.filterChains)
    for (const filter of chain.filters)
      withManager(filter, (manager) => {
        for (const httpFilter of manager.httpFilters) {
          const config = httpFilter.configType.case === 'configDiscovery' ? extensions.get(httpFilter.name)?.typedConfig : undefined;
          if (config !== undefined) httpFilter.configType = { case: 'typedConfig', value: config };
        }
      });
}

function patchedRoutes(mesh: Mesh, node: ProxyNode, view: View, patches: readonly Patch[]): View {
  const servers =
    node.role === 'router' ? serversOf(mesh, node).map(({ key, server: { port } }) => ({ key, port: port.number, portName: port.name })) : undefined;
  return new Map(
    [...view].map(([name, resource]) => {
      const config: RouteConfiguration = fromBinary(RouteConfigurationSchema, bytesOf(resource));
      // `http.<port>`, or `https.<port>.<port name>.<gateway>.<namespace>`
      const [, port = '', portName] = name.split('.');
      const gateways = servers?.filter(
        (s) => String(s.port) === port && (portName === undefined || (s.portName === portName && name.endsWith(`.${s.key.split('/').toReversed().join('.')}`))),
      );
      patchRouteConfiguration(config, patches, { node, direction: 'outbound', ...(gateways === undefined ? {} : { gateways }) });
      refuse(routesFault(config));
      return [name, encoded(TYPE_URL.route, RouteConfigurationSchema, config)];
    }),
  );
}

function patchedClusters(node: ProxyNode, view: View, patches: readonly Patch[]): View {
  const changed = new Map<string, Resource>();
  const removed = new Set<string>();
  for (const [name, resource] of view) {
    const wanted = patchesOfCluster(name, node, patches);
    if (wanted.length === 0) continue;
    const cluster: Cluster = fromBinary(ClusterSchema, bytesOf(resource));
    if (!patchCluster(cluster, wanted)) {
      removed.add(name);
      continue;
    }
    refuse(clusterFault(cluster));
    changed.set(cluster.name, encoded(TYPE_URL.cluster, ClusterSchema, cluster));
    if (cluster.name !== name) removed.add(name);
  }
  for (const cluster of addedClusters(node, patches)) {
    refuse(clusterFault(cluster));
    if (view.has(cluster.name)) throw new PatchError(`there is a cluster ${cluster.name} already`);
    changed.set(cluster.name, encoded(TYPE_URL.cluster, ClusterSchema, cluster));
  }
  if (removed.size === 0) return new LayeredView([changed, view]);
  return new Map([...changed, ...[...view].filter(([name]) => !removed.has(name) && !changed.has(name))]);
}

function refuse(fault: string | undefined): void {
  if (fault !== undefined) throw new PatchError(fault);
}

function encoded(typeUrl: TypeUrl, schema: DescMessage, message: Message & { name: string }): Resource {
  const body = toBinary(schema, message);
  return { typeUrl, name: message.name, version: contentHash(body), body };
}

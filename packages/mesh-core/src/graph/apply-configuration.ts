// Adds to the graph what configuration knows: versions without traffic, badges, sidecars.

import type { Badge, GraphNode, GraphType } from '../api/graph.ts';
import { grouped, type MeshObject } from '../model/index.ts';
import type { Catalog, CatalogService, CatalogWorkload } from './catalog.ts';
import { type End, workloadId } from './ends.ts';
import { mutualTlsOf, policySelects, type ServicePolicy } from './policies.ts';
import { ensureEdge, ensureNode, ensureServiceNode, hasEdge, type IsSplit, type Topology } from './topology.ts';

interface Configuration {
  graphType: GraphType;
  includeIdle: boolean;
  objects: readonly MeshObject[];
  catalog: Catalog;
  policies: ReadonlyMap<string, ServicePolicy>;
  isSplit: IsSplit;
}

/** What every node is looked up in: there are thousands of nodes and of objects. */
interface Decoration extends Configuration {
  peerAuthentications: readonly MeshObject[];
  authorizations: readonly MeshObject[];
  /** Workloads that are no gateways, by `<namespace>/<app>`. */
  apps: ReadonlyMap<string, readonly CatalogWorkload[]>;
}

/** Idle nodes and edges first (when asked for), then badges on every node. */
export function* applyConfiguration(topology: Topology, configuration: Configuration): Generator<void> {
  const { catalog, graphType } = configuration;
  if (configuration.includeIdle) {
    for (const workload of catalog.workloads.values()) {
      ensureNode(topology, endOf(workload, catalog), graphType, 'destination');
      yield;
    }
    for (const service of catalog.services.values()) {
      if (graphType === 'service') ensureServiceNode(topology, service);
      else if (graphType === 'versionedApp' && configuration.isSplit(service)) addSplit(topology, service, catalog);
      yield;
    }
  }
  const ofKind = (kind: string): MeshObject[] => configuration.objects.filter((o) => o.kind === kind);
  const decoration: Decoration = {
    ...configuration,
    peerAuthentications: ofKind('PeerAuthentication'),
    authorizations: ofKind('AuthorizationPolicy'),
    apps: grouped(
      [...catalog.workloads.values()].filter((w) => !w.gateway),
      (w) => `${w.namespace}/${w.app}`,
    ),
  };
  for (const node of topology.nodes.values()) {
    decorate(node, decoration);
    yield;
  }
}

function addSplit(topology: Topology, service: CatalogService, catalog: Catalog): void {
  const port = ensureServiceNode(topology, service);
  for (const workload of service.workloads) {
    const target = ensureNode(topology, endOf(workload, catalog), 'versionedApp', 'destination');
    if (!hasEdge(topology, port, target)) ensureEdge(topology, port, target, service.protocol).splitOf = service.host;
  }
}

function endOf(workload: CatalogWorkload, catalog: Catalog): End {
  const service = catalog.serviceOfWorkload.get(`${workload.namespace}/${workload.name}`);
  const id = workloadId(workload.namespace, workload.name, workload.gateway);
  return {
    namespace: workload.namespace,
    workload: workload.name,
    app: workload.app,
    workloadId: id,
    appId: workload.gateway ? id : `app:${workload.namespace}/${workload.app}`,
    known: workload,
    ...(workload.version === '' ? {} : { version: workload.version }),
    ...(service === undefined ? {} : { service }),
  };
}

function decorate(node: GraphNode, decoration: Decoration): void {
  const { catalog, policies, graphType, isSplit, peerAuthentications, authorizations } = decoration;
  const badges = new Set<Badge>(node.badges);
  if (node.kind === 'gateway') badges.add('gateway');
  const service = node.service === undefined ? undefined : catalog.servicesByHost.get(node.service);
  // In the versioned graph a divided service wears its badges on its own node, once, rather than on each version.
  const wearsService = node.kind === 'service' || !(service !== undefined && graphType === 'versionedApp' && isSplit(service));
  if (service !== undefined && wearsService) for (const badge of policies.get(service.host)?.badges ?? []) badges.add(badge);
  const members = membersOf(node, decoration, service);
  if (members.length > 0) {
    node.proxies = members.flatMap((workload) => workload.proxies);
    node.inMesh = members.every((workload) => workload.inMesh);
    if (members.every((workload) => mutualTlsOf(workload, peerAuthentications).mode === 'STRICT') && node.kind !== 'gateway') badges.add('strict-mtls');
    if (authorizations.some((o) => members.some((workload) => policySelects(o, workload)))) badges.add('authorization-policy');
    if (!node.inMesh) badges.add('missing-sidecar');
  }
  node.badges = [...badges];
}

function membersOf(node: GraphNode, { catalog, apps }: Decoration, service: CatalogService | undefined): readonly CatalogWorkload[] {
  if (node.kind === 'service') return service?.workloads ?? [];
  if (node.kind === 'app') return apps.get(`${node.namespace}/${node.app}`) ?? [];
  const workload = node.workload === undefined ? undefined : catalog.workloads.get(`${node.namespace}/${node.workload}`);
  return workload === undefined ? [] : [workload];
}

// Builds the console's service graph: rows of metrics and configuration in, a snapshot out. No I/O, no clock.

import type { GraphEdge, GraphNode, GraphSnapshot, GraphType, Health } from '../api/graph.ts';
import { HEALTH } from '../api/graph.ts';
import { atOnce, type MeshObject } from '../model/index.ts';
import { applyConfiguration } from './apply-configuration.ts';
import { assignBoxes } from './boxes.ts';
import { buildCatalog, type GraphProxy } from './catalog.ts';
import { deduplicate, isFolded } from './deduplicate.ts';
import { type EdgeStats, quantile } from './edge-stats.ts';
import { errorShare, healthOf, worse } from './health.ts';
import { servicePolicies, type ServicePolicy } from './policies.ts';
import { addRow, type EdgeBuild, mergeTraffic, noTraffic, type Topology, type Traffic } from './topology.ts';

export interface GraphInput {
  /** Unix ms of the window's end. */
  at: number;
  windowSec: number;
  graphType: GraphType;
  /** Also draw what configuration knows and what had traffic before the window (rows of zeros). */
  includeIdle: boolean;
  /** Nodes of other namespaces appear only as neighbours; empty = all. */
  namespaces: readonly string[];
  rows: readonly EdgeStats[];
  objects: readonly MeshObject[];
  proxies: readonly GraphProxy[];
  notes?: readonly string[];
}

/** Pure: equal input gives equal output, nodes and edges sorted by id. */
export function buildGraph(input: GraphInput): GraphSnapshot {
  return atOnce(graphSteps(input));
}

/** The same piece by piece: thousands of services take a tenth of a second. */
export function* graphSteps(input: GraphInput): Generator<void, GraphSnapshot> {
  const catalog = buildCatalog(input.objects, input.proxies);
  yield;
  const policies = servicePolicies(input.objects, catalog);
  yield;
  const topology: Topology = { nodes: new Map(), edges: new Map() };
  const versionsSeen = countVersions(input.rows);
  const isSplit = (service: { namespace: string; name: string }): boolean => {
    const key = `${service.namespace}/${service.name}`;
    return (catalog.services.get(key)?.workloads.length ?? 0) > 1 || (versionsSeen.get(key)?.size ?? 0) > 1;
  };
  const rows = input.rows.filter((row) => input.includeIdle || row.requests + row.bytes + row.connections > 0);
  for (const counted of deduplicate(rows)) addRow(topology, counted, input.graphType, catalog, isSplit);
  yield;
  yield* applyConfiguration(topology, { ...input, catalog, policies, isSplit });
  keepNamespaces(topology, input.namespaces);
  yield;

  const nodes = [...topology.nodes.values()].toSorted(byId);
  const edges = [...topology.edges.values()].toSorted((a, b) => byId(a.edge, b.edge));
  yield;
  const boxes = assignBoxes(nodes, input.graphType);
  yield;
  const sums = nodeSums(edges);
  yield;
  const folded = input.rows.reduce((sum, row) => sum + (isFolded(row) ? row.requests : 0), 0);
  return {
    at: input.at,
    windowSec: input.windowSec,
    graphType: input.graphType,
    boxes,
    nodes,
    edges: edges.map((build) => build.edge),
    nodeRows: nodes.map((node) => nodeRow(node, sums.get(node.id), input.windowSec, workloadHealth(node, catalog.workloads))),
    edgeRows: edges.map((build) => edgeRow(build, sums, policies, catalogNameOf(topology, build.edge.target), input.windowSec)),
    notes: [...(input.notes ?? []), ...(folded > 0 ? [`${folded} requests belong to label sets beyond the metric store's limit and are not drawn`] : [])],
  };
}

interface NodeSums {
  inbound: Traffic;
  outbound: Traffic;
  tcpIn: number;
  tcpOut: number;
}

function nodeSums(edges: readonly EdgeBuild[]): Map<string, NodeSums> {
  const sums = new Map<string, NodeSums>();
  const of = (id: string): NodeSums => {
    let entry = sums.get(id);
    if (entry === undefined) sums.set(id, (entry = { inbound: noTraffic(), outbound: noTraffic(), tcpIn: 0, tcpOut: 0 }));
    return entry;
  };
  for (const { edge, traffic } of edges) {
    mergeTraffic(of(edge.source).outbound, traffic);
    mergeTraffic(of(edge.target).inbound, traffic);
    if (edge.protocol !== 'tcp') continue;
    of(edge.source).tcpOut += traffic.bytes;
    of(edge.target).tcpIn += traffic.bytes;
  }
  return sums;
}

function nodeRow(node: GraphNode, sums: NodeSums | undefined, windowSec: number, configured: Health): number[] {
  const { inbound, outbound, tcpIn, tcpOut } = sums ?? { inbound: noTraffic(), outbound: noTraffic(), tcpIn: 0, tcpOut: 0 };
  // A gateway is the first to report, so its latency is that of what it calls.
  const histogram = inbound.histogram ?? (node.kind === 'gateway' ? outbound.histogram : undefined);
  return [
    inbound.answers.requests / windowSec,
    errorShare(inbound.answers),
    outbound.answers.requests / windowSec,
    errorShare(outbound.answers),
    quantile(histogram, 0.5),
    quantile(histogram, 0.95),
    quantile(histogram, 0.99),
    (tcpIn || tcpOut) / windowSec,
    HEALTH.indexOf(node.kind === 'unknown' || node.kind === 'external' ? 'unknown' : nodeHealth(node, inbound, outbound, configured)),
  ];
}

function nodeHealth(node: GraphNode, inbound: Traffic, outbound: Traffic, configured: Health): Health {
  // A service's node passes on what it gets: its outbound side is its inbound side seen again.
  const traffic = node.kind === 'service' ? trafficHealth(inbound) : worse(trafficHealth(inbound), trafficHealth(outbound));
  return worse(traffic, configured);
}

/** TCP has no answers to judge: traffic at all is healthy. */
function trafficHealth(traffic: Traffic): Health {
  return worse(healthOf(traffic.answers), traffic.bytes + traffic.connections > 0 ? 'healthy' : 'idle');
}

function workloadHealth(node: GraphNode, workloads: ReadonlyMap<string, { endpoints: number; healthy: number }>): Health {
  const known = node.workload === undefined ? undefined : workloads.get(`${node.namespace}/${node.workload}`);
  if (known === undefined || known.endpoints === 0 || known.healthy === known.endpoints) return 'idle';
  return known.healthy === 0 ? 'failing' : 'degraded';
}

function edgeRow(
  build: EdgeBuild,
  sums: ReadonlyMap<string, NodeSums>,
  policies: ReadonlyMap<string, ServicePolicy>,
  workload: string | undefined,
  windowSec: number,
): number[] {
  const { traffic, splitOf } = build;
  const siblings = splitOf === undefined ? 0 : (sums.get(build.edge.source)?.outbound.answers.requests ?? 0);
  const intended = splitOf === undefined || workload === undefined ? undefined : policies.get(splitOf)?.intended?.get(workload);
  return [
    traffic.answers.requests / windowSec,
    errorShare(traffic.answers),
    quantile(traffic.histogram, 0.5),
    quantile(traffic.histogram, 0.95),
    quantile(traffic.histogram, 0.99),
    siblings === 0 ? -1 : traffic.answers.requests / siblings,
    intended ?? -1,
    traffic.policyKnown === 0 ? -1 : traffic.policyMutual / traffic.policyKnown,
    traffic.bytes / windowSec,
    HEALTH.indexOf(trafficHealth(traffic)),
  ];
}

function catalogNameOf(topology: Topology, id: string): string | undefined {
  return topology.nodes.get(id)?.workload;
}

/** Workloads seen per service, so that an unconfigured second version still splits. */
function countVersions(rows: readonly EdgeStats[]): Map<string, Set<string>> {
  const seen = new Map<string, Set<string>>();
  for (const { labels } of rows) {
    const workload = labels['destination_workload'] ?? 'unknown';
    if (workload === 'unknown' || workload === 'other') continue;
    const key = `${labels['destination_service_namespace']}/${labels['destination_service_name']}`;
    const set = seen.get(key);
    if (set === undefined) seen.set(key, new Set([workload]));
    else set.add(workload);
  }
  return seen;
}

function keepNamespaces(topology: Topology, namespaces: readonly string[]): void {
  if (namespaces.length === 0) return;
  const wanted = new Set(namespaces);
  const isWanted = (id: string): boolean => wanted.has(topology.nodes.get(id)?.namespace ?? '');
  const kept = new Set<string>([...topology.nodes.keys()].filter(isWanted));
  for (const [id, { edge }] of topology.edges) {
    if (!isWanted(edge.source) && !isWanted(edge.target)) topology.edges.delete(id);
    else kept.add(edge.source).add(edge.target);
  }
  for (const id of topology.nodes.keys()) if (!kept.has(id)) topology.nodes.delete(id);
}

function byId(a: GraphNode | GraphEdge, b: GraphNode | GraphEdge): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

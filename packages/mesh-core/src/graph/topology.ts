// Nodes and edges under construction: created on first sight, filled with traffic, later with configuration.

import type { GraphEdge, GraphNode, GraphType } from '../api/graph.ts';
import type { Catalog } from './catalog.ts';
import { type CountedRow, isUnset } from './deduplicate.ts';
import { addBuckets, type Histogram } from './edge-stats.ts';
import { destinationEnd, type End, type ServiceIdentity, serviceNodeId, sourceEnd, UNKNOWN_ID } from './ends.ts';
import { addAnswers, type Answers, noAnswers, sumAnswers } from './health.ts';

export interface Traffic {
  answers: Answers;
  histogram: Histogram | undefined;
  bytes: number;
  connections: number;
  /** Requests (or connections) whose receiver said how they came, and those that came over mutual TLS. */
  policyKnown: number;
  policyMutual: number;
}

export interface EdgeBuild {
  edge: GraphEdge;
  traffic: Traffic;
  /** Host of the service when the edge goes from its node to one of its workloads. */
  splitOf?: string;
}

export interface Topology {
  nodes: Map<string, GraphNode>;
  edges: Map<string, EdgeBuild>;
}

export const noTraffic = (): Traffic => ({ answers: noAnswers(), histogram: undefined, bytes: 0, connections: 0, policyKnown: 0, policyMutual: 0 });

/** True when the service is drawn as a node of its own: it has more than one version to divide traffic between. */
export type IsSplit = (service: { namespace: string; name: string }) => boolean;

/** Adds the hop(s) of one row to the topology. */
export function addRow(topology: Topology, counted: CountedRow, type: GraphType, catalog: Catalog, isSplit: IsSplit): void {
  const source = sourceEnd(counted.row.labels, catalog);
  const target = destinationEnd(counted.row.labels, catalog);
  const from = ensureNode(topology, source, type, 'source');
  for (const [start, end] of path(topology, from, target, type, isSplit)) {
    const build = ensureEdge(topology, start, end, protocolOf(counted.row.labels));
    if (start !== from && target.service !== undefined) build.splitOf = target.service.host;
    addTraffic(build.traffic, counted);
  }
}

function path(topology: Topology, from: string, target: End, type: GraphType, isSplit: IsSplit): [string, string][] {
  const split = type === 'versionedApp' && target.service !== undefined && isSplit(target.service);
  if (!split || target.service === undefined) return [[from, ensureNode(topology, target, type, 'destination')]];
  const port = ensureServiceNode(topology, target.service);
  if (target.workloadId === undefined) return [[from, port]];
  return [[from, port], [port, ensureNode(topology, target, type, 'destination')]]; // prettier-ignore
}

export function ensureServiceNode(topology: Topology, service: ServiceIdentity): string {
  const id = serviceNodeId(service);
  if (!topology.nodes.has(id))
    topology.nodes.set(id, {
      id,
      kind: 'service',
      namespace: service.namespace,
      label: service.name,
      service: service.host,
      badges: [],
      inMesh: service.external !== true,
      proxies: [],
    });
  return id;
}

/** Adds the node an end stands for in this graph type and answers its id. */
export function ensureNode(topology: Topology, end: End, type: GraphType, side: 'source' | 'destination'): string {
  const gateway = end.workloadId?.startsWith('gw:') === true;
  if (type === 'service' && end.service !== undefined && !gateway) return ensureServiceNode(topology, end.service);
  const id = (type === 'app' ? (end.appId ?? end.serviceId) : (end.workloadId ?? end.serviceId)) ?? UNKNOWN_ID;
  if (id.startsWith('svc:') && end.service !== undefined) return ensureServiceNode(topology, end.service);
  if (topology.nodes.has(id)) return id;
  const base = { id, namespace: end.namespace, badges: [], proxies: end.known?.proxies ?? [] };
  const named = { ...(end.app === undefined ? {} : { app: end.app }), ...(end.service === undefined ? {} : { service: end.service.host }) };
  if (id === UNKNOWN_ID) topology.nodes.set(id, { ...base, kind: 'unknown', label: 'unknown', inMesh: false });
  else if (id.startsWith('ext:')) topology.nodes.set(id, { ...base, kind: 'external', label: id.slice(4), inMesh: false });
  else if (id.startsWith('app:'))
    topology.nodes.set(id, { ...base, ...named, kind: 'app', label: end.app ?? id, inMesh: end.known?.inMesh ?? side === 'source' });
  else {
    const workload = end.workload ?? id;
    const version = end.version === undefined ? {} : { version: end.version };
    topology.nodes.set(id, {
      ...base,
      ...named,
      ...version,
      kind: gateway ? 'gateway' : 'workload',
      label: workload,
      workload,
      inMesh: end.known?.inMesh ?? side === 'source',
    });
  }
  return id;
}

/** Whether there is one, whatever its protocol. */
export function hasEdge({ edges }: Topology, source: string, target: string): boolean {
  return PROTOCOLS.some((protocol) => edges.has(edgeId(source, target, protocol)));
}

export function ensureEdge(topology: Topology, source: string, target: string, protocol: GraphEdge['protocol']): EdgeBuild {
  const id = edgeId(source, target, protocol);
  let build = topology.edges.get(id);
  if (build === undefined) topology.edges.set(id, (build = { edge: { id, source, target, protocol }, traffic: noTraffic() }));
  return build;
}

const PROTOCOLS: readonly GraphEdge['protocol'][] = ['http', 'grpc', 'tcp'];

const edgeId = (source: string, target: string, protocol: GraphEdge['protocol']): string => `${source}>${target}:${protocol}`;

function protocolOf(labels: Readonly<Record<string, string>>): GraphEdge['protocol'] {
  const protocol = labels['request_protocol'];
  return protocol === 'grpc' || protocol === 'tcp' ? protocol : 'http';
}

/** Adds a counted row to a sum. */
export function addTraffic(into: Traffic, { row, extraErrors }: CountedRow): void {
  addAnswers(into.answers, row.labels, row.requests, extraErrors);
  into.histogram = row.buckets === undefined || row.buckets.length === 0 ? into.histogram : addBuckets(into.histogram, row);
  into.bytes += row.bytes;
  into.connections += row.connections;
  const policy = row.labels['connection_security_policy'];
  if (row.labels['reporter'] !== 'destination' || isUnset(policy)) return;
  // TCP rows without a new connection in the window still carry bytes: weigh those as one.
  const weight = row.requests + row.connections + (row.requests + row.connections === 0 && row.bytes > 0 ? 1 : 0);
  into.policyKnown += weight;
  if (policy === 'mutual_tls') into.policyMutual += weight;
}

/** Adds one sum to another. */
export function mergeTraffic(into: Traffic, other: Traffic): void {
  sumAnswers(into.answers, other.answers);
  if (other.histogram !== undefined) into.histogram = addBuckets(into.histogram, { buckets: other.histogram.counts, bounds: other.histogram.bounds });
  into.bytes += other.bytes;
  into.connections += other.connections;
  into.policyKnown += other.policyKnown;
  into.policyMutual += other.policyMutual;
}

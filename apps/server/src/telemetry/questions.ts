// The questions the API asks of the metrics, answered from increases per label set.

import type { GraphSnapshot, GraphType, Health, Series, SeriesQuery } from '@weft/mesh-core/api';
import {
  addTraffic,
  buildCatalog,
  type Catalog,
  deduplicate,
  type EdgeStats,
  errorShare,
  graphSteps,
  healthOf,
  noTraffic,
  quantile,
  rowMatcher,
  type Traffic,
} from '@weft/mesh-core/graph';
import type { WorkloadEntrySpec } from '@weft/mesh-core/config';
import { grouped, type MeshObject } from '@weft/mesh-core/model';
import type { ProxyStatus } from '@weft/mesh-core/api';
import { inTurns } from '../in-turns.ts';
import type { MetricStore } from './stores.ts';

export interface GraphQuery {
  /** Empty = all. */
  namespaces: string[];
  windowSec: number;
  graphType: GraphType;
  includeIdle: boolean;
}

export interface SplitQuery {
  /** `reviews.bookinfo.svc.cluster.local` */
  host: string;
  subsets: { name: string; labels: Record<string, string> }[];
  /** Unix ms to count from; a number below 10^11 is taken as an age in ms. */
  sinceMs: number;
}

export interface SubsetStats {
  subset: string;
  rps: number;
  requests: number;
  /** Share of requests, 0-1. */
  errors: number;
  /** ms, -1 = no sample. */
  p50: number;
  p95: number;
  p99: number;
}

export interface Asked {
  metrics: MetricStore;
  objects: () => readonly MeshObject[];
  proxies: () => readonly ProxyStatus[];
  /** Unix ms. */
  clock: () => number;
  startedAt: number;
}

/** Edges that were exported within this time are drawn as idle ones. */
const IDLE_EDGE_MS = 15 * 60_000;
const MAX_STEPS = 1_000;
const EPOCH_LIMIT = 1e11;

export async function graphOf(asked: Asked, query: GraphQuery, notes: readonly string[]): Promise<GraphSnapshot> {
  const at = asked.clock();
  const rows = asked.metrics.increases({ from: at - query.windowSec * 1_000, to: at, ...(query.includeIdle ? { idleMs: IDLE_EDGE_MS } : {}) });
  const input = { ...query, windowSec: secondsOf(asked, query.windowSec), at, rows, objects: asked.objects(), proxies: asked.proxies(), notes };
  return { ...(await inTurns(graphSteps(input))), windowSec: query.windowSec };
}

/** Of a window, those in which requests could be counted: rates would be too low until it is full. */
function secondsOf({ clock, startedAt }: Asked, windowSec: number): number {
  return Math.max(1, Math.min(windowSec, (clock() - startedAt) / 1_000));
}

/** Requests per subset, counted at one end of each hop; workloads no subset selects are left out. */
export function splitStatsOf(asked: Asked, query: SplitQuery): SubsetStats[] {
  const at = asked.clock();
  const from = query.sinceMs < EPOCH_LIMIT ? at - query.sinceMs : query.sinceMs;
  const rows = deduplicate(asked.metrics.increases({ from, to: at, match: toHost(query.host) }));
  const configured = labelsOfWorkloads(asked.objects(), new Set(rows.map(({ row }) => workloadOf(row))));
  const seconds = Math.max(1, (at - Math.max(from, asked.startedAt)) / 1_000);
  return query.subsets.map(({ name, labels }) => {
    const traffic = noTraffic();
    for (const counted of rows) if (isMember(counted.row, labels, configured)) addTraffic(traffic, counted);
    return {
      subset: name,
      rps: traffic.answers.requests / seconds,
      requests: traffic.answers.requests,
      errors: errorShare(traffic.answers),
      ...quantilesOf(traffic),
    };
  });
}

export interface ServiceStats {
  rps: number;
  /** Share of requests, 0-1. */
  errors: number;
  /** ms, -1 = no sample. */
  p95: number;
  /** Per second. */
  tcpBytes: number;
  /** By the rules of the graph. */
  health: Health;
}

/** What arrives at each service, by its host: rows are looked through once for all of them. */
export function serviceStatsIn(asked: Asked, windowSec: number): (host: string) => ServiceStats {
  const at = asked.clock();
  const rows = asked.metrics.increases({ from: at - windowSec * 1_000, to: at });
  const byHost = grouped(rows, ({ labels }) => labels['destination_service']);
  const byName = grouped(rows, ({ labels }) => nameOf(labels));
  const seconds = secondsOf(asked, windowSec);
  return (host) => statsOf([...new Set([...(byHost.get(host) ?? []), ...(byName.get(shortOf(host)) ?? [])])], seconds);
}

function statsOf(rows: readonly EdgeStats[], seconds: number): ServiceStats {
  const traffic = sum(rows.filter((row) => !isTcp(row.labels)));
  const tcp = sum(rows.filter((row) => isTcp(row.labels)));
  const health = healthOf(traffic.answers);
  return {
    rps: traffic.answers.requests / seconds,
    errors: errorShare(traffic.answers),
    p95: quantile(traffic.histogram, 0.95),
    tcpBytes: tcp.bytes / seconds,
    health: health === 'idle' && tcp.bytes + tcp.connections > 0 ? 'healthy' : health,
  };
}

/** One value per step, of the step that ends at the time; more than 1,000 steps are widened to 1,000. */
export function seriesOf(asked: Asked, query: SeriesQuery): Series {
  const stepMs = Math.max(query.stepMs, Math.ceil((query.end - query.start) / MAX_STEPS));
  const belongs = rowMatcher(query.of, catalogOf(asked));
  const memo = new Map<Readonly<Record<string, string>>, boolean>();
  const match = (labels: Readonly<Record<string, string>>): boolean => {
    let known = memo.get(labels);
    if (known === undefined) memo.set(labels, (known = isTcp(labels) === (query.metric === 'tcpBytes') && belongs(labels)));
    return known;
  };
  const times: number[] = [];
  const lines = new Map<string, (number | null)[]>();
  for (let time = query.start + stepMs; time <= query.end; time += stepMs) {
    const groups = new Map<string, Traffic>();
    for (const counted of deduplicate(asked.metrics.increases({ from: time - stepMs, to: time, match, buckets: query.metric.startsWith('p') }))) {
      const name = lineOf(counted.row, query.by);
      let traffic = groups.get(name);
      if (traffic === undefined) groups.set(name, (traffic = noTraffic()));
      addTraffic(traffic, counted);
    }
    for (const name of groups.keys())
      if (!lines.has(name))
        lines.set(
          name,
          times.map((earlier) => emptyValue(asked, query, earlier)),
        );
    for (const [name, values] of lines) {
      const traffic = groups.get(name);
      values.push(traffic === undefined ? emptyValue(asked, query, time) : valueOf(traffic, query.metric, stepMs));
    }
    times.push(time);
  }
  return { times, lines: [...lines].map(([name, values]) => ({ name, values })).toSorted(byLine) };
}

/** Lines have their colours by place: what has no name takes the last, so that v1 is everywhere the first. */
function byLine({ name: a }: { name: string }, { name: b }: { name: string }): number {
  return Number(a === 'unknown') - Number(b === 'unknown') || (a < b ? -1 : 1);
}

/** No requests are a rate of 0, but only while the store was listening; they have no error share and no latency. */
function emptyValue(asked: Asked, query: SeriesQuery, time: number): number | null {
  return (query.metric === 'rps' || query.metric === 'tcpBytes') && time >= asked.startedAt && time <= asked.clock() + query.stepMs ? 0 : null;
}

function valueOf(traffic: Traffic, metric: SeriesQuery['metric'], stepMs: number): number | null {
  if (metric === 'rps') return (traffic.answers.requests * 1_000) / stepMs;
  if (metric === 'tcpBytes') return (traffic.bytes * 1_000) / stepMs;
  if (metric === 'errors') return traffic.answers.requests + traffic.answers.noResponse === 0 ? null : errorShare(traffic.answers);
  const value = quantile(traffic.histogram, { p50: 0.5, p95: 0.95, p99: 0.99 }[metric]);
  return value < 0 ? null : value;
}

function isTcp(labels: Readonly<Record<string, string>>): boolean {
  return labels['request_protocol'] === 'tcp';
}

function lineOf({ labels }: EdgeStats, by: SeriesQuery['by']): string {
  if (by === 'version') return labels['destination_version'] ?? 'unknown';
  if (by === 'code') return labels['response_code'] ?? 'unknown';
  return by === 'source' ? (labels['source_workload'] ?? 'unknown') : 'all';
}

function catalogOf(asked: Asked): Catalog {
  return buildCatalog(asked.objects(), asked.proxies());
}

function toHost(host: string): (labels: Labels) => boolean {
  const short = shortOf(host);
  return (labels) => labels['destination_service'] === host || nameOf(labels) === short;
}

/** `<name>.<namespace>` */
const shortOf = (host: string): string => host.split('.', 2).join('.');
const nameOf = (labels: Labels): string => `${labels['destination_service_name']}.${labels['destination_service_namespace']}`;

type Labels = Readonly<Record<string, string>>;

/** `<namespace>/<name>` of the workload that is called. */
function workloadOf({ labels }: EdgeStats): string {
  return `${labels['destination_workload_namespace']}/${labels['destination_workload']}`;
}

/** Of some workloads, those that are configured: of thousands few are asked for at a time. */
function labelsOfWorkloads(objects: readonly MeshObject[], wanted: ReadonlySet<string>): Map<string, Labels> {
  const found = new Map<string, Labels>();
  for (const { kind, metadata, spec } of objects) {
    const key = `${metadata.namespace}/${metadata.name}`;
    if (kind === 'WorkloadEntry' && wanted.has(key)) found.set(key, (spec as WorkloadEntrySpec).labels ?? metadata.labels ?? {});
  }
  return found;
}

/** A subset selects workloads by their labels; metrics carry app and version of them, configuration the rest. */
function isMember(row: EdgeStats, wanted: Labels, configured: ReadonlyMap<string, Labels>): boolean {
  const { labels } = row;
  const known = configured.get(workloadOf(row));
  return Object.entries(wanted).every(([key, value]) => {
    if (known !== undefined) return known[key] === value;
    if (key === 'version') return labels['destination_version'] === value;
    return key === 'app' && labels['destination_app'] === value;
  });
}

function sum(rows: readonly EdgeStats[]): Traffic {
  const traffic = noTraffic();
  for (const counted of deduplicate(rows)) addTraffic(traffic, counted);
  return traffic;
}

function quantilesOf(traffic: Traffic): { p50: number; p95: number; p99: number } {
  return { p50: quantile(traffic.histogram, 0.5), p95: quantile(traffic.histogram, 0.95), p99: quantile(traffic.histogram, 0.99) };
}

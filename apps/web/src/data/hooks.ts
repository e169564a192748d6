// React's view of the API: live topics as state, everything else as queries.

import {
  type GraphSnapshot,
  type ProxyStatus,
  type Status,
  type TrafficSplit,
  configListSchema,
  graphSnapshotSchema,
  problemListSchema,
  proxyListSchema,
  revisionListSchema,
  securitySchema,
  seriesSchema,
  serviceDetailSchema,
  serviceListSchema,
  statusSchema,
} from '@weft/mesh-core/api';
import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { request } from './client.ts';
import { applyGraphDelta } from './graph-frames.ts';
import { type LiveClient, type LiveState, createLiveClient } from './live.ts';
import { useSettings } from './settings.ts';

/** Spans come from every proxy once a second: younger traces are not whole yet. */
export const TRACE_SETTLE_MS = 2_500;

let client: LiveClient | undefined;
function live(): LiveClient {
  client ??= createLiveClient({
    connect: () => new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/api/v1/live`),
    random: Math.random,
    setTimeout: (run, ms) => setTimeout(run, ms),
  });
  return client;
}

/** State of the live channel. */
export function useLiveState(): LiveState {
  const [state, setState] = useState<LiveState>('connecting');
  useEffect(() => {
    const stop = live().watch(setState);
    return () => void stop();
  }, []);
  return state;
}

/** The graph of the chosen namespace and window; holds still while paused. */
export function useLiveGraph(graphType: GraphSnapshot['graphType'], includeIdle: boolean): { graph: GraphSnapshot | undefined; error: string | undefined } {
  const { namespace, windowSec, paused } = useSettings();
  const [graph, setGraph] = useState<GraphSnapshot>();
  const [error, setError] = useState<string>();
  useEffect(() => {
    if (paused) return;
    return live().subscribe(
      { topic: 'graph', windowSec, graphType, includeIdle, ...(namespace === '' ? {} : { namespaces: [namespace] }) },
      (frame) => {
        if (frame.topic !== 'graph') return;
        if (frame.type === 'snapshot') setGraph(frame.data);
        else setGraph((held) => held && applyGraphDelta(held, frame.data));
      },
      setError,
    );
  }, [namespace, windowSec, graphType, includeIdle, paused]);
  return { graph, error };
}

/** The split of one service, once a second and at every change. */
export function useLiveSplit(namespace: string, service: string): { split: TrafficSplit | undefined; error: string | undefined } {
  const [split, setSplit] = useState<TrafficSplit>();
  const [error, setError] = useState<string>();
  useEffect(() => {
    return live().subscribe({ topic: 'split', namespace, service }, (frame) => frame.topic === 'split' && setSplit(frame.data), setError);
  }, [namespace, service]);
  return { split, error };
}

/** The server's state, kept by the live channel. */
export function useStatus(): Status | undefined {
  const queries = useQueryClient();
  const query = useQuery({ queryKey: ['status'], queryFn: ({ signal }) => request(statusSchema, '/status', { signal }) });
  useEffect(() => live().subscribe({ topic: 'status' }, (frame) => frame.topic === 'status' && queries.setQueryData(['status'], frame.data)), [queries]);
  return query.data;
}

/** All proxies, kept by the live channel. */
export function useProxies() {
  const queries = useQueryClient();
  const query = useQuery({ queryKey: ['proxies'], queryFn: async ({ signal }) => (await request(proxyListSchema, '/proxies', { signal })).items });
  useEffect(
    () =>
      live().subscribe({ topic: 'proxies' }, (frame) => {
        if (frame.topic !== 'proxies') return;
        if (frame.type === 'snapshot') queries.setQueryData(['proxies'], frame.data);
        else {
          const { changed, removed } = frame.data;
          const gone = new Set([...removed, ...changed.map((p) => p.id)]);
          queries.setQueryData(['proxies'], (held: ProxyStatus[] = []) =>
            [...held.filter((p) => !gone.has(p.id)), ...changed].sort((a, b) => a.id.localeCompare(b.id)),
          );
        }
      }),
    [queries],
  );
  return query;
}

/** How often lists and charts ask again; never while paused. */
function useRefresh(): number | false {
  return useSettings((s) => s.paused) ? false : 5_000;
}
export function useServices() {
  const windowSec = useSettings((s) => s.windowSec);
  return useQuery({
    queryKey: ['services', windowSec],
    queryFn: ({ signal }) => request(serviceListSchema, `/mesh/services?windowSec=${windowSec}`, { signal }),
    placeholderData: keepPreviousData,
    refetchInterval: useRefresh(),
  });
}
/** One service with the objects that have to do with it. */
export function useService(namespace: string, name: string) {
  const windowSec = useSettings((s) => s.windowSec);
  return useQuery({
    queryKey: ['service', namespace, name, windowSec],
    queryFn: ({ signal }) =>
      request(serviceDetailSchema, `/mesh/services/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}?windowSec=${windowSec}`, { signal }),
    placeholderData: keepPreviousData,
    refetchInterval: useRefresh(),
    retry: false,
  });
}
/** The graph as one answer, for lists. */
export function useGraph(graphType: GraphSnapshot['graphType']) {
  const windowSec = useSettings((s) => s.windowSec);
  return useQuery({
    queryKey: ['graph', graphType, windowSec],
    queryFn: ({ signal }) => request(graphSnapshotSchema, `/graph?windowSec=${windowSec}&graphType=${graphType}`, { signal }),
    placeholderData: keepPreviousData,
    refetchInterval: useRefresh(),
  });
}
export const useSecurity = () =>
  useQuery({ queryKey: ['security'], queryFn: ({ signal }) => request(securitySchema, '/security', { signal }), refetchInterval: 10_000 });
export const useProblems = () =>
  useQuery({ queryKey: ['problems'], queryFn: ({ signal }) => request(problemListSchema, '/problems', { signal }), refetchInterval: 5_000 });
export const useConfigList = () =>
  useQuery({ queryKey: ['config'], queryFn: ({ signal }) => request(configListSchema, '/config', { signal }), refetchInterval: 5_000 });
export const useRevisions = () =>
  useQuery({ queryKey: ['revisions'], queryFn: ({ signal }) => request(revisionListSchema, '/revisions?limit=30', { signal }), refetchInterval: 5_000 });

export type Metric = 'rps' | 'errors' | 'p50' | 'p95' | 'p99' | 'tcpBytes';
/** One figure of a graph node, an edge (`edge:<id>`) or, of '', the whole mesh, over the chosen range but five minutes at least. */
export function useSeries(metric: Metric, of: string, by: 'none' | 'version' | 'code' | 'source') {
  const windowSec = Math.max(
    300,
    useSettings((s) => s.windowSec),
  );
  return useQuery({
    queryKey: ['series', metric, of, by, windowSec],
    queryFn: ({ signal }) => {
      const end = Date.now();
      const query = new URLSearchParams({
        metric,
        by,
        start: String(end - windowSec * 1_000),
        end: String(end),
        stepMs: String(Math.max(5, windowSec / 90) * 1_000),
      });
      if (of !== '') query.set('of', of);
      return request(seriesSchema, `/series?${query}`, { signal });
    },
    placeholderData: keepPreviousData,
    refetchInterval: useRefresh(),
  });
}

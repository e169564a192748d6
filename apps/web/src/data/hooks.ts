// React's view of the API: live topics as state, everything else as queries.

import {
  type GraphSnapshot,
  type ProxyStatus,
  type Status,
  type TrafficSplit,
  configListSchema,
  proxyListSchema,
  revisionListSchema,
  seriesSchema,
  serviceListSchema,
  statusSchema,
} from '@weft/mesh-core/api';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { request } from './client.ts';
import { applyGraphDelta } from './graph-frames.ts';
import { type LiveClient, type LiveState, createLiveClient } from './live.ts';
import { useSettings } from './settings.ts';

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
export function useLiveGraph(graphType: GraphSnapshot['graphType']): { graph: GraphSnapshot | undefined; error: string | undefined } {
  const { namespace, windowSec, paused } = useSettings();
  const [graph, setGraph] = useState<GraphSnapshot>();
  const [error, setError] = useState<string>();
  useEffect(() => {
    if (paused) return;
    return live().subscribe(
      { topic: 'graph', windowSec, graphType, ...(namespace === '' ? {} : { namespaces: [namespace] }) },
      (frame) => {
        if (frame.topic !== 'graph') return;
        if (frame.type === 'snapshot') setGraph(frame.data);
        else setGraph((held) => held && applyGraphDelta(held, frame.data));
      },
      setError,
    );
  }, [namespace, windowSec, graphType, paused]);
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

export const useServices = () =>
  useQuery({ queryKey: ['services'], queryFn: ({ signal }) => request(serviceListSchema, '/mesh/services', { signal }), refetchInterval: 5_000 });
export const useConfigList = () =>
  useQuery({ queryKey: ['config'], queryFn: ({ signal }) => request(configListSchema, '/config', { signal }), refetchInterval: 5_000 });
export const useRevisions = () =>
  useQuery({ queryKey: ['revisions'], queryFn: ({ signal }) => request(revisionListSchema, '/revisions?limit=30', { signal }), refetchInterval: 5_000 });
/** Five minutes of one figure of a graph node or edge, refreshed every 5 s. */
export function useSeries(metric: 'rps' | 'p95' | 'errors', of: string, by: 'none' | 'version' | 'code') {
  return useQuery({
    queryKey: ['series', metric, of, by],
    queryFn: ({ signal }) => {
      const end = Date.now();
      const query = new URLSearchParams({ metric, of, by, start: String(end - 300_000), end: String(end), stepMs: '5000' });
      return request(seriesSchema, `/series?${query}`, { signal });
    },
    refetchInterval: 5_000,
  });
}

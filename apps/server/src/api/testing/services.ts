// The API on a real journal, with a control plane and telemetry that tests steer.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GraphSnapshot, Propagation, ProxyStatus } from '@weft/mesh-core/api';
import { DEFAULT_MESH_SETTINGS } from '@weft/mesh-core/model';
import type { FastifyInstance } from 'fastify';
import { openJournalStore } from '../../config-store/journal-store.ts';
import { createApp } from '../app.ts';
import type { SubsetStats } from '../../telemetry/questions.ts';
import type { ApiServices } from '../services.ts';

export const REVIEWS_YAML = `apiVersion: v1
kind: Service
metadata: { name: reviews, namespace: bookinfo }
spec:
  selector: { app: reviews }
  ports: [{ name: http, port: 9080 }]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: reviews, namespace: bookinfo }
spec:
  host: reviews
  subsets:
    - { name: v1, labels: { version: v1 } }
    - { name: v2, labels: { version: v2 } }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: reviews, namespace: bookinfo }
spec:
  hosts: [reviews]
  http:
    - route:
        # the old one
        - destination: { host: reviews, subset: v1 }
          weight: 80
        - destination: { host: reviews, subset: v2 }
          weight: 20
`;

export interface TestApi {
  app: FastifyInstance;
  services: ApiServices;
  graph: GraphSnapshot;
  proxies: ProxyStatus[];
  propagation: Map<string, Propagation>;
  splitStats: SubsetStats[];
  /** As the control plane tells a change. */
  changed(change: { proxies: string[]; revisions: string[] }): void;
  close(): Promise<void>;
}

export async function startTestApi(overrides: Partial<ApiServices> = {}): Promise<TestApi> {
  const dir = mkdtempSync(join(tmpdir(), 'weft-api-'));
  const store = await openJournalStore({ dir, now: Date.now, log: () => undefined });
  const listeners = new Set<(c: { proxies: readonly string[]; revisions: readonly string[] }) => void>();
  const test = {
    graph: { at: 1, windowSec: 30, graphType: 'versionedApp', boxes: [], nodes: [], edges: [], nodeRows: [], edgeRows: [], notes: [] },
    proxies: [],
    propagation: new Map(),
    splitStats: [],
    changed: (change) => listeners.forEach((listener) => listener(change)),
  } as Partial<TestApi> as TestApi;
  test.services = {
    store,
    controlPlane: {
      proxies: () => test.proxies,
      propagation: (revision) => test.propagation.get(revision),
      preview: (changes) =>
        changes.map((c) => ({ proxyId: 'sidecar~1', workload: c.object.metadata.name, namespace: c.object.metadata.namespace, types: ['route'] })),
      configDump: (id) => (id === 'sidecar~1' ? { route: [{ name: '9080' }] } : undefined),
      connections: () =>
        test.proxies.map((status) => ({
          status,
          peerAddress: '127.0.0.1:1',
          nonces: Object.fromEntries(status.types.map((t) => [t.type, { sent: '2', acked: '1' }])),
        })),
      loads: () => [],
      waiting: () => 0,
      metrics: async () => 'pilot_xds_pushes{type="cds"} 1\n',
      onChange: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      start: async () => undefined,
      stop: async () => undefined,
    },
    telemetry: {
      graph: async () => test.graph,
      splitStats: () => test.splitStats,
      series: () => ({ times: [], lines: [] }),
      findTraces: () => ({ traces: [], total: 0, truncated: false }),
      trace: () => undefined,
      traceServices: () => [],
      serviceStats: () => () => ({ rps: 10, errors: 0, p95: 5, tcpBytes: 0, health: 'healthy' }),
    },
    settings: DEFAULT_MESH_SETTINGS,
    now: Date.now,
    log: () => undefined,
    version: 'test',
    startedAt: 0,
    serverId: 'server-1',
    host: '127.0.0.1',
    joinGrant: (request) => ({ token: `for ${request.workload}` }),
    ...overrides,
  };
  test.app = await createApp(test.services);
  test.close = async () => {
    await test.app.close();
    await store.close();
    rmSync(dir, { recursive: true, force: true });
  };
  return test;
}

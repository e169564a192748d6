// What the API needs of the other rooms, as narrow interfaces: tests give small implementations, main.ts the real ones.

import type { GraphSnapshot, GraphType, Load, Series, SeriesQuery, Trace, TraceQuery, TraceSummary } from '@weft/mesh-core/api';
import type { ConnectedProxy } from '@weft/mesh-core/config';
import type { MeshObject, MeshSettings, Problem } from '@weft/mesh-core/model';
import type { ConfigStore } from '../config-store/config-store.ts';
import type { ControlPlane } from '../control-plane/control-plane.ts';
import type { ServiceStats, SubsetStats } from '../telemetry/questions.ts';

interface TelemetryQueries {
  graph(q: { namespaces: string[]; windowSec: number; graphType: GraphType; includeIdle: boolean }): Promise<GraphSnapshot>;
  /** `sinceMs` = Unix ms; `subsets` are told apart by the labels the DestinationRule selects. */
  splitStats(q: { host: string; subsets: { name: string; labels: Record<string, string> }[]; sinceMs: number }): SubsetStats[];
  series(q: SeriesQuery): Series;
  findTraces(q: TraceQuery): { traces: TraceSummary[]; total: number; truncated: boolean };
  trace(id: string): Trace | undefined;
  traceServices(): { name: string; operations: string[] }[];
  serviceStats(windowSec: number): (host: string) => ServiceStats;
}

interface JoinTokenRequest {
  namespace: string;
  workload: string;
  serviceAccount: string;
}

export interface ApiServices {
  store: ConfigStore;
  controlPlane: ControlPlane;
  telemetry: TelemetryQueries;
  settings: MeshSettings;
  /** Unix ms. */
  now: () => number;
  version: string;
  startedAt: number;
  /** New at each start of the server. */
  serverId: string;
  /** Address the API listens on, 127.0.0.1 unless told: when loopback, only loopback Host headers are answered. */
  host?: string;
  /** Failures behind a 5xx answer; standard error unless told. */
  log?: (message: string) => void;
  /** Directory of the built console; absent or missing = no console is served. */
  consoleDir?: string;
  /** Absent = no demo runs. */
  load?: { get: () => Promise<Load>; set: (rps: number) => Promise<Load> };
  /** What a program needs to join: a token bound to namespace, workload and service account, root, addresses. */
  joinGrant?: (request: JoinTokenRequest) => unknown;
}

/** As the routes use them: everything optional that has a default is there. */
export type ReadyServices = ApiServices &
  Required<Pick<ApiServices, 'host' | 'log'>> & {
    /** Shared: it remembers what it has looked at. */
    analyze: (objects: readonly MeshObject[], proxies: readonly ConnectedProxy[]) => Promise<readonly Problem[]>;
  };

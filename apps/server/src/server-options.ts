// What one server process is started with: written by the supervisor as JSON, read by main.ts.

import type { MeshSettings } from '@weft/mesh-core/model';

export interface ServerOptions {
  stateDir: string;
  host: string;
  port: number;
  xdsPort: number;
  xdsTlsPort: number;
  /** xDS connections end after this long, ±10 %, and come back; absent = never. Spreads proxies over replicas. */
  xdsMaxConnectionAgeMs?: number;
  otlpGrpcPort: number;
  otlpHttpPort: number;
  settings: MeshSettings;
  /** Control URL of the demo's load generator; absent = no demo. */
  demoControlUrl?: string;
  /** Where spans are sent on to; absent = kept here only. */
  traceExport?: { kind: 'jaeger' | 'otlp'; endpoint: string };
  /** Directory of the built console. */
  consoleDir: string;
}

/**
 * Environment of the server process, for glibc (others ignore it): blocks of 40 KB and more go back to the system when they are
 * free. What a thousand proxies ask and are told as they connect otherwise leaves a heap of holes that is never used again. Mapping
 * the smaller blocks of connections too (20 KB) and V8's zones (32 KB) cost a quarter of the CPU (docs/benchmarks-notes.md).
 */
export const SERVER_ENV = { MALLOC_MMAP_THRESHOLD_: '40000', MALLOC_TOP_PAD_: '16384', MALLOC_TRIM_THRESHOLD_: '131072', MALLOC_ARENA_MAX: '2' } as const;

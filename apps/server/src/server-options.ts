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
 * Environment of the server process, for glibc (others ignore it): blocks of 20 KB and more (of what connections read)
 * go back to the system when they are free. A thousand proxies that come back otherwise leave a heap of holes that is never used again.
 * The heap grows by little, else such blocks would be cut from its end. At 16 KB every read of an answer would be a mapping: a fifth more CPU.
 */
export const SERVER_ENV = { MALLOC_MMAP_THRESHOLD_: '20480', MALLOC_TOP_PAD_: '16384', MALLOC_TRIM_THRESHOLD_: '131072', MALLOC_ARENA_MAX: '2' } as const;

/**
 * Flags of node for the server process. The young generation of 48 MB that V8 would keep makes nothing faster here; and what a
 * thousand first connects leave behind is half-empty pages, which a full collection closes up only when told to.
 */
export const SERVER_FLAGS = ['--max-semi-space-size=4', '--compact-on-every-full-gc'] as const;

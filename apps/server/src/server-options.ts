// What one server process is started with: written by the supervisor as JSON, read by main.ts.

import type { MeshSettings } from '@weft/mesh-core/model';

export interface ServerOptions {
  stateDir: string;
  host: string;
  port: number;
  xdsPort: number;
  xdsTlsPort: number;
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

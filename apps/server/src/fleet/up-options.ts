// Flags of `weft up` with their environment twins, checked before anything starts.

import { join } from 'node:path';
import { writerOf } from '../config-store/journal-file.ts';
import { isFree } from '../agent/ports.ts';
import { StartError } from '../agent/errors.ts';
import { openStateDirectory } from '../agent/state-directory.ts';

export interface UpOptions {
  port: number;
  xdsPort: number;
  xdsTlsPort: number;
  otlpGrpcPort: number;
  otlpHttpPort: number;
  gatewayPort: number;
  portBase: number;
  stateDir: string;
  /** Requests a second of the demo's load generator. */
  load: number;
  /** Workloads whose sidecar is stock Envoy (`reviews-v2`). */
  envoy: readonly string[];
  /** All sidecars and the gateway on stock Envoy. */
  dataPlane: 'embedded' | 'envoy';
  /** Two Envoys a workload: see EnvoyOptions.secondAdminPort. */
  envoyPair: boolean;
  /** See ProxySpec. */
  envoyTelemetry?: 'stats' | 'als';
  traceSampling: number;
  /** '' = none. */
  accessLogFile: string;
  accessLogEncoding: 'TEXT' | 'JSON';
  traceExport?: { kind: 'jaeger' | 'otlp'; endpoint: string };
}

export const PORT_FLAGS = [
  { key: 'port', flag: '--port', env: 'WEFT_PORT', fallback: 20001, what: 'console and API' },
  { key: 'xdsPort', flag: '--xds-port', env: 'WEFT_XDS_PORT', fallback: 15010, what: 'xDS' },
  { key: 'xdsTlsPort', flag: '--xds-tls-port', env: 'WEFT_XDS_TLS_PORT', fallback: 15012, what: 'xDS with mTLS' },
  { key: 'otlpGrpcPort', flag: '--otlp-grpc-port', env: 'WEFT_OTLP_GRPC_PORT', fallback: 4317, what: 'OTLP over gRPC' },
  { key: 'otlpHttpPort', flag: '--otlp-http-port', env: 'WEFT_OTLP_HTTP_PORT', fallback: 4318, what: 'OTLP over HTTP' },
  { key: 'gatewayPort', flag: '--gateway-port', env: 'WEFT_GATEWAY_PORT', fallback: 8080, what: 'the ingress gateway' },
] as const;

/** Throws a StartError for the first thing that would stop the mesh from starting: a taken port, a directory that cannot be written. */
export async function checkMachine(options: UpOptions): Promise<void> {
  openStateDirectory(options.stateDir);
  // Before anything is written there: the other mesh starts its processes from these files.
  const writer = writerOf(join(options.stateDir, 'config'));
  if (writer !== undefined)
    throw new StartError(
      'WEFT_STATE_DIR',
      `another mesh (its server has pid ${writer}) uses ${options.stateDir}: stop it, or set WEFT_HOME to another directory`,
    );
  for (const { key, flag, env, what } of PORT_FLAGS)
    if (!(await isFree(options[key])))
      throw new StartError(
        'WEFT_PORT_TAKEN',
        `port ${options[key]} (${what}) is taken on 127.0.0.1: stop what uses it, or choose another with ${flag} or ${env}.`,
      );
}

/** Of a service or gateway, and of all that is called after it. */
export function parseName(text: string, flag: string): string {
  if (!/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text))
    throw new StartError('WEFT_USAGE', `${flag} is ${text}; it must be a DNS label: at most 63 lower-case letters, digits and -, starting with a letter`);
  return text;
}

export function parsePort(text: string, flag: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new StartError('WEFT_USAGE', `${flag} is ${text}; it must be a port from 1 to 65535`);
  return port;
}

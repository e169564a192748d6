// What the rest of the server may ask the control plane.

import type { MeshObject } from '@weft/mesh-core/model';
import type { Propagation, ProxyStatus } from '@weft/mesh-core/api';
import type { LoadRow } from './load-reports.ts';

export interface ProxyImpact {
  proxyId: string;
  workload: string;
  namespace: string;
  /** Short type names whose resources would change. */
  types: string[];
}

export interface ConnectionInfo {
  status: ProxyStatus;
  peerAddress: string;
  nonces: Record<string, { sent: string; acked: string }>;
}

export interface ControlPlane {
  /** Connected proxies and those lost in the last 10 min. */
  proxies(): readonly ProxyStatus[];
  /** Spread of one config revision; undefined when it changed no proxy or is too old (last 500 are kept). */
  propagation(revision: string): Propagation | undefined;
  /** Which proxies would change if these objects were put (undefined spec = deleted); nothing is sent. */
  preview(changes: readonly { object: MeshObject; deleted: boolean }[]): readonly ProxyImpact[];
  /** Resources of one proxy as proto3 JSON by short type name, as last sent. */
  configDump(proxyId: string): Record<string, unknown[]> | undefined;
  /** Every connection, with nonces by short type name; secrets are not part of it. */
  connections(): readonly ConnectionInfo[];
  /** What clients reported of their requests (LRS). */
  loads(): readonly LoadRow[];
  /** Proxies that are still to be told of the newest configuration. */
  waiting(): number;
  /** The pilot_* metrics as Prometheus text. */
  metrics(): Promise<string>;
  /** Called on every connect, disconnect, send, ACK and NACK, coalesced per turn; returns the stop function. */
  onChange(listener: (change: { proxies: readonly string[]; revisions: readonly string[] }) => void): () => void;
  start(): Promise<void>;
  /** Closes streams and ports; idempotent. */
  stop(): Promise<void>;
}

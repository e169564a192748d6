// The client's side of one request, whatever its protocol, and what all requests of a connection share.

import type { HttpConnectionManager, ListenerConfig } from '../config/model.ts';
import type { ClusterRuntime } from '../upstream/cluster.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import type { RuntimeDeps } from './hooks.ts';
import type { RouteSlot } from './route-table.ts';

export interface DownstreamStream {
  add(text: string): void;
  data(bytes: Buffer, start: number, end: number, shared: boolean): void;
  flush(): boolean;
  /** Stop and go on reading the request. */
  pause(): void;
  resume(): void;
  /** The response is complete; the connection goes on with the next request or closes. */
  finished(close: boolean): void;
  /** Ends without a proper end, so that the client does not take it for complete. */
  destroy(): void;
  tunnel(): void;
  tunnelEnd(): void;
  /** The connection is being drained: this response is its last. */
  readonly closing: boolean;
  /** Wire bytes sent on the connection so far. */
  readonly bytesSent: number;
}

export interface ConnectionContext {
  listener: ListenerConfig;
  manager: HttpConnectionManager;
  routes: RouteSlot;
  deps: RuntimeDeps;
  wheel: TimerWheel;
  clusters: ReadonlyMap<string, ClusterRuntime>;
  tls: boolean;
  principal: string | undefined;
  /** SHA-256 of the client certificate in lower-case hex, '' without one. */
  certificateHash: string;
  /** Own URI SAN, '' without TLS. */
  ownIdentity: string;
  remoteAddress: string;
  remotePort: number;
}

// The client's side of one request, whatever its protocol, and what all requests of a connection share.

import type { WireMeter } from '../../http-wire/socket/wire-meter.ts';
import type { Socket } from 'node:net';
import type { RbacConnection } from '@weft/mesh-core/traffic';
import type { HttpConnectionManager, ListenerConfig } from '../config/model.ts';
import type { ClusterRuntime } from '../upstream/cluster.ts';
import type { TimerWheel } from '../transport/timer-wheel.ts';
import type { RouteFilter } from './filters/chain.ts';
import type { RuntimeDeps } from './hooks.ts';
import type { RouteSlot } from './route-table.ts';

/** Nothing leaves before `flush`. Field lines are `name: value\r\n`, without those of framing and of the connection. */
export interface DownstreamStream {
  /** A 1xx other than 101. */
  interim(status: number, lines: string): void;
  /** The final head. `length` of the body or -1; with `hasBody` false none follows, whatever the length says (HEAD, 304). */
  head(status: number, lines: string, length: number, hasBody: boolean): void;
  data(bytes: Buffer, start: number, end: number, shared: boolean): void;
  /** A body as latin1. */
  text(body: string): void;
  /** The response is complete. */
  end(trailers: string): void;
  /** False = `onDownstreamDrain` follows. */
  flush(): boolean;
  /** Stop and go on reading the request. */
  pause(): void;
  resume(): void;
  /** The exchange has let go; the next request may begin within this call. */
  finished(): void;
  /** Ends without a proper end, so that the client does not take it for complete. */
  reset(): void;
  /** Leaves HTTP for a byte pipe, with the head that says so. */
  tunnel(lines: string, upgrade: string): void;
  tunnelEnd(): void;
  /** Wire bytes sent so far. */
  readonly bytesSent: number;
  /** Of the request at hand; what is sent only once it is over. */
  readonly meter: WireMeter;
}

export interface ConnectionContext {
  socket: Socket;
  listener: ListenerConfig;
  manager: HttpConnectionManager;
  routes: RouteSlot;
  /** The manager's, before those of routes. */
  filters: readonly RouteFilter[];
  deps: RuntimeDeps;
  wheel: TimerWheel;
  clusters: ReadonlyMap<string, ClusterRuntime>;
  tls: boolean;
  principal: string | undefined;
  /** SHA-256 of the client certificate in lower-case hex, '' without one. */
  certificateHash: string;
  /** Of the client certificate, RFC 2253; '' without one. */
  subject: string;
  dnsNames: readonly string[];
  /** URI SANs of its certificate, and of the own. */
  uriNames: readonly string[];
  ownNames: readonly string[];
  remoteAddress: string;
  remotePort: number;
  /** Both of these as `ip:port`. */
  downstreamAddress: string;
  /** `ip:port` of who connected, where the client is whom a PROXY header names. */
  directAddress: string;
  /** `ip:port` the client connected to, and that of its socket where a PROXY header says otherwise. */
  localAddress: string;
  directLocalAddress: string;
  /** The client's SNI, '' = none. */
  serverName: string;
  /** What rules look at; undefined where there are none. */
  access: RbacConnection | undefined;
}

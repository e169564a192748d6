// The seam between the data path and everything else in the proxy process: what the runtime needs (RuntimeDeps), what it
// offers (ProxyRuntime), and what it tells about each request (RequestRecord). Telemetry, tracing and admin know only this file.

import type { WireBytes } from '../../http-wire/socket/wire-meter.ts';
import type { Socket } from 'node:net';
import type { ClusterConfig, Endpoint, HttpConnectionManager, ListenerConfig, LoadAssignment, Route, RouteConfig, Secret, TcpProxy } from '../config/model.ts';
import type { CircuitBreaker, OutlierDetector } from '@weft/mesh-core/traffic';
import type { ListeningSockets } from '../listener/listening-sockets.ts';
import type { HeaderValueSource } from './header-values.ts';
import type { ResolveName } from '../upstream/dns-discovery.ts';

/** Read-only look at a request before it is routed. Valid only during the call it is passed to. */
export interface HeadersView {
  readonly method: string;
  /** Path with query, as received. */
  readonly path: string;
  /** Host header or the authority of an absolute target; as received. */
  readonly authority: string;
  readonly scheme: 'http' | 'https';
  /** A traceparent, any of B3's headers or x-client-trace-id is there. */
  readonly traced: boolean;
  /** First value of the field (`name` in lower case); undefined when absent. */
  get(name: string): string | undefined;
}

/** What the tracer decided for one request. A new object per sampled request, or a shared constant when not sampled. */
export interface TraceDecision {
  sampled: boolean;
  /** Digit to put into a request id that tells nothing of it yet: recorded by chance, or because the client asked; '' = none. */
  mark: '' | '9' | 'b';
  /** Header to send upstream in place of any `traceparent` of the request; undefined = pass the request's own on. */
  traceparent: string | undefined;
  /** Header to send upstream in place of any `tracestate`; undefined = pass on. */
  tracestate?: string | undefined;
  /** B3 field lines to send upstream in place of the request's; undefined = pass those on. */
  b3?: string | undefined;
  /** Lower-case hex of this span; '' when not sampled. */
  traceId: string;
  spanId: string;
  /** '' = root. */
  parentSpanId: string;
}

export interface Tracer {
  /** Called once per request on connection managers with `tracing`, before routing. Must not keep `headers`. `requestId` is the one that goes on. */
  onRequest(headers: HeadersView, requestId: string, manager: HttpConnectionManager): TraceDecision;
}

/** Who is at the other end of the downstream connection. */
export interface PeerInfo {
  /** URI SAN of the verified client certificate (`spiffe://...`). */
  principal: string | undefined;
  /** Value of the manager's `peerHeader` (`x-weft-peer`); only kept when the connection is mTLS. */
  header: string | undefined;
}

/**
 * One finished request. The object belongs to the connection and is overwritten by its next request: copy what outlives the
 * `onRequestEnd` call. Byte counts are wire bytes on the downstream side.
 */
export interface RequestRecord {
  direction: 'inbound' | 'outbound' | 'unspecified';
  listener: ListenerConfig;
  manager: HttpConnectionManager;
  /** `deps.clock()` when the request head was complete, ms. */
  startedAt: number;
  durationMs: number;
  requestHeaderBytes: number;
  requestBodyBytes: number;
  responseHeaderBytes: number;
  responseBodyBytes: number;
  /** On the client's connection, and on those of all tries. */
  downstreamWire: WireBytes;
  upstreamWire: WireBytes;
  /** gRPC messages; 0 for other requests. */
  requestMessages: number;
  responseMessages: number;
  /** Status sent downstream; 0 = the client went away first. */
  status: number;
  /** Envoy's short flags joined by commas; '-' = none. */
  responseFlags: string;
  route: Route | undefined;
  virtualHost: string;
  routeConfig: string;
  cluster: ClusterConfig | undefined;
  endpoint: Endpoint | undefined;
  method: string;
  /** As received, with query. */
  path: string;
  authority: string;
  protocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2';
  peer: PeerInfo;
  /** Downstream connection is TLS. */
  tls: boolean;
  /** Tries sent upstream; 0 = none. */
  attempts: number;
  requestId: string;
  /** Undefined on managers without `tracing`. */
  trace: TraceDecision | undefined;
  /** What the calling proxy named the operation; '' = not told. */
  callerOperation: string;
  /** `ip:port` of the last endpoint tried, '' = none. */
  upstreamAddress: string;
  /** Own `ip:port` towards that endpoint; only of managers with an access log, '' = none. */
  upstreamLocalAddress: string;
  downstreamSocket: Socket;
  /** Of the last try; undefined = none had a connection. */
  upstreamSocket: Socket | undefined;
  /** From the last try to its response head, -1 = no response came. */
  tryMs: number;
  /** From the end of the request, tries before the last included, to the response head: what the client is told. -1 = nothing. */
  upstreamServiceMs: number;
  /** From the start to the end of the request, and to the head of its response; -1 = there is none. */
  requestMs: number;
  responseMs: number;
  /** `ip:port` of the client. */
  downstreamAddress: string;
  /** `ip:port` of who connected, whatever trusted proxies and a PROXY header say of their client. */
  directAddress: string;
  /** `ip:port` the client connected to, and that of its socket where a PROXY header says otherwise. */
  localAddress: string;
  directLocalAddress: string;
  /** The client's SNI, '' = none. */
  serverName: string;
  userAgent: string;
  contentType: string;
  /** `grpc-status` of the response head or trailers, '' when absent. */
  grpcStatus: string;
  /** Why the response is what it is, in Envoy's words (`via_upstream`, `route_not_found`, ...). */
  details: string;
}

/**
 * A TCP proxy connection: told when its upstream is connected (or has failed), every 5 s with the bytes since, and at its end; once, as
 * `refused`, where its TLS handshake fails.
 * The object belongs to the connection: copy what outlives the `onTcp` call.
 */
export interface TcpRecord {
  phase: 'opened' | 'bytes' | 'closed' | 'refused';
  /** Endpoints it has asked. */
  attempts: number;
  direction: 'inbound' | 'outbound' | 'unspecified';
  listener: ListenerConfig;
  proxy: TcpProxy;
  cluster: ClusterConfig | undefined;
  endpoint: Endpoint | undefined;
  peer: PeerInfo;
  tls: boolean;
  startedAt: number;
  durationMs: number;
  /** From the client, and to it, from the start. */
  receivedBytes: number;
  sentBytes: number;
  /** Those since the last call. */
  newReceivedBytes: number;
  newSentBytes: number;
  /** Known at the end (or failure to connect); '-' before. */
  responseFlags: string;
  /** Why the upstream could not be connected, in Envoy's words; '' when it could. */
  transportFailure: string;
  /** Why there was no TLS with the client, by the library's code; '' where there was, or none was wanted, or the library does not say (an untrusted certificate). */
  downstreamFailure: string;
  /** Why this proxy closed the connection, in Envoy's words, told as of a response or as of the connection; '' = it did not. */
  details: string;
  terminationDetails: string;
  /** `ip:port` of the client, which may be the one a PROXY header named. */
  downstreamAddress: string;
  /** `ip:port` of who connected. */
  directAddress: string;
  upstreamAddress: string;
  /** Own `ip:port` towards the upstream, '' = not connected. */
  upstreamLocalAddress: string;
  downstreamSocket: Socket;
  upstreamSocket: Socket | undefined;
  /** `ip:port` the client connected to, and that of its socket where a PROXY header says otherwise. */
  localAddress: string;
  directLocalAddress: string;
  /** The client's SNI, '' = none. */
  serverName: string;
}

/** A call this proxy has made for a request, as a child of its span. */
export interface CallSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string;
  name: string;
  /** `deps.clock()`, ms. */
  startedAt: number;
  durationMs: number;
  attributes: Readonly<Record<string, string | number | boolean>>;
  failed: boolean;
}

export interface RuntimeDeps {
  /** Monotonic ms (`performance.now`). */
  clock(): number;
  /** The time of day, ms since 1970, which tokens are judged by; absent = the system's. */
  timeOfDay?(): number;
  /** [0, 1) */
  random(): number;
  /** `source` reads headers of the request and its response, during the call only. */
  onRequestEnd(record: RequestRecord, source: HeaderValueSource): void;
  onTcp?(record: TcpRecord): void;
  /** Of requests whose trace is recorded. */
  onCall?(span: CallSpan): void;
  tracer?: Tracer;
  /** This proxy's own value for outbound `peer-metadata` (`workload;namespace;app;...`); '' = send none. */
  peerIdentity?: string;
  /** How DNS clusters find addresses; the system's way when absent. */
  resolve?: ResolveName;
  /** Says no when the process has more than it can carry. */
  overload?: { admit(): boolean; release(): void };
  /** One line, no newline; for things an operator must see (a listener that cannot bind, a certificate that does not load). */
  log?(message: string): void;
  /** Sockets of the process before this one, and who keeps this one's; absent = listeners bind for themselves. */
  sockets?: ListeningSockets | undefined;
}

export interface ClusterStats {
  name: string;
  activeConnections: number;
  idleConnections: number;
  activeRequests: number;
  pendingRequests: number;
  totalConnections: number;
  connectFailures: number;
  totalRequests: number;
  retries: number;
  retryOverflow: number;
  /** Requests refused since as many were waiting, or under way, as may be. */
  overflow: number;
  connectionOverflow: number;
  /** Requests that had to wait for a connection. */
  pendingTotal: number;
  timeouts: number;
  tryTimeouts: number;
  tryIdleTimeouts: number;
  /** Of requests that were answered, by the first digit of their status. */
  answers: readonly number[];
  /** Its endpoints come by EDS. */
  discovered: boolean;
  breaker: CircuitBreaker;
  ejections: OutlierDetector['ejections'];
  endpoints: readonly EndpointStats[];
}

export interface EndpointStats {
  address: string;
  hostname: string;
  locality: { region: string; zone: string; subZone: string };
  /** As discovery says. */
  health: Endpoint['health'];
  /** As active checks find it; undefined = there are none. */
  checked: { readonly failed: boolean; readonly degraded: boolean } | undefined;
  weight: number;
  priority: number;
  ejected: boolean;
  activeRequests: number;
  activeConnections: number;
  totalConnections: number;
  connectFailures: number;
  totalRequests: number;
  success: number;
  errors: number;
}

export interface ListenerStats {
  name: string;
  address: string;
  port: number;
  listening: boolean;
  activeConnections: number;
  totalConnections: number;
  totalRequests: number;
  /** Connections refused by the sniff, a TLS handshake or the peer's identity. */
  refusedConnections: number;
}

export interface RuntimeStats {
  clusters: readonly ClusterStats[];
  listeners: readonly ListenerStats[];
  /** Of filters, by Envoy's names. */
  counters: Readonly<Record<string, number>>;
}

/** The data path. Every apply swaps atomically: requests in flight keep the configuration they started with. */
export interface ProxyRuntime {
  /**
   * The complete set of listeners. Unchanged addresses keep their socket; a changed chain serves new connections while old ones
   * get `connection: close` on their next response. Resolves when all sockets are bound or failed; rejects with a
   * `ListenerBindError` naming those that could not be bound (the others serve).
   */
  applyListeners(listeners: readonly ListenerConfig[]): Promise<void>;
  applyRoutes(routes: RouteConfig): void;
  removeRoutes(name: string): void;
  /** `endpoints`: those that come with a change of it, by which they are not used one without the other. */
  applyCluster(cluster: ClusterConfig, endpoints?: LoadAssignment): void;
  removeCluster(name: string): void;
  applyEndpoints(assignment: LoadAssignment): void;
  removeEndpoints(clusterName: string): void;
  /** @throws SecretError when the PEM does not load; the old secret stays in use. */
  applySecret(secret: Secret): void;
  /** While it is so, every connection ends with its next response; new ones are accepted. */
  failHealth(failed: boolean): void;
  /** Stops accepting, closes idle connections, waits for running requests at most `ms`, then closes all. */
  drain(ms: number): Promise<void>;
  /** Closes everything now. */
  close(): Promise<void>;
  stats(): RuntimeStats;
}

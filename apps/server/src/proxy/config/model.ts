// The proxy's own view of its configuration: plain data decoded from xDS messages (decode.ts), compiled into route tables
// and pools by the request path. Every field here is honoured; what cannot be honoured is refused (NACK) by decode.ts.

import type { AccessLog, CustomTag } from './log-model.ts';
import type { HealthCheckRules, LbPolicy, OutlierRules } from '@weft/mesh-core/traffic';

import type {
  CorsSpec,
  FaultSpec,
  Fraction,
  HashPolicySpec,
  HeaderMatchSpec,
  PathRules,
  RateLimitedBackoff,
  RetrySpec,
  RouteMatchSpec,
  TokenBucketSpec,
} from '@weft/mesh-core/traffic';
import type { ExtAuthz, NetworkExtAuthz, RouteExtAuthz } from './ext-authz-model.ts';
import type { JwtAuthn } from './jwt-model.ts';
import type { NetworkRbac, RbacFilterConfig } from './rbac-model.ts';

export interface ListenerConfig {
  name: string;
  address: string;
  port: number;
  direction: 'inbound' | 'outbound' | 'unspecified';
  /** The most specific match decides, see chain-match.ts. Without anything to tell by first bytes the socket is never sniffed. */
  chains: readonly FilterChain[];
  /** Serves what no chain matches. */
  defaultChain?: FilterChain;
  /** Wait for the first bytes to tell TLS from plaintext (tls_inspector is present). */
  inspectTls: boolean;
  /** Wait for the first bytes to tell HTTP from other protocols (http_inspector). */
  inspectHttp?: boolean;
  /** A PROXY header comes first. */
  proxyProtocol?: { optional: boolean; refusedVersions: readonly (1 | 2)[] };
  /** How long those may take; 0 = for ever. Absent = 15 s. */
  filtersTimeoutMs?: number;
  /** After that time go on with what is known, instead of closing. */
  continueOnFiltersTimeout?: boolean;
}

export interface FilterChain {
  name: string;
  match: ChainMatch;
  tls?: DownstreamTls;
  /** How long the TLS handshake may take; absent = 15 s. */
  handshakeTimeoutMs?: number;
  /** Who may connect, in the order they are asked. */
  guards?: readonly NetworkFilter[];
  /** Exactly one of http and tcp. */
  http?: HttpConnectionManager;
  tcp?: TcpProxy;
}

export type NetworkFilter = ({ kind: 'rbac' } & NetworkRbac) | ({ kind: 'ext-authz' } & NetworkExtAuthz);

/** An absent or empty field matches everything. */
export interface ChainMatch {
  destinationPort?: number;
  prefixRanges?: readonly Cidr[];
  /** Lower case; `*.example.com` for all below. */
  serverNames: readonly string[];
  transportProtocol: 'tls' | 'raw_buffer' | 'any';
  applicationProtocols: readonly string[];
  directSourcePrefixRanges?: readonly Cidr[];
  sourceType?: 'any' | 'local' | 'external';
  sourcePrefixRanges?: readonly Cidr[];
  sourcePorts?: readonly number[];
}

export interface Cidr {
  address: string;
  length: number;
}

/** What a handshake may agree on, in Node's words. */
export interface TlsParams {
  minVersion: TlsVersion;
  maxVersion: TlsVersion;
  ciphers?: string;
  ecdhCurve?: string;
  sigalgs?: string;
}

export interface KeyPair {
  chainPem: string;
  keyPem: string;
  /** DER of an OCSP response for clients that ask. */
  ocspStaple?: Uint8Array;
}

/** Certificates accepted by what they are, on top of the trust in their CA: SHA-256 of the whole (hex) or of the key (base64). */
export interface CertificatePins {
  hashes: readonly string[];
  keys: readonly string[];
}

/** What is asked of a peer's certificate. */
export interface PeerTrust {
  validationSecret?: string;
  /** Trust, where it is not a secret. `system` = what Node trusts by itself. */
  ca?: { pem: string } | 'system';
  crlPem?: string;
  /** Accepted names of the peer. Empty = any signed by the CA. */
  peerSans: readonly SanMatch[];
  pins?: CertificatePins;
}

export interface DownstreamTls extends PeerTrust, Partial<TlsParams> {
  /** Of several, clients get the one for the name they ask for, or by the kind of key they take. */
  certificateSecrets: readonly string[];
  certificates?: readonly KeyPair[];
  requireClientCertificate: boolean;
  /** A certificate is asked for, but any will do. */
  acceptUntrusted?: boolean;
  alpn: readonly string[];
}

export interface UpstreamTls extends PeerTrust, TlsParams {
  certificateSecret?: string;
  /** Own certificate, where it is not a secret. */
  certificate?: KeyPair;
  /** False = any certificate will do. */
  verify: boolean;
  sni: string;
  alpn: readonly string[];
}

/** Of the PROXY header in front of everything a connection sends. */
export type ProxyProtocolVersion = 'V1' | 'V2';

export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';

/** Kind of names it looks at; absent = URI. */
export type SanMatch = StringMatch & { san?: 'uri' | 'dns' | 'email' | 'ip' | 'any' };

export type StringMatch = { kind: 'exact' | 'prefix' | 'suffix' | 'regex' | 'contains'; value: string; ignoreCase: boolean };

export interface HttpConnectionManager {
  statPrefix: string;
  /** RDS name, or the routes inline. */
  routes: { rds: string } | { inline: RouteConfig };
  /** http1, http2 or by preface/ALPN. */
  codec: 'auto' | 'http1' | 'http2';
  /** Takes HTTP/1.0 (`accept_http_10`); otherwise it is answered 426. */
  acceptHttp10: boolean;
  http2?: { maxConcurrentStreams?: number; allowConnect: boolean };
  serverName: string;
  /** Trust x-forwarded-for and internal headers of the peer (true for sidecars on loopback), or start them anew (gateway). */
  useRemoteAddress: boolean;
  /** Proxies in front of this edge that are believed: the client is so many from the right of x-forwarded-for; absent = 0. */
  trustedHops?: number;
  /** `sanitize` drops x-forwarded-client-cert; `forward_only` passes it on from clients with a certificate, `always_forward_only` from all. */
  forwardClientCert: 'sanitize' | 'forward_only' | 'append_forward' | 'sanitize_set' | 'always_forward_only';
  /** What else of a client's certificate x-forwarded-client-cert tells. */
  clientCertDetails: { subject: boolean; uri: boolean; dns: boolean };
  /** `Server` of an upstream that sends one is kept. */
  keepServerHeader: boolean;
  requestId: { generate: boolean; keepExternal: boolean; inResponse: boolean };
  /** What of a Host is taken away before it is looked at. */
  host: { stripPort: 'none' | 'matching' | 'any'; stripDot: boolean };
  upgrades: ReadonlyMap<string, boolean>;
  /** 0 = none. */
  streamIdleTimeoutMs: number;
  /** 0 = none. */
  idleTimeoutMs: number;
  /** From when a connection is idle or old until it closes: requests meanwhile are answered and told to go elsewhere. */
  drainTimeoutMs: number;
  /** For the client to read a last answer before a close might take it away; 0 = none. */
  delayedCloseTimeoutMs: number;
  /** Time for the head of a request, for all of it, for a request and its response; 0 = no limit. */
  requestHeadersTimeoutMs: number;
  requestTimeoutMs: number;
  maxStreamDurationMs: number;
  /** Of a connection; absent = no limit, 0 = none is served. */
  maxConnectionDurationMs?: number;
  path: PathRules;
  /** Says `x-envoy-local-overloaded` when it sheds a request. */
  appendLocalOverload: boolean;
  /** Addresses whose requests may bring `x-envoy-*` headers that steer this proxy. */
  internalAddresses: readonly { address: string; prefixLength: number }[];
  tracing?: {
    samplingPercent: number;
    direction: 'ingress' | 'egress';
    customTags: readonly CustomTag[];
    /** A new trace is recorded, whatever x-request-id and chance say. */
    always?: boolean;
    /** Trace headers of a request go on as they came. */
    silent?: boolean;
  };
  accessLog: readonly AccessLog[];
  /** Formats of logs and spans ask about TLS. */
  readsTls?: boolean;
  /** What a Telemetry changes of Istio's metrics, by metric (`istio_requests_total`). */
  metrics?: Readonly<Record<string, MetricOverride>>;
  /** Compact peer identity header written by a client sidecar; on inbound lifted into the request's peer and removed. */
  peerHeader?: string;
  /** HTTP filters by kind, in order, those Weft has; router is last. */
  filters: readonly HttpFilter[];
}

export interface MetricOverride {
  disabled?: boolean;
  /** Labels to leave out. */
  remove?: readonly string[];
  /** Labels with the value of a CEL expression. */
  set?: Readonly<Record<string, string>>;
}

export type HttpFilter =
  | { kind: 'router' }
  | { kind: 'peer-metadata'; header: string }
  | { kind: 'grpc-web' | 'fault' | 'cors' | 'local-ratelimit' }
  /** `name`: what routes call it. */
  | { kind: 'rbac'; name: string; config: RbacFilterConfig }
  | { kind: 'ext-authz'; name: string; config: ExtAuthz }
  | { kind: 'jwt-authn'; config: JwtAuthn };

/** TCP inside a request to the upstream. */
export interface Tunneling {
  /** Authority of the request; may hold `%REQUESTED_SERVER_NAME%`. */
  hostname: string;
  /** POST instead of CONNECT, with this path. */
  usePost: boolean;
  postPath: string;
  /** Field lines, each with its line end. */
  lines: string;
}

export interface TcpProxy {
  statPrefix: string;
  clusters: readonly WeightedCluster[];
  /** The cluster is named like the client's SNI (sni_cluster). */
  clusterFromSni?: boolean;
  /** The upstream is the client's SNI at this port (sni_dynamic_forward_proxy). */
  sniForwardPort?: number;
  /** The client's address is the hash key of the balancer. */
  hashSourceIp?: boolean;
  /** 0 = none. */
  idleTimeoutMs: number;
  /** 0 = none. */
  maxConnectionDurationMs?: number;
  /** Tries to connect, the first included; absent = 1. */
  maxConnectAttempts?: number;
  tunneling?: Tunneling;
  accessLog?: readonly AccessLog[];
  readsTls?: boolean;
  /** As of a connection manager. */
  metrics?: Readonly<Record<string, MetricOverride>>;
}

export interface RouteConfig {
  name: string;
  virtualHosts: readonly VirtualHost[];
  /** The port of a Host header does not count. */
  ignorePort: boolean;
  requestHeaders: HeaderOps;
  responseHeaders: HeaderOps;
  /** Header operations are applied from the route configuration down to the weighted cluster, not up. */
  mostSpecificHeadersWin: boolean;
  /** Names, lower case, that only internal requests may bring. */
  internalOnlyHeaders: readonly string[];
}

export interface VirtualHost {
  name: string;
  domains: readonly string[];
  routes: readonly Route[];
  requestHeaders: HeaderOps;
  responseHeaders: HeaderOps;
  /** Requests that did not come over TLS are redirected. */
  requireTls: boolean;
  /** `x-envoy-attempt-count` to the upstream, to the client. */
  attemptCount: boolean;
  attemptCountInResponse: boolean;
  /** `x-envoy-is-timeout-retry` on retries. */
  timeoutRetryHeader: boolean;
}

export interface Route {
  name: string;
  match: RouteMatch;
  action: ForwardAction | RedirectAction | DirectResponseAction;
  requestHeaders: HeaderOps;
  responseHeaders: HeaderOps;
  /** `filter_metadata`; Istio puts the object the route came from under `istio.config`. */
  metadata: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Span name (`reviews.bookinfo.svc.cluster.local:9080/*`). */
  operation: string;
  /** What the route, its host or its configuration say of HTTP filters, the most specific of them. */
  filters: RouteFilterConfig;
}

export interface RouteFilterConfig {
  fault?: FaultSpec;
  cors?: CorsPolicy;
  localRateLimit?: LocalRateLimit;
  /** By the filter's name. */
  rbac?: Readonly<Record<string, RbacFilterConfig | 'off'>>;
  extAuthz?: Readonly<Record<string, RouteExtAuthz | 'off'>>;
}

export interface CorsPolicy extends CorsSpec {
  /** Share of requests the filter is on for. */
  enabled: Fraction;
}

export interface LocalRateLimit {
  bucket: TokenBucketSpec;
  /** A bucket for each client connection instead of one for all. */
  perConnection: boolean;
  enabled: Fraction;
  enforced: Fraction;
  status: number;
  grpcResourceExhausted: boolean;
  rateLimitHeaders: boolean;
  responseHeaders: HeaderOps;
  requestHeadersWhenNotEnforced: HeaderOps;
}

export type RouteMatch = RouteMatchSpec;

export interface HeaderOps {
  add: readonly HeaderAddition[];
  /** Lower case. */
  remove: readonly string[];
}

export interface HeaderAddition {
  /** Lower case. */
  name: string;
  /** May hold Envoy's commands. */
  value: string;
  action: 'append' | 'add-if-absent' | 'overwrite' | 'overwrite-if-exists';
  /** Also added when the value is empty. */
  keepEmpty: boolean;
}

export interface WeightedCluster {
  name: string;
  weight: number;
  requestHeaders: HeaderOps;
  responseHeaders: HeaderOps;
  hostRewrite?: string;
}

export interface ForwardAction {
  kind: 'forward';
  /** One entry = plain cluster. Weights relative to their sum. */
  clusters: readonly WeightedCluster[];
  /** The cluster is what this request header names; `clusters` then has one entry without a name. */
  clusterHeader?: string;
  /** A whole number in this header chooses among weighted clusters in chance's stead. */
  weightHeader?: string;
  /** Status where the cluster does not exist. */
  clusterNotFoundStatus: number;
  /** 0 = none. */
  timeoutMs: number;
  /** For gRPC requests `grpc-timeout` replaces the timeout, capped by this (0 = not capped); unset = it is not looked at. */
  maxGrpcTimeoutMs?: number;
  grpcTimeoutOffsetMs?: number;
  /** Unset = the connection manager's, 0 = none. */
  idleTimeoutMs?: number;
  /** Longest life of a request, from its head; unset = the connection manager's, 0 = none. */
  maxStreamDurationMs?: number;
  /** `grpc-timeout` counts as the life of a gRPC request, at most this (0 = any). */
  grpcStreamDuration?: { maxMs: number; offsetMs: number };
  retry?: RetryPolicy;
  hedgeOnPerTryTimeout: boolean;
  hostRewrite?: HostRewrite;
  appendForwardedHost: boolean;
  prefixRewrite?: string;
  regexRewrite?: RegexRewrite;
  hashPolicies: readonly HashPolicySpec[];
  mirrors: readonly Mirror[];
  /** By type, in lower case: whether it is taken here, whatever the connection manager says. */
  upgrades?: ReadonlyMap<string, boolean>;
  internalRedirect?: InternalRedirect;
}

/** Redirects that are followed here. */
export interface InternalRedirect {
  max: number;
  statuses: ReadonlySet<number>;
  crossScheme: boolean;
}

export type HostRewrite =
  | { kind: 'literal'; host: string }
  | { kind: 'header'; name: string }
  | { kind: 'path-regex'; rewrite: RegexRewrite }
  /** The name of the endpoint chosen. */
  | { kind: 'auto' };

export interface RegexRewrite {
  pattern: string;
  substitution: string;
}

export interface Mirror {
  cluster: string;
  /** The cluster is what this request header names. */
  clusterHeader?: string;
  fraction: Fraction;
  /** Appends `-shadow` to the Host. */
  shadowSuffix: boolean;
  /** The copy keeps the request's sampling decision; otherwise it says: not sampled. */
  traceSampled: boolean;
}

export interface RedirectAction {
  kind: 'redirect';
  status: number;
  scheme?: string;
  host?: string;
  port?: number;
  path?: string;
  prefixRewrite?: string;
  regexRewrite?: RegexRewrite;
  stripQuery: boolean;
}

export interface DirectResponseAction {
  kind: 'direct-response';
  status: number;
  body: Uint8Array;
}

export interface RetryPolicy extends RetrySpec {
  /** Only requests with any of these headers are tried again; empty = all. */
  requestHeaders: readonly HeaderMatchSpec[];
  perTryTimeoutMs: number;
  perTryIdleTimeoutMs: number;
  baseIntervalMs: number;
  maxIntervalMs: number;
  rateLimited?: RateLimitedBackoff;
  avoidPreviousHosts: boolean;
  /** After every so many tries, priorities tried before get no load; unset = never. */
  avoidPriorities?: number;
  hostSelectionAttempts: number;
}

export interface ClusterConfig {
  name: string;
  /** `logical-dns` resolves its one name for each connection; the last two go where the request itself says. */
  discovery: 'eds' | 'static' | 'strict-dns' | 'logical-dns' | 'original-dst' | 'dynamic-forward-proxy';
  dns?: DnsSettings;
  /** Endpoints made on demand that were not used for so long are forgotten; and how many there may be. */
  onDemand?: { idleMs: number; maximum: number };
  /** EDS resource name. */
  edsName: string;
  /** Endpoints of static and DNS clusters. */
  endpoints?: LoadAssignment;
  connectTimeoutMs: number;
  lb: LbPolicy;
  /** Localities of one priority share its load by their weights; otherwise those are not looked at. */
  localityWeighted: boolean;
  /** Hash tables know hosts by `hostname` instead of their address. */
  hashByHostname: boolean;
  http: {
    protocol: 'http1' | 'http2' | 'auto' | 'downstream';
    /** 0 = none. */
    idleTimeoutMs: number;
    /** 0 = any number. */
    maxRequestsPerConnection: number;
    /** A connection this old takes no more requests; 0 = any age. */
    maxConnectionDurationMs: number;
    /** Longest life of a stream; 0 = no limit. */
    maxStreamDurationMs: number;
    /** Upgrades may go by extended CONNECT where the peer takes it. */
    allowConnect: boolean;
    /** HTTP/2, on top of what the peer allows; 0 = no limit of ours. */
    maxConcurrentStreams: number;
    /** HTTP/2 PINGs. */
    keepalive?: { intervalMs: number; timeoutMs: number };
    /** The TLS server name is the request's authority; and that must be a name of the certificate. */
    autoSni: boolean;
    autoSanValidation: boolean;
    /** What counts as an error for outlier detection, in place of 5xx. */
    errorStatus?: StringMatch;
  };
  /** Undefined = TCP never asks whether the peer is still there. */
  tcpKeepalive?: TcpKeepalive;
  circuitBreaker: {
    maxConnections: number;
    maxPendingRequests: number;
    maxRequests: number;
    maxRetries: number;
    retryBudget?: { percent: number; minConcurrency: number; intervalMs?: number };
  };
  outlier?: OutlierRules;
  healthCheck?: HealthCheckConfig;
  /** Hosts discovery drops go at once, instead of when they fail their checks. */
  ignoreHealthOnHostRemoval: boolean;
  /** 0 = panic off; Envoy's default 50. */
  panicThresholdPercent: number;
  /** First whose `endpoint` labels are all in the endpoint's `envoy.transport_socket_match` metadata; none = `tls`. */
  tlsMatches: readonly { name: string; endpoint: Readonly<Record<string, string>>; tls?: UpstreamTls }[];
  tls?: UpstreamTls;
  /** Every connection begins with a PROXY header. */
  proxyProtocol?: ProxyProtocolVersion;
  /** `filter_metadata`; Istio's `istio.services` names the destination service. */
  metadata: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface HealthCheckConfig {
  rules: HealthCheckRules;
  /** 0 = the port requests go to. */
  altPort: number;
  probe: HealthProbe;
}

export type HealthProbe =
  | {
      kind: 'http';
      /** '' = the endpoint's, else the cluster's name. */
      host: string;
      path: string;
      method: string;
      headers: readonly { name: string; value: string }[];
      /** From `start` up to but without `end`. */
      expected: readonly { start: number; end: number }[];
      retriable: readonly { start: number; end: number }[];
      http2: boolean;
    }
  | { kind: 'tcp'; send: Uint8Array; receive: readonly Uint8Array[] }
  | { kind: 'grpc'; service: string; authority: string };

export interface DnsSettings {
  refreshMs: number;
  respectTtl: boolean;
  /** As much is added to it, at random. */
  jitterMs: number;
  /** Jittered back-off after a failure; undefined = `refreshMs`. */
  failureRefresh?: { baseMs: number; maxMs: number };
  /** `auto` = IPv6, or else IPv4. */
  family: 'auto' | 'v4' | 'v6' | 'v4-preferred' | 'all';
}

/** Idle time before TCP asks, how long it waits for an answer, and how many it waits for. */
export interface TcpKeepalive {
  timeMs: number;
  intervalMs: number;
  probes: number;
}

export interface LoadAssignment {
  clusterName: string;
  /** Percent of its own share a priority can take before load spills over; 140. */
  overprovisioning: number;
  /** A priority's health counts weights instead of hosts. */
  weightedPriorityHealth: boolean;
  localities: readonly { region: string; zone: string; subZone: string; priority: number; weight: number; endpoints: readonly Endpoint[] }[];
}

export interface Endpoint {
  address: string;
  port: number;
  /** Of DNS clusters the name that was resolved, else what the resource says; '' = none. */
  hostname: string;
  weight: number;
  health: 'healthy' | 'unhealthy' | 'draining' | 'degraded' | 'unknown';
  /** Where its health is asked for, where not at its own address. */
  healthCheck?: { address: string; port: number; hostname: string; disabled: boolean };
  /** `filter_metadata` by namespace. */
  metadata: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export type Secret = ({ kind: 'certificate'; name: string } & KeyPair) | { kind: 'validation'; name: string; caPem: string; crlPem?: string };

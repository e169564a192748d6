// What a behaviour case is: data. Configuration as users write it, steps over real sockets, what must be seen.

import type { MeshSettings } from '@weft/mesh-core/model';
import type { Expected } from './harness/match.ts';

export const PLANES = ['embedded', 'envoy'] as const;
export type Plane = (typeof PLANES)[number];

/** Where a data plane's workloads and cases live, and where its second client does. */
export const namespaceOf = (plane: Plane): string => `of-${plane}`;
export const otherNamespaceOf = (plane: Plane): string => `other-${plane}`;

/** Applications behind the mesh; see harness/apps.ts for what they do. `dead` is a port nobody listens on. */
export type AppName = 'a' | 'b' | 'c' | 'd' | 'echo' | 'echo2' | 'first' | 'late' | 'tls' | 'tls2' | 'forward' | 'authz' | 'dead';

export interface EndpointSpec {
  app: AppName;
  /** Label `version`. */
  version?: string;
  labels?: Record<string, string>;
  /** `region/zone/subzone` */
  locality?: string;
  weight?: number;
  /** What the agent's health check found. */
  healthy?: false;
  /** No sidecar before the application: plaintext, straight to it. */
  direct?: true;
  /** The server sidecar's port of a PeerAuthentication mode instead of its usual ones (PERMISSIVE). */
  mode?: 'strict' | 'disable';
}

export interface ServiceSpec {
  name: string;
  /** Default: `http` 80. The name tells the protocol, as in Istio. */
  ports?: readonly { name: string; number: number; appProtocol?: string }[];
  endpoints: readonly EndpointSpec[];
}

/** What an application does with a request; it reads this from the header `x-do` as JSON. */
export interface AppAction {
  /** Only this application does so; the others answer 200. */
  only?: AppName;
  status?: number;
  headers?: Record<string, string>;
  body?: string;
  /** Body of that many bytes; a header of that many. */
  size?: number;
  headSize?: number;
  trailers?: Record<string, string>;
  /** 1xx before the answer. */
  informational?: readonly number[];
  delayMs?: number;
  /** Waits for `release` of the step's key. */
  hold?: true;
  /** Ends the connection: before the answer's head, or after it. `refused`: HTTP/2's REFUSED_STREAM. */
  reset?: 'before-headers' | 'after-headers' | 'refused';
  /** Server-sent events or chunks, one by one. */
  chunks?: readonly string[];
  /** Acts so on the first n attempts only, and afterwards as `after` says or answers 200. */
  first?: number;
  after?: AppAction;
  /** gRPC: status, and whether it comes in the head (trailers-only). */
  grpcStatus?: number;
  grpcMessage?: string;
  trailersOnly?: true;
  /** gRPC: how many messages are sent back. */
  messages?: number;
}

export interface ClientTls {
  sni: string;
  alpn?: readonly string[];
  /** Client certificate: one of the known authority, or of one nobody trusts. */
  as?: 'client' | 'stranger';
  /** Highest and lowest version. */
  maxVersion?: 'TLSv1.2';
  minVersion?: 'TLSv1.3';
  /** Ciphers of TLS 1.2 it offers, as OpenSSL names them. */
  ciphers?: string;
}

interface StepBase {
  /** Service (`name` or `name:port`) or one of `outside`; default: the case's first service and its first port. */
  to?: string;
  /** Who asks; default the `client` sidecar of the plane. */
  from?: 'client' | 'other' | 'told' | 'drained' | 'http-proxy';
  /** Instead: a port that configuration opens, `$AT(name)` there. */
  at?: string;
  /** TLS to the address. */
  tls?: ClientTls;
  /**
   * Repeats; what is expected is then the sum: `{statuses, apps, distinct}`, and where it is expected `connections` (how many
   * reached the applications), `slowestMs` or `sampled` (how many traces are recorded).
   */
  times?: number;
  /** Time between repeats: for what ends by itself. */
  gapMs?: number;
  /** How many of `times` at once. */
  parallel?: number;
  /**
   * Not awaited before the next step, which comes when the request has reached its application, or when this many have
   * ended; ends with the case. What it answers is expected all the same.
   */
  background?: true | number;
  /** Keeps parts of the answer for later steps: `${name}` in their headers. */
  save?: Record<string, (seen: Seen) => string>;
  expect: Expected;
  /** What is expected besides of one data plane, where the two are meant to differ. */
  on?: Partial<Record<Plane, Expected>>;
}

export interface HttpStep extends StepBase {
  kind: 'http';
  method?: string;
  path?: string;
  /** `host` replaces the one the address implies. */
  headers?: Record<string, string | readonly string[]>;
  body?: string;
  trailers?: Record<string, string>;
  /** Client protocol; default HTTP/1.1. */
  http2?: true;
  do?: AppAction;
  /** Gives up when the request has reached its application: what a client does that does not want to wait. */
  aborts?: true;
}

export interface RawStep extends StepBase {
  kind: 'raw';
  /** Sent as they are, one after the other: each waits for `until` of the one before. `${host}` is the service's host. */
  send: readonly string[];
  /** What must have arrived before the next text is sent, and before the end; default: the peer closes. */
  until?: readonly (string | RegExp)[];
  /** Waits this long before each text but the first. */
  pauseMs?: number;
}

export interface GrpcStep extends StepBase {
  kind: 'grpc';
  method?: string;
  message?: string;
  messages?: number;
  metadata?: Record<string, string>;
  do?: AppAction;
}

export interface WebSocketStep extends StepBase {
  kind: 'websocket';
  path?: string;
  host?: string;
  messages: readonly string[];
  /** Waits this long before each message. */
  pauseMs?: number;
}

/** One request per key, `$key` in its path and headers: which application got which, and how many moved away from each since the last such step. */
export interface SpreadStep {
  kind: 'spread';
  step: HttpStep;
  keys: number;
  /** Result: `{chosen: "a b c a ...", moved: {c: 3}}`; stale: what is expected comes true only after a while. */
  expect: Expected;
  background?: undefined;
}

/** Waits until something becomes so, by asking again. */
export interface UntilStep extends StepBase {
  kind: 'until';
  step: HttpStep | RawStep | GrpcStep | SpreadStep | AdminStep;
}

/** What has reached the applications under the key of the step before: `[{app, path, headers, ...}]` by application. */
export interface ArrivalsStep {
  kind: 'arrivals';
  /** Instead: of all requests of the case, how many reached each application, `{a: 20, b: 9}`. */
  counts?: true;
  expect: Expected;
  background?: undefined;
}

/** What the control plane says of a proxy. */
export interface StatusStep extends Pick<StepBase, 'expect' | 'on'> {
  kind: 'status';
  workload: string;
  background?: undefined;
}

/** A page of the admin interface of one of the plane's proxies: `{status, type, body}`, of JSON `paths` (of all keys, lists gone through) in place of the body. */
export interface AdminStep {
  kind: 'admin';
  workload: string;
  path: string;
  method?: 'POST';
  /** `paths` are those of Envoy's that must be there. */
  expect: Expected;
  background?: undefined;
}

/** Takes objects away; waits as `apply` does. */
export interface RemoveStep {
  kind: 'remove';
  objects: string;
  expect?: undefined;
  background?: undefined;
}

/** Changes configuration in the middle; waits until every proxy has answered. */
export interface ApplyStep {
  kind: 'apply';
  objects: string;
  expect?: undefined;
  background?: undefined;
}

export type Step = HttpStep | RawStep | GrpcStep | WebSocketStep | UntilStep | ArrivalsStep | StatusStep | ApplyStep | RemoveStep | SpreadStep | AdminStep;

/** What one step saw; compared between the data planes as a whole. */
export interface Seen {
  status?: number;
  /** Lower-case names; several values joined by `, `, set-cookie by newline. */
  headers?: Record<string, string>;
  body?: string;
  trailers?: Record<string, string>;
  informational?: number[];
  /** The connection ended so instead of with an answer. */
  failed?: 'reset' | 'closed' | 'refused' | 'aborted' | 'tls';
  /** The application's echo: who answered, on which of its connections, and what reached it. */
  app?: string;
  connection?: number;
  upstream?: { method: string; path: string; protocol: string; headers: Record<string, string>; body: string; trailers?: Record<string, string>; tls?: string };
  grpc?: { status: number; message: string; messages: string[] };
  messages?: string[];
  /** HTTP/2: the connection is to be left; the last stream it still takes. */
  goaway?: number;
  text?: string;
  /** Of TLS to the address: names of the server's certificate, protocol agreed on. */
  certificate?: string;
  alpn?: string;
}

export interface Telemetry {
  /** Series of istio_* counters and histograms' counts with the case's service as destination: some series must match each. */
  metrics?: readonly Expected[];
  /** Spans of the case's requests: some span must match each. */
  spans?: readonly Expected[];
  /** Access log lines of the case's requests. */
  logs?: readonly Expected[];
  /** All that is logged by the case's own client, in order: `GET /path HTTP/1.1`. End with one that always is. */
  logged?: readonly string[];
  /** No series and no line may match. */
  noMetrics?: readonly Expected[];
  noLogs?: readonly Expected[];
}

export interface Case {
  area: string;
  name: string;
  services?: readonly ServiceSpec[];
  /** Hosts of the case's ServiceEntries the client reaches by a loopback port of their own (`db.$NS.test:5432`). */
  outside?: readonly string[];
  /** YAML; namespace is the data plane's unless named. Placeholders: see harness/objects.ts. */
  objects?: string;
  steps: readonly Step[];
  telemetry?: Telemetry;
  /** The client of one data plane also asks the services of the other. */
  mixed?: true;
  /** Changes what others rely on (the whole mesh, a proxy): runs after the others, by itself, and is taken back. */
  alone?: true;
  /**
   * Asked by a client of its own with these settings of the mesh and the case's EnvoyFilters, on both data planes, without a
   * control plane: what users of embedded proxies cannot ask for, the proxies can do. Of what it reports, only log lines are read.
   */
  own?: { settings?: Partial<MeshSettings>; overloaded?: true };
  /** What is seen depends on chance, so only what is expected counts. */
  random?: true;
  /** Where the data planes are meant to differ: start of the path told by the report, and why. */
  differs?: Record<string, string>;
  /** Not judged on this data plane, with the reason. */
  pending?: Partial<Record<Plane, string>>;
}

export const http = (step: Omit<HttpStep, 'kind'>): HttpStep => ({ kind: 'http', ...step });
export const raw = (step: Omit<RawStep, 'kind'>): RawStep => ({ kind: 'raw', ...step });
export const grpc = (step: Omit<GrpcStep, 'kind'>): GrpcStep => ({ kind: 'grpc', ...step });
export const websocket = (step: Omit<WebSocketStep, 'kind'>): WebSocketStep => ({ kind: 'websocket', ...step });
export const until = (step: UntilStep['step']): UntilStep => ({ kind: 'until', step, expect: step.expect });
export const spread = (step: Omit<SpreadStep, 'kind'>): SpreadStep => ({ kind: 'spread', ...step });
export const admin = (workload: string, path: string, expect: Expected, method?: 'POST'): AdminStep => ({
  kind: 'admin',
  workload,
  path,
  expect,
  ...(method === undefined ? {} : { method }),
});
export const arrivals = (expect: Expected): ArrivalsStep => ({ kind: 'arrivals', expect });
export const arrivalCounts = (expect: Expected): ArrivalsStep => ({ kind: 'arrivals', counts: true, expect });

/** A service of one application in one version. */
export const service = (name: string, ...endpoints: EndpointSpec[]): ServiceSpec => ({ name, endpoints: endpoints.length === 0 ? [{ app: 'a' }] : endpoints });

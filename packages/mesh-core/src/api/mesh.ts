// Inventory, proxies, load and charts.

import { z } from 'zod';
import { healthSchema } from './graph.ts';
import { objectRefSchema } from './traffic.ts';

/** Short names of xDS types, in the order proxies are told of them and lists show them. */
export const RESOURCE_TYPES: readonly string[] = ['cluster', 'endpoint', 'listener', 'route', 'secret'];

export const proxyTypeStatusSchema = z.object({
  /** One of `RESOURCE_TYPES`. */
  type: z.string(),
  sentVersion: z.string(),
  ackedVersion: z.string(),
  /** Unix ms. */
  sentAt: z.number().optional(),
  ackedAt: z.number().optional(),
  nack: z.object({ at: z.number(), message: z.string() }).optional(),
  resources: z.number(),
});
export const proxyStatusSchema = z.object({
  id: z.string(),
  workload: z.string(),
  namespace: z.string(),
  role: z.enum(['sidecar', 'router']),
  dataPlane: z.enum(['embedded', 'envoy', 'grpc']),
  version: z.string(),
  address: z.string(),
  adminPort: z.number(),
  /** synced: everything sent is acknowledged. stale: sent, no answer yet. nacked: the last answer of some type was a refusal. */
  state: z.enum(['synced', 'stale', 'nacked', 'disconnected']),
  connectedAt: z.number().optional(),
  lastSeenAt: z.number(),
  identity: z.string(),
  certificate: z.object({ serial: z.string(), notAfter: z.number() }).optional(),
  types: z.array(proxyTypeStatusSchema),
  protocol: z.enum(['sotw', 'delta']).optional(),
  /** Who counts its requests: the proxy itself, Envoy's stats access logger (scraped by the agent), Envoy's gRPC access log, or nobody. */
  telemetry: z.enum(['embedded', 'stats', 'als', 'none']).optional(),
  /** What Gateways and policies select it by. */
  labels: z.record(z.string(), z.string()).optional(),
  /** EnvoyFilters that select it, and why those that are not applied are not; absent = none selects it. */
  envoyFilters: z.array(z.object({ filter: z.string(), applied: z.boolean(), reason: z.string().optional() })).optional(),
  /** Rules of RequestAuthentications whose tokens it refuses, all of them, since there are no keys, and why there are none; absent = none. */
  missingKeys: z.array(z.object({ policy: z.string(), rule: z.number(), reason: z.string(), url: z.string().optional() })).optional(),
});
export type ProxyStatus = z.infer<typeof proxyStatusSchema>;

/** The proxy's name in its node id (`sidecar~10.0.0.1~<name>.<namespace>~...`), which tells proxies of one workload apart; any other id as it is. */
export function proxyName(id: string): string {
  return /^[^~]*~[^~]*~([^~]+)\.[^~.]+~/.exec(id)?.[1] ?? id;
}

/** By namespace and name: they come in the order in which they connected. */
export function compareProxies(a: ProxyStatus, b: ProxyStatus): number {
  return a.namespace.localeCompare(b.namespace) || proxyName(a.id).localeCompare(proxyName(b.id));
}
export const proxyListSchema = z.object({ items: z.array(proxyStatusSchema) });

/** GET /api/v1/services */
export const serviceSummarySchema = z.object({
  namespace: z.string(),
  name: z.string(),
  host: z.string(),
  ports: z.array(z.object({ name: z.string(), port: z.number(), protocol: z.string() })),
  workloads: z.array(z.object({ name: z.string(), version: z.string(), healthyEndpoints: z.number(), endpoints: z.number() })),
  health: healthSchema,
  rps: z.number(),
  errors: z.number(),
  p95: z.number(),
  /** Per second, both ways: all there is to count of TCP. */
  tcpBytes: z.number(),
});
export type ServiceSummary = z.infer<typeof serviceSummarySchema>;
export const serviceListSchema = z.object({ items: z.array(serviceSummarySchema) });

/** An object that has to do with a service: it is the service, one of its endpoints, decides its routes, sends requests to it, or sets policy. */
export const serviceObjectSchema = z.object({
  ref: objectRefSchema,
  role: z.enum(['self', 'endpoint', 'routes', 'sends', 'policy']),
  errors: z.number(),
  warnings: z.number(),
});
export type ServiceObject = z.infer<typeof serviceObjectSchema>;
/** GET /api/v1/mesh/services/:namespace/:name */
export const serviceDetailSchema = z.object({ service: serviceSummarySchema, objects: z.array(serviceObjectSchema) });

/** GET /api/v1/security: what decides about each workload's connections and requests. */
export const workloadSecuritySchema = z.object({
  namespace: z.string(),
  workload: z.string(),
  /** What its sidecar takes: mutual TLS only, both, or plaintext only. */
  mtls: z.enum(['STRICT', 'PERMISSIVE', 'DISABLE']),
  /** The PeerAuthentication that says so; absent = none, so Istio's default. */
  peerAuthentication: objectRefSchema.optional(),
  /** Ports with a mode of their own. */
  ports: z.record(z.string(), z.enum(['STRICT', 'PERMISSIVE', 'DISABLE'])),
  /** AuthorizationPolicies and RequestAuthentications that select it. */
  policies: z.array(objectRefSchema),
  /** SPIFFE identity of its proxy, and when its certificate ends (Unix ms); absent = no proxy is connected. */
  identity: z.string().optional(),
  notAfter: z.number().optional(),
});
export type WorkloadSecurity = z.infer<typeof workloadSecuritySchema>;
export const securitySchema = z.object({ items: z.array(workloadSecuritySchema) });

/** GET /api/v1/status */
export const statusSchema = z.object({
  version: z.string(),
  mesh: z.string(),
  revision: z.string(),
  startedAt: z.number(),
  proxies: z.object({ total: z.number(), synced: z.number(), nacked: z.number(), disconnected: z.number() }),
  problems: z.object({ errors: z.number(), warnings: z.number() }),
  namespaces: z.array(z.string()),
  /** Changes at each start of the server; a live client that sees another one drops what it knows. */
  serverId: z.string(),
});
export type Status = z.infer<typeof statusSchema>;

/** GET and PUT /api/v1/load: the demo's load generator. 404 when no demo runs. */
export const loadSchema = z.object({
  /** Wanted requests per second; 0 = paused. */
  rps: z.number(),
  actualRps: z.number(),
  sent: z.number(),
  ok: z.number(),
  failed: z.number(),
});
export type Load = z.infer<typeof loadSchema>;
export const loadChangeSchema = z.strictObject({ rps: z.number().min(0).max(2_000) });

/** GET /api/v1/series */
export const seriesQuerySchema = z.object({
  /** Of requests: `rps`, `errors` (share 0-1), `p50`, `p95`, `p99` (ms). Of TCP: `tcpBytes` per second, both ways. */
  metric: z.enum(['rps', 'errors', 'p50', 'p95', 'p99', 'tcpBytes']),
  /** Node id of the graph, or `edge:<edge id>`; absent = the whole mesh. */
  of: z.string().optional(),
  /** One line per: `version` of the destination, `code`, `source`. */
  by: z.enum(['none', 'version', 'code', 'source']).default('none'),
  /** Unix ms. */
  start: z.coerce.number(),
  end: z.coerce.number(),
  stepMs: z.coerce.number().int().min(1_000),
});
export type SeriesQuery = z.infer<typeof seriesQuerySchema>;
export const seriesSchema = z.object({
  /** Unix ms, shared by all lines. */
  times: z.array(z.number()),
  /** null = no sample in that step. */
  lines: z.array(z.object({ name: z.string(), values: z.array(z.number().nullable()) })),
});
export type Series = z.infer<typeof seriesSchema>;

/** Every refusal of the console's API. */
export const apiErrorSchema = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    /** What to do about it. */
    fix: z.string().optional(),
    problems: z.array(z.unknown()).optional(),
    /** On 409: the object as it is now (YAML), for a merge. */
    current: z.object({ yaml: z.string(), resourceVersion: z.string() }).optional(),
  }),
});
export type ApiError = z.infer<typeof apiErrorSchema>;

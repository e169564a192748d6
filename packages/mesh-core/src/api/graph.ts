// The service graph as the console receives it: topology once, then columns of numbers by index.

import { z } from 'zod';

/** Worst first when compared by index from the right: healthy < degraded < failing; idle and unknown carry no judgement. */
export const HEALTH = ['unknown', 'idle', 'healthy', 'degraded', 'failing'] as const;
export const healthSchema = z.enum(HEALTH);
export type Health = z.infer<typeof healthSchema>;

export const graphTypeSchema = z.enum(['versionedApp', 'service', 'workload', 'app']);
export type GraphType = z.infer<typeof graphTypeSchema>;

export const badgeSchema = z.enum([
  'virtual-service',
  'traffic-shifting',
  'request-routing',
  'timeout-retry',
  'circuit-breaker',
  'fault-injection',
  'mirroring',
  'gateway',
  'strict-mtls',
  'authorization-policy',
  'missing-sidecar',
]);
export type Badge = z.infer<typeof badgeSchema>;

export const graphBoxSchema = z.object({
  /** `ns:bookinfo` or `app:bookinfo/reviews` (a service with its versions). */
  id: z.string(),
  kind: z.enum(['namespace', 'app']),
  label: z.string(),
  namespace: z.string(),
  /** Enclosing box. */
  parent: z.string().optional(),
});
export type GraphBox = z.infer<typeof graphBoxSchema>;

export const graphNodeSchema = z.object({
  /** `wl:<ns>/<workload>`, `svc:<ns>/<service>`, `app:<ns>/<app>`, `gw:<ns>/<workload>`, `ext:<host>` or `unknown`. Stable across frames. */
  id: z.string(),
  kind: z.enum(['workload', 'service', 'app', 'gateway', 'external', 'unknown']),
  namespace: z.string(),
  /** Title on the card: `productpage`, or the version (`v1`) inside an app box. */
  label: z.string(),
  workload: z.string().optional(),
  app: z.string().optional(),
  version: z.string().optional(),
  /** Host of the service this node is or belongs to: `reviews.bookinfo.svc.cluster.local`. */
  service: z.string().optional(),
  /** Innermost box. */
  box: z.string().optional(),
  badges: z.array(badgeSchema),
  /** False for something that has no sidecar. */
  inMesh: z.boolean(),
  /** xDS node ids of its proxies. */
  proxies: z.array(z.string()),
});
export type GraphNode = z.infer<typeof graphNodeSchema>;

export const graphEdgeSchema = z.object({
  /** `<source>><target>:<protocol>`, stable across frames. */
  id: z.string(),
  source: z.string(),
  target: z.string(),
  protocol: z.enum(['http', 'grpc', 'tcp']),
});
export type GraphEdge = z.infer<typeof graphEdgeSchema>;

/**
 * Column order of node rows. Rates per second; errors 0-1 share of requests; quantiles in ms (-1 = no sample); `tcpBytes` = both ways, of TCP
 * connections that come in, else of those it makes; health = index in {@link HEALTH}.
 */
export const NODE_COLUMNS = ['inRps', 'inErrors', 'outRps', 'outErrors', 'p50', 'p95', 'p99', 'tcpBytes', 'health'] as const;
/**
 * Column order of edge rows. `share` = this edge's share of its siblings from the same service node, -1 where it has none;
 * `intended` = the configured weight as a share, -1 where no route sets one; `mtls` = share of requests over mutual TLS, -1 unknown;
 * `bytes` = per second both ways (TCP: the only rate).
 */
export const EDGE_COLUMNS = ['rps', 'errors', 'p50', 'p95', 'p99', 'share', 'intended', 'mtls', 'bytes', 'health'] as const;

export const numberRowSchema = z.array(z.number());

export const graphSnapshotSchema = z.object({
  /** Unix ms of the window's end. */
  at: z.number(),
  windowSec: z.number(),
  graphType: graphTypeSchema,
  boxes: z.array(graphBoxSchema),
  nodes: z.array(graphNodeSchema),
  edges: z.array(graphEdgeSchema),
  /** Rows in the order of `nodes`, columns as NODE_COLUMNS. */
  nodeRows: z.array(numberRowSchema),
  /** Rows in the order of `edges`, columns as EDGE_COLUMNS. */
  edgeRows: z.array(numberRowSchema),
  /** What is missing from the picture and why, in words (`no telemetry from reviews-v2 for 4 s`). */
  notes: z.array(z.string()),
});
export type GraphSnapshot = z.infer<typeof graphSnapshotSchema>;

/** A change against the previous revision. When topology changed the server sends a whole snapshot instead. */
export const graphDeltaSchema = z.object({
  at: z.number(),
  /** `[index, ...NODE_COLUMNS]`, changed rows only. */
  nodeRows: z.array(numberRowSchema),
  /** `[index, ...EDGE_COLUMNS]`, changed rows only. */
  edgeRows: z.array(numberRowSchema),
  notes: z.array(z.string()),
});
export type GraphDelta = z.infer<typeof graphDeltaSchema>;

// Traces for the console. Ids are lower-case hex; times in microseconds since the epoch, as Jaeger has them.

import { z } from 'zod';

export const traceQuerySchema = z.object({
  /** Service name as in spans: `reviews.bookinfo`. */
  service: z.string().optional(),
  operation: z.string().optional(),
  /** Only traces with a span from `source` workload's service to `destination`'s (opened from a graph edge). */
  from: z.string().optional(),
  to: z.string().optional(),
  status: z.enum(['any', 'error', 'ok']).default('any'),
  minMs: z.coerce.number().min(0).optional(),
  maxMs: z.coerce.number().min(0).optional(),
  /** `key=value` pairs separated by spaces: `http.status_code=503 response_flags=UF`. */
  tags: z.string().max(2_000).optional(),
  /** Unix ms. */
  start: z.coerce.number().optional(),
  end: z.coerce.number().optional(),
  limit: z.coerce.number().int().min(1).max(1_500).default(100),
});
export type TraceQuery = z.infer<typeof traceQuerySchema>;

export const traceSummarySchema = z.object({
  traceId: z.string(),
  /** Of the root span. */
  name: z.string(),
  rootService: z.string(),
  startUs: z.number(),
  durationUs: z.number(),
  spans: z.number(),
  errors: z.number(),
  /** True when an error happened below but the root succeeded. */
  recovered: z.boolean(),
  /** Share of self time per service, largest first. */
  services: z.array(z.object({ service: z.string(), spans: z.number(), selfUs: z.number() })),
});
export type TraceSummary = z.infer<typeof traceSummarySchema>;

export const traceListSchema = z.object({ traces: z.array(traceSummarySchema), total: z.number(), truncated: z.boolean() });

export const attributeValueSchema = z.union([z.string(), z.number(), z.boolean()]);
export const spanSchema = z.object({
  spanId: z.string(),
  /** '' for a root. */
  parentId: z.string(),
  service: z.string(),
  name: z.string(),
  kind: z.enum(['server', 'client', 'internal', 'producer', 'consumer']),
  startUs: z.number(),
  durationUs: z.number(),
  error: z.boolean(),
  attributes: z.record(z.string(), attributeValueSchema),
  resource: z.record(z.string(), attributeValueSchema),
  events: z.array(z.object({ atUs: z.number(), name: z.string(), attributes: z.record(z.string(), attributeValueSchema) })),
});
export type Span = z.infer<typeof spanSchema>;
export const traceSchema = z.object({ traceId: z.string(), spans: z.array(spanSchema) });
export type Trace = z.infer<typeof traceSchema>;

/** GET /api/v1/trace-services */
export const traceServicesSchema = z.object({ services: z.array(z.object({ name: z.string(), operations: z.array(z.string()) })) });

/** GET /api/v1/requests: the last requests a service got or, where the caller's proxy failed them, should have got, by their spans. */
export const requestQuerySchema = z.object({
  /** As in spans: `reviews.bookinfo`. */
  service: z.string(),
  workload: z.string().optional(),
  status: z.enum(['any', 'error', 'ok']).default('any'),
  /** Unix ms. */
  start: z.coerce.number().optional(),
  end: z.coerce.number().optional(),
  limit: z.coerce.number().int().min(1).max(500).default(100),
});
export type RequestQuery = z.infer<typeof requestQuerySchema>;
export const recordedRequestSchema = z.object({
  traceId: z.string(),
  spanId: z.string(),
  atUs: z.number(),
  durationUs: z.number(),
  error: z.boolean(),
  /** '' = it never reached one: the caller's proxy answered. */
  workload: z.string(),
  /** Service that sent it; absent = from outside of what is traced. */
  from: z.string().optional(),
  method: z.string(),
  url: z.string(),
  protocol: z.string(),
  /** HTTP status; '' = none. */
  code: z.string(),
  /** '' = no gRPC. */
  grpcStatus: z.string(),
  /** Envoy's response flags, `UF,URX`. */
  flags: z.string(),
  requestBytes: z.number(),
  responseBytes: z.number(),
  userAgent: z.string(),
});
export type RecordedRequest = z.infer<typeof recordedRequestSchema>;
export const recordedRequestListSchema = z.object({ items: z.array(recordedRequestSchema) });

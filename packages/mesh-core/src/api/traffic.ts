// Traffic split of one service: what is configured beside what is observed, and how far an edit has spread.

import { z } from 'zod';

export const objectRefSchema = z.object({ kind: z.string(), namespace: z.string(), name: z.string() });

export const propagationStateSchema = z.enum(['pending', 'sent', 'acked', 'nacked', 'disconnected']);
export const proxyPropagationSchema = z.object({
  proxyId: z.string(),
  workload: z.string(),
  namespace: z.string(),
  state: propagationStateSchema,
  /** ms from the commit to the send, and to the last ACK or NACK of the resources this edit changed. */
  sentMs: z.number().optional(),
  answeredMs: z.number().optional(),
  /** The proxy's own words when it refused. */
  error: z.string().optional(),
  /** Short type names that changed for this proxy: `route`, `cluster`, ... */
  types: z.array(z.string()),
});

export const propagationSchema = z.object({
  revision: z.string(),
  /** Only proxies whose resources the edit changed. */
  proxies: z.array(proxyPropagationSchema),
  /** ms from commit to the last answer, or, where all were gone before they answered, to when the last went; absent while some are outstanding. */
  completeMs: z.number().optional(),
});
export type Propagation = z.infer<typeof propagationSchema>;

export const splitDestinationSchema = z.object({
  subset: z.string(),
  /** Labels the DestinationRule's subset selects. */
  labels: z.record(z.string(), z.string()),
  /** Configured weight, 0-100 (normalised to the sum). */
  weight: z.number(),
  workloads: z.array(z.string()),
  /** Share of requests seen since the last change of weights (at most `windowSec`), 0-100; -1 = no requests yet. */
  observed: z.number(),
  rps: z.number(),
  errors: z.number(),
  p50: z.number(),
  p95: z.number(),
  p99: z.number(),
  /** The younger version that gets less than all traffic. */
  canary: z.boolean(),
});

export const trafficSplitSchema = z.object({
  at: z.number(),
  namespace: z.string(),
  service: z.string(),
  host: z.string(),
  /** The VirtualService that decides; absent = none yet (a write creates one). */
  virtualService: objectRefSchema.optional(),
  /** resourceVersion to send back with a change; '' = the object does not exist. */
  resourceVersion: z.string(),
  /** Name or index of the http route whose weights these are (the first catch-all route). */
  route: z.string(),
  destinations: z.array(splitDestinationSchema),
  /** Window of `observed`, seconds. */
  windowSec: z.number(),
  /** Revision of the last change of weights, with its spread. */
  propagation: propagationSchema.optional(),
  /** Why weights cannot be set here (no DestinationRule with subsets, TCP only ...). */
  blocked: z.string().optional(),
});
export type TrafficSplit = z.infer<typeof trafficSplitSchema>;

/** PUT /api/v1/traffic-split/:namespace/:service */
export const trafficSplitChangeSchema = z.strictObject({
  /** Weight per subset, integers that add up to 100. */
  weights: z.record(z.string(), z.number().int().min(0).max(100)),
  /** From {@link trafficSplitSchema}; a stale one answers 409. */
  resourceVersion: z.string(),
});

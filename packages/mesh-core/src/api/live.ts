// The live channel /api/v1/live: subscribe, one snapshot, then numbered deltas. A client whose `rev` is not the delta's `prev`
// has missed something and subscribes again.

import { z } from 'zod';
import { graphDeltaSchema, graphSnapshotSchema, graphTypeSchema } from './graph.ts';
import { propagationSchema, trafficSplitSchema } from './traffic.ts';
import { proxyStatusSchema, statusSchema } from './mesh.ts';
import { revisionSchema } from './config.ts';

export const subscribeSchema = z.discriminatedUnion('topic', [
  /** Once a second: graph snapshot, then deltas (a snapshot again when topology changed). */
  z.strictObject({
    op: z.literal('subscribe'),
    id: z.number().int(),
    topic: z.literal('graph'),
    /** Absent or empty = all. */
    namespaces: z.array(z.string()).optional(),
    windowSec: z.number().int().min(2).max(86_400).default(30),
    graphType: graphTypeSchema.default('versionedApp'),
    includeIdle: z.boolean().default(true),
    /** Resume: the revision the client holds. */
    rev: z.number().int().optional(),
    serverId: z.string().optional(),
  }),
  /** Once a second, and at once on a change of weights or an ACK: whole TrafficSplit. */
  z.strictObject({ op: z.literal('subscribe'), id: z.number().int(), topic: z.literal('split'), namespace: z.string(), service: z.string() }),
  /** Whole list first, then changed proxies as `delta`. */
  z.strictObject({ op: z.literal('subscribe'), id: z.number().int(), topic: z.literal('proxies') }),
  /** The last 50 revisions first, then each new one; and propagation of recent ones as it proceeds. */
  z.strictObject({ op: z.literal('subscribe'), id: z.number().int(), topic: z.literal('revisions') }),
  /** Whole Status on every change, at most once a second. */
  z.strictObject({ op: z.literal('subscribe'), id: z.number().int(), topic: z.literal('status') }),
]);
export type Subscribe = z.infer<typeof subscribeSchema>;
/** As a client writes it: fields with defaults may be absent. */
export type SubscribeInput = z.input<typeof subscribeSchema>;
export const clientMessageSchema = z.union([subscribeSchema, z.strictObject({ op: z.literal('unsubscribe'), id: z.number().int() })]);

/** So often at least a client hears something; one that hears nothing for three times as long has lost the server, whatever its socket says. */
export const ALIVE_MS = 3_000;

const frame = { id: z.number().int(), rev: z.number().int() };
export const serverMessageSchema = z.union([
  z.object({ type: z.literal('hello'), serverId: z.string(), version: z.string() }),
  z.object({ type: z.literal('alive') }),
  z.object({ type: z.literal('snapshot'), ...frame, topic: z.literal('graph'), data: graphSnapshotSchema }),
  z.object({ type: z.literal('delta'), ...frame, prev: z.number().int(), topic: z.literal('graph'), data: graphDeltaSchema }),
  z.object({ type: z.literal('snapshot'), ...frame, topic: z.literal('split'), data: trafficSplitSchema }),
  z.object({ type: z.literal('snapshot'), ...frame, topic: z.literal('proxies'), data: z.array(proxyStatusSchema) }),
  z.object({
    type: z.literal('delta'),
    ...frame,
    prev: z.number().int(),
    topic: z.literal('proxies'),
    data: z.object({ changed: z.array(proxyStatusSchema), removed: z.array(z.string()) }),
  }),
  z.object({ type: z.literal('snapshot'), ...frame, topic: z.literal('revisions'), data: z.array(revisionSchema) }),
  z.object({
    type: z.literal('delta'),
    ...frame,
    prev: z.number().int(),
    topic: z.literal('revisions'),
    data: z.object({ added: z.array(revisionSchema), propagation: z.array(propagationSchema) }),
  }),
  z.object({ type: z.literal('snapshot'), ...frame, topic: z.literal('status'), data: statusSchema }),
  z.object({ type: z.literal('error'), id: z.number().int().optional(), code: z.string(), message: z.string() }),
]);
export type ServerMessage = z.infer<typeof serverMessageSchema>;

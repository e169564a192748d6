// Configuration through the console's own API; plain objects also go through the Kubernetes-style paths under /apis.

import { z } from 'zod';
import { objectRefSchema, propagationSchema } from './traffic.ts';

export const problemSchema = z.object({
  severity: z.enum(['error', 'warning', 'info']),
  code: z.string(),
  message: z.string(),
  ref: objectRefSchema.optional(),
  path: z.string().optional(),
  line: z.number().optional(),
  column: z.number().optional(),
  endLine: z.number().optional(),
  endColumn: z.number().optional(),
  fix: z.object({ label: z.string(), value: z.unknown() }).optional(),
  /** Refers to an object that is not there (yet): told, but refuses no write. */
  unresolved: z.literal(true).optional(),
});

export type Problem = z.infer<typeof problemSchema>;

/** GET /api/v1/problems: what is wrong with the stored objects, or with how proxies took them. */
export const problemListSchema = z.object({ items: z.array(problemSchema) });

export const configSummarySchema = z.object({
  ref: objectRefSchema,
  apiVersion: z.string(),
  resourceVersion: z.string(),
  creationTimestamp: z.string(),
  errors: z.number(),
  warnings: z.number(),
});
export type ConfigSummary = z.infer<typeof configSummarySchema>;

/** GET /api/v1/config */
export const configListSchema = z.object({ items: z.array(configSummarySchema), revision: z.string() });

/** GET /api/v1/config/:kind/:namespace/:name */
export const configObjectSchema = z.object({
  ref: objectRefSchema,
  resourceVersion: z.string(),
  /** The text as last applied, comments kept; generated from the object when it never had any. */
  yaml: z.string(),
  problems: z.array(problemSchema),
});
export type ConfigObject = z.infer<typeof configObjectSchema>;

/** POST /api/v1/config/check: validates without writing (dry run) and tells the effect. */
export const configCheckRequestSchema = z.strictObject({ yaml: z.string().max(4_194_304) });
export const configCheckSchema = z.object({
  problems: z.array(problemSchema),
  /** Objects in the text, in order, with what applying would do. */
  objects: z.array(z.object({ ref: objectRefSchema, verb: z.enum(['create', 'update', 'unchanged']) })),
  /** Proxies whose resources would change, with the short type names. */
  proxies: z.array(z.object({ proxyId: z.string(), workload: z.string(), namespace: z.string(), types: z.array(z.string()) })),
  /** Traffic that would move, per host and destination: shares 0-100 before and after, and the rate at present. */
  traffic: z.array(
    z.object({ host: z.string(), rps: z.number(), destinations: z.array(z.object({ subset: z.string(), before: z.number(), after: z.number() })) }),
  ),
  checkedMs: z.number(),
});
export type ConfigCheck = z.infer<typeof configCheckSchema>;

/** POST /api/v1/config/apply: all documents or none; with `?dryRun=All` none, and the answer is what it would be. `resourceVersions` by refKey; a missing key = no check ('' = must not exist). */
export const configApplyRequestSchema = z.strictObject({
  yaml: z.string().max(4_194_304),
  resourceVersions: z.record(z.string(), z.string()).default({}),
  reason: z.string().max(500).optional(),
});
export const configApplySchema = z.object({
  revision: z.string(),
  applied: z.array(z.object({ ref: objectRefSchema, verb: z.enum(['create', 'update', 'unchanged']), resourceVersion: z.string() })),
  /** What is odd about what was applied; nothing of it refused the write. */
  problems: z.array(problemSchema).default([]),
});
export type ConfigApply = z.infer<typeof configApplySchema>;

export const revisionSchema = z.object({
  revision: z.string(),
  /** Unix ms. */
  at: z.number(),
  actor: z.string(),
  reason: z.string().optional(),
  /** `reviews v1=50 v2=50`, one line for people. */
  summary: z.string(),
  changes: z.array(
    z.object({ ref: objectRefSchema, verb: z.enum(['create', 'update', 'delete']), before: z.string().optional(), after: z.string().optional() }),
  ),
  propagation: propagationSchema.optional(),
});
/** One commit of the journal; `before` and `after` are YAML (absent in lists). */
export type Revision = z.infer<typeof revisionSchema>;
/** GET /api/v1/revisions/:revision/propagation: for who waits, without what was changed; nothing = no proxy was told anything (yet). */
export const revisionPropagationSchema = z.object({ propagation: propagationSchema.optional() });
export type RevisionPropagation = z.infer<typeof revisionPropagationSchema>;
/** GET /api/v1/revisions?limit=&namespace=  newest first. POST /api/v1/revisions/:revision/undo answers a configApplySchema. */
export const revisionListSchema = z.object({ items: z.array(revisionSchema) });

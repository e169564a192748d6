// Telemetry (telemetry.istio.io): what is traced, logged and counted, and with which tags.

import { z } from 'zod';
import { duration } from './schema-parts.ts';
import { ONE_TARGET, hasOneTarget, policyTargets } from './target-ref.ts';

const mode = z.enum(['CLIENT_AND_SERVER', 'CLIENT', 'SERVER']);
const providers = z.array(z.strictObject({ name: z.string().min(1) })).optional();

const customTag = z
  .strictObject({
    literal: z.strictObject({ value: z.string().min(1) }).optional(),
    environment: z.strictObject({ name: z.string().min(1), defaultValue: z.string().optional() }).optional(),
    header: z.strictObject({ name: z.string().min(1), defaultValue: z.string().optional() }).optional(),
    formatter: z.strictObject({ value: z.string().min(1) }).optional(),
  })
  .refine((t) => Object.keys(t).length === 1, 'must have one of literal, environment, header, formatter');

const tracing = z.strictObject({
  match: z.strictObject({ mode: mode.optional() }).optional(),
  providers,
  randomSamplingPercentage: z.number().min(0).max(100).optional(),
  disableSpanReporting: z.boolean().optional(),
  customTags: z.record(z.string().min(1), customTag).optional(),
  useRequestIdForTraceSampling: z.boolean().optional(),
  enableIstioTags: z.boolean().optional(),
  disableContextPropagation: z.boolean().optional(),
});

/** Istio's metrics by the names a Telemetry gives them. */
export const ISTIO_METRICS = [
  'REQUEST_COUNT',
  'REQUEST_DURATION',
  'REQUEST_SIZE',
  'RESPONSE_SIZE',
  'TCP_OPENED_CONNECTIONS',
  'TCP_CLOSED_CONNECTIONS',
  'TCP_SENT_BYTES',
  'TCP_RECEIVED_BYTES',
  'GRPC_REQUEST_MESSAGES',
  'GRPC_RESPONSE_MESSAGES',
] as const;
export type IstioMetric = (typeof ISTIO_METRICS)[number];

const override = z.strictObject({
  match: z
    .strictObject({ metric: z.enum(['ALL_METRICS', ...ISTIO_METRICS]).optional(), customMetric: z.string().min(1).optional(), mode: mode.optional() })
    .refine((m) => m.metric === undefined || m.customMetric === undefined, 'must have one of metric, customMetric')
    .optional(),
  disabled: z.boolean().optional(),
  tagOverrides: z
    .record(
      z.string().min(1),
      z
        .strictObject({ operation: z.enum(['UPSERT', 'REMOVE']).optional(), value: z.string().optional() })
        .refine((t) => (t.operation === 'REMOVE') !== Boolean(t.value), 'must have a value with UPSERT, and none with REMOVE'),
    )
    .optional(),
});

export const telemetrySpec = z
  .strictObject({
    ...policyTargets,
    tracing: z.array(tracing).optional(),
    metrics: z.array(z.strictObject({ providers, overrides: z.array(override).optional(), reportingInterval: duration.optional() })).optional(),
    accessLogging: z
      .array(
        z.strictObject({
          match: z.strictObject({ mode: mode.optional() }).optional(),
          providers,
          disabled: z.boolean().optional(),
          filter: z.strictObject({ expression: z.string().optional() }).optional(),
        }),
      )
      .optional(),
  })
  .refine(hasOneTarget, ONE_TARGET);
export type TelemetrySpec = z.infer<typeof telemetrySpec>;

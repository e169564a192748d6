// HTTPRoute and GRPCRoute (gateway.networking.k8s.io) as routes of the mesh: attached to Services, not to gateways.

import { z } from 'zod';
import { headerName } from './http-headers.ts';
import { durationMs, hostName, portNumber, regex } from './schema-parts.ts';

const name = z.string().min(1).max(253);
const label = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be a name: lower-case letters, digits and -');
const duration = z
  .string()
  .regex(/^(\d{1,5}(h|m|s|ms)){1,4}$/, 'must be a duration like 10s or 1m30s')
  .refine((text) => durationMs(text) !== undefined);

const parentRef = z
  .strictObject({
    group: z.string().optional(),
    kind: z.string().optional(),
    namespace: label.optional(),
    name,
    sectionName: z.string().optional(),
    port: portNumber.optional(),
  })
  .refine((p) => p.kind === 'Service' && (p.group ?? '') === '', 'must be a Service: {group: "", kind: Service, name}; gateways take VirtualServices');

const target = {
  group: z.literal('').optional(),
  kind: z.literal('Service').optional(),
  name,
  namespace: label.optional(),
  port: portNumber,
};
const backend = z.strictObject(target);

const headerPairs = z.array(z.strictObject({ name: headerName, value: z.string() })).max(16);
const modifier = z.strictObject({ set: headerPairs.optional(), add: headerPairs.optional(), remove: z.array(headerName).max(16).optional() });
const path = z
  .strictObject({ type: z.enum(['ReplaceFullPath', 'ReplacePrefixMatch']), replaceFullPath: z.string().optional(), replacePrefixMatch: z.string().optional() })
  .refine(
    (p) =>
      (p.type === 'ReplaceFullPath' ? p.replaceFullPath : p.replacePrefixMatch) !== undefined &&
      (p.replaceFullPath === undefined) !== (p.replacePrefixMatch === undefined),
    'must have the one field its type names: replaceFullPath or replacePrefixMatch',
  );

const common = [
  z.strictObject({ type: z.literal('RequestHeaderModifier'), requestHeaderModifier: modifier }),
  z.strictObject({ type: z.literal('ResponseHeaderModifier'), responseHeaderModifier: modifier }),
  z.strictObject({
    type: z.literal('RequestMirror'),
    requestMirror: z.strictObject({
      backendRef: backend,
      percent: z.number().int().min(0).max(100).optional(),
      fraction: z.strictObject({ numerator: z.number().int().min(0), denominator: z.number().int().min(1).optional() }).optional(),
    }),
  }),
] as const;
const httpFilter = z.discriminatedUnion('type', [
  ...common,
  z.strictObject({
    type: z.literal('RequestRedirect'),
    requestRedirect: z.strictObject({
      scheme: z.enum(['http', 'https']).optional(),
      hostname: hostName.optional(),
      path: path.optional(),
      port: portNumber.optional(),
      statusCode: z.union([z.literal(301), z.literal(302), z.literal(303), z.literal(307), z.literal(308)]).optional(),
    }),
  }),
  z.strictObject({ type: z.literal('URLRewrite'), urlRewrite: z.strictObject({ hostname: hostName.optional(), path: path.optional() }) }),
]);
const grpcFilter = z.discriminatedUnion('type', [...common]);

const valueMatch = z.strictObject({ type: z.enum(['Exact', 'RegularExpression']).optional(), name: headerName, value: z.string().min(1).max(4_096) });
const httpMatch = z.strictObject({
  path: z
    .strictObject({ type: z.enum(['Exact', 'PathPrefix', 'RegularExpression']).optional(), value: z.string().max(1_024).optional() })
    .refine((p) => p.type === 'RegularExpression' || (p.value ?? '/').startsWith('/'), 'must start with /')
    .refine((p) => p.type !== 'RegularExpression' || regex.safeParse(p.value).success, 'must be a regular expression of RE2 syntax')
    .optional(),
  headers: z.array(valueMatch).max(16).optional(),
  queryParams: z.array(valueMatch).max(16).optional(),
  method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']).optional(),
});
const grpcMatch = z.strictObject({
  method: z
    .strictObject({ type: z.enum(['Exact', 'RegularExpression']).optional(), service: z.string().min(1).optional(), method: z.string().min(1).optional() })
    .refine((m) => m.service !== undefined || m.method !== undefined, 'must have service, method or both')
    .optional(),
  headers: z.array(valueMatch).max(16).optional(),
});

const rule = <M extends z.ZodType, F extends z.ZodType>(match: M, filter: F) => ({
  name: z.string().optional(),
  matches: z.array(match).max(64).optional(),
  filters: z.array(filter).max(16).optional(),
  backendRefs: z
    .array(z.strictObject({ ...target, weight: z.number().int().min(0).max(1_000_000).optional(), filters: z.array(filter).max(16).optional() }))
    .max(16)
    .optional(),
});
const route = { parentRefs: z.array(parentRef).min(1, 'needs a Service to attach to').max(32), hostnames: z.array(hostName).max(16).optional() };

export const httpRouteSpec = z.strictObject({
  ...route,
  rules: z
    .array(
      z
        .strictObject({
          ...rule(httpMatch, httpFilter),
          timeouts: z.strictObject({ request: duration.optional(), backendRequest: duration.optional() }).optional(),
          retry: z
            .strictObject({
              codes: z.array(z.number().int().min(400).max(599)).optional(),
              attempts: z.number().int().min(0).optional(),
              backoff: duration.optional(),
            })
            .optional(),
        })
        .refine(
          ({ matches = [], filters = [] }) =>
            !filters.some(
              (f) => (f.type === 'URLRewrite' ? f.urlRewrite : f.type === 'RequestRedirect' ? f.requestRedirect : {}).path?.type === 'ReplacePrefixMatch',
            ) ||
            (matches.length <= 1 && (matches[0]?.path?.type ?? 'PathPrefix') === 'PathPrefix'),
          'ReplacePrefixMatch needs one match by PathPrefix: it replaces the matched prefix',
        ),
    )
    .min(1)
    .max(16)
    .optional(),
});
export const grpcRouteSpec = z.strictObject({
  ...route,
  rules: z
    .array(z.strictObject(rule(grpcMatch, grpcFilter)))
    .min(1)
    .max(16)
    .optional(),
});
export type MeshRouteSpec = z.infer<typeof httpRouteSpec>;
export type GrpcRouteSpec = z.infer<typeof grpcRouteSpec>;

// HTTPRoute and GRPCRoute (gateway.networking.k8s.io), attached to Gateways or to Services of the mesh.

import { z } from 'zod';
import { headerName } from './http-headers.ts';
import { gatewayHostname, groupName, kindName, namespaceName, objectName, sectionName } from './kubernetes-gateway.ts';
import { durationMs, portNumber, regex } from './schema-parts.ts';

const duration = z
  .string()
  .regex(/^(\d{1,5}(h|m|s|ms)){1,4}$/, 'must be a duration like 10s or 1m30s')
  .refine((text) => durationMs(text) !== undefined);

/** Of another kind than Gateway or Service it is for another controller, and says nothing here. */
export const parentRef = z.strictObject({
  group: groupName.optional(),
  kind: kindName.optional(),
  namespace: namespaceName.optional(),
  name: objectName,
  sectionName: sectionName.optional(),
  port: portNumber.optional(),
});

export const backendFields = {
  group: groupName.optional(),
  kind: kindName.optional(),
  name: objectName,
  namespace: namespaceName.optional(),
  port: portNumber.optional(),
};
interface Target {
  group?: string | undefined;
  kind?: string | undefined;
  name: string;
  port?: number | undefined;
}
export const hasPort = ({ group = '', kind = 'Service', port }: Target): boolean => group !== '' || kind !== 'Service' || port !== undefined;
export const NEEDS_PORT = 'needs a port: it names a Service';
export const isName = ({ group = '', kind = 'Service', name }: Target): boolean => group !== '' || kind !== 'Service' || !name.includes('.');
export const IS_NAME = 'must have the name of the Service, not its host name; what is in another namespace is named by namespace';
const backend = z.strictObject(backendFields).refine(hasPort, NEEDS_PORT).refine(isName, IS_NAME);

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
const alone = (list: readonly string[]): boolean => list.length <= 1 || !list.includes('*');
const ALONE = '* stands alone: it is all of them';
const cors = z.strictObject({
  allowOrigins: z
    .array(
      z
        .string()
        .max(253)
        .regex(
          /^(\*|https?:\/\/((\*\.)?([a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\*)(:\d{1,5})?)$/,
          'must be an origin like https://example.com or https://*.example.com, or *',
        ),
    )
    .max(64)
    .refine(alone, ALONE)
    .optional(),
  allowMethods: z
    .array(z.enum(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', '*']))
    .max(9)
    .refine(alone, ALONE)
    .optional(),
  allowHeaders: z.array(headerName).max(64).refine(alone, ALONE).optional(),
  exposeHeaders: z.array(headerName).max(64).optional(),
  allowCredentials: z.boolean().optional(),
  maxAge: z.number().int().min(1).optional(),
});

const httpFilter = z.discriminatedUnion('type', [
  ...common,
  z.strictObject({ type: z.literal('CORS'), cors }),
  z.strictObject({
    type: z.literal('RequestRedirect'),
    requestRedirect: z.strictObject({
      scheme: z.enum(['http', 'https']).optional(),
      hostname: gatewayHostname.optional(),
      path: path.optional(),
      port: portNumber.optional(),
      statusCode: z.union([z.literal(301), z.literal(302), z.literal(303), z.literal(307), z.literal(308)]).optional(),
    }),
  }),
  z.strictObject({ type: z.literal('URLRewrite'), urlRewrite: z.strictObject({ hostname: gatewayHostname.optional(), path: path.optional() }) }),
]);
const grpcFilter = z.discriminatedUnion('type', [...common]);
/** Of one backend: headers alone, as in Istio. */
const backendFilter = z.discriminatedUnion('type', [common[0], common[1]]);

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
    .array(
      z
        .strictObject({ ...backendFields, weight: z.number().int().min(0).max(1_000_000).optional(), filters: z.array(backendFilter).max(16).optional() })
        .refine(hasPort, NEEDS_PORT)
        .refine(isName, IS_NAME),
    )
    .max(16)
    .optional(),
});
const route = { parentRefs: z.array(parentRef).max(32).optional(), hostnames: z.array(gatewayHostname).max(16).optional() };

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

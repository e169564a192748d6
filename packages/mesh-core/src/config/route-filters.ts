// Filters of HTTPRoutes and GRPCRoutes, and the backends they and their rules name.

import { z } from 'zod';
import { headerName } from './http-headers.ts';
import { gatewayHostname, groupName, kindName, namespaceName, objectName } from './kubernetes-gateway.ts';
import { portNumber } from './schema-parts.ts';

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

export const distinct = (list: readonly { name: string }[]): boolean => new Set(list.map((e) => e.name)).size === list.length;
export const DISTINCT = 'must have each name once';
const preciseHostname = gatewayHostname.refine((host) => !host.startsWith('*'), 'must be one host: requests are sent there');
const headerPairs = z
  .array(z.strictObject({ name: headerName, value: z.string() }))
  .max(16)
  .refine(distinct, DISTINCT);
const modifier = z.strictObject({
  set: headerPairs.optional(),
  add: headerPairs.optional(),
  remove: z
    .array(headerName)
    .max(16)
    .refine((list) => new Set(list).size === list.length, DISTINCT)
    .optional(),
});
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

export const httpFilter = z.discriminatedUnion('type', [
  ...common,
  z.strictObject({ type: z.literal('CORS'), cors }),
  z.strictObject({
    type: z.literal('RequestRedirect'),
    requestRedirect: z.strictObject({
      scheme: z.enum(['http', 'https']).optional(),
      hostname: preciseHostname.optional(),
      path: path.optional(),
      port: portNumber.optional(),
      statusCode: z.union([z.literal(301), z.literal(302), z.literal(303), z.literal(307), z.literal(308)]).optional(),
    }),
  }),
  z.strictObject({ type: z.literal('URLRewrite'), urlRewrite: z.strictObject({ hostname: preciseHostname.optional(), path: path.optional() }) }),
]);
export const grpcFilter = z.discriminatedUnion('type', [...common]);
/** Of one backend: headers alone, as in Istio. */
export const backendFilter = z.discriminatedUnion('type', [common[0], common[1]]);

/** Kinds of filters a rule may have one of. */
const ONCE: ReadonlySet<string> = new Set(['RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestRedirect', 'URLRewrite', 'CORS']);

/** What is wrong with the filters of one rule together. */
export function filterIssues(filters: readonly { type: string }[], backends: number): { index: number; message: string }[] {
  const types = filters.map((f) => f.type);
  return types.flatMap((type, index) => {
    if (ONCE.has(type) && types.indexOf(type) < index) return [{ index, message: `${type} is there already: join the two` }];
    if (type === 'RequestRedirect' && types.includes('URLRewrite')) return [{ index, message: 'RequestRedirect and URLRewrite exclude each other' }];
    return type === 'RequestRedirect' && backends > 0 ? [{ index, message: 'RequestRedirect answers by itself: remove backendRefs' }] : [];
  });
}

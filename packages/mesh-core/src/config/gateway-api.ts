// HTTPRoute and GRPCRoute (gateway.networking.k8s.io), attached to Gateways or to Services of the mesh.

import { z } from 'zod';
import { headerName } from './http-headers.ts';
import { gatewayHostname, groupName, kindName, namespaceName, objectName, sectionName } from './kubernetes-gateway.ts';
import {
  DISTINCT,
  IS_NAME,
  NEEDS_PORT,
  backendFields,
  backendFilter,
  distinct,
  filterIssues,
  grpcFilter,
  hasPort,
  httpFilter,
  isName,
} from './route-filters.ts';
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

const valueMatch = z.strictObject({ type: z.enum(['Exact', 'RegularExpression']).optional(), name: headerName, value: z.string().min(1).max(4_096) });
const PATH = /^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+$/;
const ODD_PATH = /\/\/|\/\.\.?(\/|$)|%2f/i;
const httpMatch = z.strictObject({
  path: z
    .strictObject({ type: z.enum(['Exact', 'PathPrefix', 'RegularExpression']).optional(), value: z.string().max(1_024).optional() })
    .refine((p) => p.type === 'RegularExpression' || (p.value ?? '/').startsWith('/'), 'must start with /')
    .refine(
      ({ type, value = '/' }) => type === 'RegularExpression' || (PATH.test(value) && !ODD_PATH.test(value)),
      'must be a path as it is compared: letters, digits and the signs a path may have, without //, /./, /../, %2F and #',
    )
    .refine((p) => p.type !== 'RegularExpression' || regex.safeParse(p.value).success, 'must be a regular expression of RE2 syntax')
    .optional(),
  headers: z.array(valueMatch).max(16).refine(distinct, DISTINCT).optional(),
  queryParams: z.array(valueMatch).max(16).refine(distinct, DISTINCT).optional(),
  method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']).optional(),
});
const grpcMatch = z.strictObject({
  method: z
    .strictObject({ type: z.enum(['Exact', 'RegularExpression']).optional(), service: z.string().min(1).optional(), method: z.string().min(1).optional() })
    .refine((m) => m.service !== undefined || m.method !== undefined, 'must have service, method or both')
    .optional(),
  headers: z.array(valueMatch).max(16).refine(distinct, DISTINCT).optional(),
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

function refineFilters(
  { filters = [], backendRefs = [] }: { filters?: { type: string }[] | undefined; backendRefs?: unknown[] | undefined },
  context: z.RefinementCtx,
): void {
  for (const { index, message } of filterIssues(filters, backendRefs.length)) context.addIssue({ code: 'custom', path: ['filters', index], message });
}
const ms = (text: string | undefined): number => (text === undefined ? 0 : (durationMs(text) ?? 0));

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
        )
        .refine(
          ({ timeouts: { request, backendRequest } = {} }) => !(ms(request) > 0) || !(ms(backendRequest) > ms(request)),
          'timeouts.backendRequest must not be longer than timeouts.request',
        )
        .superRefine(refineFilters),
    )
    .min(1)
    .max(16)
    .optional(),
});
export const grpcRouteSpec = z.strictObject({
  ...route,
  rules: z
    .array(z.strictObject(rule(grpcMatch, grpcFilter)).superRefine(refineFilters))
    .min(1)
    .max(16)
    .optional(),
});
export type MeshRouteSpec = z.infer<typeof httpRouteSpec>;
export type GrpcRouteSpec = z.infer<typeof grpcRouteSpec>;

// One HTTP rule of a VirtualService: what it matches and what becomes of the request.

import { z } from 'zod';
import { GRPC_STATUS } from '../model/index.ts';
import { headerName, headers, isAuthority } from './http-headers.ts';
import { duration, hostName, labels, percent, portNumber, positiveInt32, presenceMatch, regex, stringMatch, wholeSeconds } from './schema-parts.ts';

const subsetName = z.string().regex(/^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$/, 'must be a DNS label');
export const destination = z.strictObject({
  host: hostName.refine((host) => host !== '*', 'must name a host: the wildcard * is no destination'),
  subset: subsetName.or(z.literal('')).optional(),
  port: z.strictObject({ number: portNumber }).optional(),
});
export const weight = positiveInt32;

const httpMatch = z.strictObject({
  name: z.string().optional(),
  uri: stringMatch.optional(),
  scheme: stringMatch.optional(),
  method: stringMatch.optional(),
  authority: stringMatch.optional(),
  headers: z.record(z.string().min(1), stringMatch).optional(),
  withoutHeaders: z.record(z.string().min(1), presenceMatch).optional(),
  queryParams: z.record(z.string().min(1), stringMatch).optional(),
  port: portNumber.optional(),
  sourceLabels: labels.optional(),
  sourceNamespace: z
    .string()
    .regex(/^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$/, 'must be the name of a namespace')
    .optional(),
  gateways: z.array(z.string()).optional(),
  ignoreUriCase: z.boolean().optional(),
  statPrefix: z.string().optional(),
});

const RETRY_ON = new Set([
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'retriable-4xx',
  'refused-stream',
  'retriable-status-codes',
  'retriable-headers',
  'envoy-ratelimited',
  'http3-post-connect-failure',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
]);
/** Status codes that have a name, as Istio's Go knows them. */
const STATUS_CODE = /^(10[0-3]|20[0-8]|226|30[0-5]|30[78]|40\d|41[0-8]|42[1-6]|42[89]|431|451|50[0-8]|51[01])$/;
const retryOn = z.string().superRefine((text, context) => {
  if (text === '') return;
  for (const part of text.split(','))
    if (!RETRY_ON.has(part) && !STATUS_CODE.test(part))
      context.addIssue(
        `${part.trim() === '' ? 'an empty item' : JSON.stringify(part)} is no retry condition; use names like 5xx, reset, connect-failure, or status codes, with commas and no spaces between them`,
      );
});
const retries = z
  .strictObject({
    attempts: positiveInt32.optional(),
    perTryTimeout: duration.optional(),
    retryOn: retryOn.optional(),
    retryRemoteLocalities: z.boolean().optional(),
    retryIgnorePreviousHosts: z.boolean().optional(),
    backoff: duration.optional(),
  })
  .refine(
    (r) => (r.attempts ?? 0) > 0 || (r.perTryTimeout === undefined && r.retryOn === undefined && r.retryRemoteLocalities === undefined),
    'attempts 0, or none, switches retries off, so perTryTimeout, retryOn and retryRemoteLocalities must be absent',
  );

const fault = z
  .strictObject({
    delay: z.strictObject({ percentage: percent.optional(), percent: z.number().int().min(0).max(100).optional(), fixedDelay: duration }).optional(),
    abort: z
      .strictObject({ percentage: percent.optional(), httpStatus: z.number().int().min(200).max(599).optional(), grpcStatus: z.enum(GRPC_STATUS).optional() })
      .refine((a) => (a.httpStatus === undefined) !== (a.grpcStatus === undefined), 'must have one of httpStatus, grpcStatus')
      .optional(),
  })
  .refine((f) => f.delay !== undefined || f.abort !== undefined, 'must have a delay or an abort');

const redirect = z
  .strictObject({
    uri: z.string().optional(),
    prefixRewrite: z.string().optional(),
    authority: z.string().optional(),
    port: portNumber.optional(),
    derivePort: z.enum(['FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT']).optional(),
    scheme: z.enum(['http', 'https']).or(z.literal('')).optional(),
    redirectCode: z
      .number()
      .int()
      .refine((code) => [301, 302, 303, 307, 308].includes(code), 'must be 301, 302, 303, 307 or 308')
      .optional(),
  })
  .refine(
    (r) => Boolean(r.uri) || Boolean(r.prefixRewrite) || Boolean(r.authority) || Boolean(r.scheme) || r.port !== undefined || r.derivePort !== undefined,
    'must set uri, prefixRewrite, authority, scheme or port',
  )
  .refine((r) => !r.uri || !r.prefixRewrite, 'must not have both uri and prefixRewrite')
  .refine((r) => r.port === undefined || r.derivePort === undefined, 'must not have both port and derivePort');

const rewrite = z
  .strictObject({
    uri: z.string().optional(),
    authority: z.string().optional(),
    uriRegexRewrite: z.strictObject({ match: regex, rewrite: z.string().min(1) }).optional(),
  })
  .refine((r) => Boolean(r.uri) || Boolean(r.authority) || r.uriRegexRewrite !== undefined, 'must set uri, authority or uriRegexRewrite')
  .refine((r) => !r.uri || r.uriRegexRewrite === undefined, 'must not have both uri and uriRegexRewrite');

const corsPolicy = z.strictObject({
  allowOrigins: z.array(stringMatch.refine((m) => Boolean(m.exact ?? m.prefix ?? m.regex), 'must have one of exact, prefix, regex, not empty')).optional(),
  allowOrigin: z.array(z.string()).optional(),
  allowMethods: z.array(z.string()).optional(),
  allowHeaders: z.array(headerName).optional(),
  exposeHeaders: z.array(headerName).optional(),
  maxAge: wholeSeconds.optional(),
  allowCredentials: z.boolean().optional(),
  unmatchedPreflights: z.enum(['UNSPECIFIED', 'FORWARD', 'IGNORE']).optional(),
});

export const httpRoute = z
  .strictObject({
    name: z.string().optional(),
    match: z.array(httpMatch).optional(),
    route: z.array(z.strictObject({ destination, weight: weight.optional(), headers: headers.optional() })).optional(),
    redirect: redirect.optional(),
    directResponse: z
      .strictObject({
        status: z.number().int().min(200).max(599),
        body: z.union([z.strictObject({ string: z.string().max(1_048_576) }), z.strictObject({ bytes: z.string().max(1_398_104) })]).optional(),
      })
      .optional(),
    delegate: z.strictObject({ name: z.string().optional(), namespace: z.string().optional() }).optional(),
    rewrite: rewrite.optional(),
    timeout: duration.optional(),
    retries: retries.optional(),
    fault: fault.optional(),
    mirror: destination.optional(),
    mirrorPercent: z.number().int().min(0).max(100).optional(),
    mirrorPercentage: percent.optional(),
    mirrors: z.array(z.strictObject({ destination, percentage: percent.optional() })).optional(),
    corsPolicy: corsPolicy.optional(),
    headers: headers.optional(),
  })
  .superRefine((rule, context) => {
    const actions = (['route', 'redirect', 'directResponse', 'delegate'] as const).filter(
      (a) => rule[a] !== undefined && (a !== 'route' || (rule.route?.length ?? 0) > 0),
    );
    if (actions.length === 0) context.addIssue('must have one of route, redirect, directResponse, delegate');
    if (actions.length > 1) context.addIssue(`must have one of route, redirect, directResponse, delegate; it has ${actions.join(' and ')}`);
    for (const other of ['fault', 'rewrite'] as const)
      for (const action of ['redirect', 'directResponse'] as const)
        if (rule[other] !== undefined && rule[action] !== undefined) context.addIssue(`${other} cannot be combined with ${action}`);
    if (rule.mirror !== undefined && rule.mirrors !== undefined) context.addIssue('mirror cannot be combined with mirrors');
    if (rule.redirect?.prefixRewrite !== undefined && (rule.match ?? []).some((m) => m.uri !== undefined && m.uri.prefix === undefined))
      context.addIssue({ code: 'custom', path: ['redirect', 'prefixRewrite'], message: 'needs matches by uri.prefix: it replaces the matched prefix' });
    checkWeights(rule.route, context);
    const { set = {}, add = {} } = rule.headers?.request ?? {};
    const authorities = [
      rule.rewrite?.authority,
      ...[...Object.entries(set), ...Object.entries(add)].filter(([name]) => isAuthority(name)).map(([, value]) => value),
    ];
    if (authorities.filter(Boolean).length > 1) context.addIssue(`the Host is set more than once: to ${authorities.filter(Boolean).join(' and ')}`);
  });

/** Several destinations whose weights are all 0 would take no traffic. */
export function checkWeights(route: readonly { weight?: number | undefined }[] | undefined, context: z.RefinementCtx): void {
  if (route === undefined || route.length < 2) return;
  if (route.every((r) => (r.weight ?? 0) === 0))
    context.addIssue({ code: 'custom', path: ['route'], message: 'the weights are all 0: give at least one destination a weight' });
}
export type HttpRouteSpec = z.infer<typeof httpRoute>;
export type HttpMatchSpec = z.infer<typeof httpMatch>;
export type DestinationSpec = z.infer<typeof destination>;

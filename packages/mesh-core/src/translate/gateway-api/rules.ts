// Rules of HTTPRoutes and GRPCRoutes as those of VirtualServices.

import { type GrpcRouteSpec, type HttpMatchSpec, type HttpRouteSpec, type MeshRouteSpec, type ReferenceGrantSpec, durationMs } from '../../config/index.ts';
import type { MeshObject } from '../../model/index.ts';
import { corsPolicy } from './cors.ts';
import { granted } from './grants.ts';

type Rule = NonNullable<MeshRouteSpec['rules']>[number];
type Filter = NonNullable<Rule['filters']>[number];
/** With the kind it is of: a GRPCRoute is rewritten into this form. */
export type HttpRoute = MeshObject<MeshRouteSpec>;

/** How rules are read: for a port of the mesh, or at a gateway, where backends of other namespaces need a grant. */
export interface RuleContext {
  domainSuffix: string;
  port?: number | undefined;
  grants?: readonly MeshObject<ReferenceGrantSpec>[];
}

export function httpRules(route: HttpRoute, context: RuleContext): HttpRouteSpec[] {
  return (route.spec.rules ?? [{}]).flatMap((rule, i) => rulesOf(route, rule, i, context));
}

function rulesOf(route: HttpRoute, rule: Rule, index: number, context: RuleContext): HttpRouteSpec[] {
  const { port } = context;
  const { name, namespace } = route.metadata;
  const base = { name: rule.name ?? `${namespace}.${name}.${index}`, ...action(rule, (ref) => destination(ref, route, context)) };
  const matches: (HttpMatchSpec | undefined)[] = (rule.matches ?? []).length === 0 ? [port === undefined ? undefined : {}] : (rule.matches ?? []).map(toMatch);
  return matches.map((match) => {
    if (match === undefined) return base;
    return { ...base, ...forPrefix(base, match.uri?.prefix), match: [{ ...match, ...(port === undefined ? {} : { port }) }] };
  });
}

/** A prefix that is replaced by nothing takes its slash along, which a plain replacement would double. */
function forPrefix({ rewrite }: HttpRouteSpec, prefix: string | undefined): Pick<HttpRouteSpec, 'rewrite'> {
  if (rewrite?.uri !== '/' || prefix === undefined) return {};
  const { uri: _, ...others } = rewrite;
  return {
    rewrite: { ...others, uriRegexRewrite: { match: `^${prefix.replace(/^\/$/, '').replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}(/?)(.*)`, rewrite: '/\\2' } },
  };
}

export interface BackendRef {
  group?: string | undefined;
  kind?: string | undefined;
  name: string;
  namespace?: string | undefined;
  port?: number | undefined;
}
type Destination = NonNullable<HttpRouteSpec['mirror']>;
type Resolve = (ref: BackendRef) => Destination | undefined;

/** Where a backend is; undefined for one of an unknown kind, or of another namespace that has not granted it. */
export function destination(ref: BackendRef, { kind, metadata }: MeshObject, { domainSuffix, grants }: RuleContext): Destination | undefined {
  const { group = '', kind: backend = 'Service', name, namespace = metadata.namespace, port } = ref;
  if (grants !== undefined && !granted(grants, { from: { kind, namespace: metadata.namespace }, to: { group, kind: backend, namespace, name } }))
    return undefined;
  const at = port === undefined ? {} : { port: { number: port } };
  if (group === '' && backend === 'Service') return { host: `${name}.${namespace}.svc.${domainSuffix}`, ...at };
  return group === 'networking.istio.io' && backend === 'Hostname' ? { host: name, ...at } : undefined;
}

/** No host of any service: requests for it are answered 500. */
export const NOWHERE: Destination = { host: 'UnknownService' };

function action(rule: Rule, resolve: Resolve): HttpRouteSpec {
  const shared: HttpRouteSpec = {};
  for (const filter of rule.filters ?? []) applyFilter(shared, filter, resolve);
  if (shared.redirect !== undefined) return shared;
  const backends = (rule.backendRefs ?? []).filter((b) => (b.weight ?? 1) > 0);
  if (backends.length === 0) return { ...shared, directResponse: { status: 500 } };
  return {
    ...shared,
    ...retriesAndTimeouts(rule),
    route: backends.map((ref) => {
      const own: HttpRouteSpec = {};
      for (const filter of ref.filters ?? []) applyFilter(own, filter, resolve);
      return {
        destination: resolve(ref) ?? NOWHERE,
        weight: ref.weight ?? 1,
        ...(own.headers === undefined ? {} : { headers: own.headers }),
      };
    }),
  };
}

function retriesAndTimeouts({ retry, timeouts }: Rule): Pick<HttpRouteSpec, 'retries' | 'timeout'> {
  const set = (text: string | undefined): string | undefined => (text === undefined || durationMs(text) === 0 ? undefined : text);
  const [request, perTry] = [set(timeouts?.request), set(timeouts?.backendRequest)];
  const timeout = retry === undefined ? (perTry ?? request) : request;
  const attempts = retry?.attempts ?? 2;
  return {
    ...(timeout === undefined ? {} : { timeout }),
    ...(retry === undefined
      ? {}
      : {
          retries: {
            attempts,
            retryOn: ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', ...(retry.codes ?? [])].join(','),
            ...(perTry === undefined ? {} : { perTryTimeout: perTry }),
            ...(retry.backoff === undefined ? {} : { backoff: retry.backoff }),
          },
        }),
  };
}

function applyFilter(rule: HttpRouteSpec, filter: Filter, resolve: Resolve): void {
  switch (filter.type) {
    case 'RequestHeaderModifier':
      rule.headers = { ...rule.headers, request: operations(filter.requestHeaderModifier) };
      return;
    case 'ResponseHeaderModifier':
      rule.headers = { ...rule.headers, response: operations(filter.responseHeaderModifier) };
      return;
    case 'RequestMirror': {
      const { backendRef, percent, fraction } = filter.requestMirror;
      const value = fraction === undefined ? percent : (100 * fraction.numerator) / (fraction.denominator ?? 100);
      const target = resolve(backendRef);
      if (target !== undefined) rule.mirrors = [...(rule.mirrors ?? []), { destination: target, ...(value === undefined ? {} : { percentage: { value } }) }];
      return;
    }
    case 'CORS':
      rule.corsPolicy = corsPolicy(filter.cors);
      return;
    case 'RequestRedirect': {
      const { scheme, hostname, path, port, statusCode } = filter.requestRedirect;
      rule.redirect = {
        redirectCode: statusCode ?? 302,
        ...(scheme === undefined ? {} : { scheme }),
        ...(hostname === undefined ? {} : { authority: hostname }),
        // Unlike in a VirtualService the request's port stays unless the scheme changes.
        ...(port === undefined ? { derivePort: scheme === undefined ? ('FROM_REQUEST_PORT' as const) : ('FROM_PROTOCOL_DEFAULT' as const) } : { port }),
        ...(path?.replaceFullPath === undefined ? {} : { uri: path.replaceFullPath }),
        ...(path?.replacePrefixMatch === undefined ? {} : { prefixRewrite: path.replacePrefixMatch }),
      };
      return;
    }
    case 'URLRewrite': {
      const { hostname, path } = filter.urlRewrite;
      rule.rewrite = {
        ...(hostname === undefined ? {} : { authority: hostname }),
        ...(path?.replaceFullPath === undefined ? {} : { uriRegexRewrite: { match: '/.*', rewrite: path.replaceFullPath } }),
        ...(path?.replacePrefixMatch === undefined ? {} : { uri: path.replacePrefixMatch.replace(/\/$/, '') || '/' }),
      };
    }
  }
}

type Operations = NonNullable<NonNullable<HttpRouteSpec['headers']>['request']>;

function operations(modifier: {
  set?: { name: string; value: string }[] | undefined;
  add?: { name: string; value: string }[] | undefined;
  remove?: string[] | undefined;
}): Operations {
  // Of names that are the same but for their case the first counts.
  const pairs = (list: { name: string; value: string }[]): Record<string, string> =>
    Object.fromEntries(list.toReversed().map(({ name, value }) => [name.toLowerCase(), value]));
  return {
    ...(modifier.set === undefined ? {} : { set: pairs(modifier.set) }),
    ...(modifier.add === undefined ? {} : { add: pairs(modifier.add) }),
    ...(modifier.remove === undefined ? {} : { remove: modifier.remove }),
  };
}

function toMatch({ path, headers, queryParams, method }: NonNullable<Rule['matches']>[number]): HttpMatchSpec {
  const values = (list: NonNullable<typeof headers>): NonNullable<HttpMatchSpec['headers']> =>
    Object.fromEntries(list.map((m) => [m.name, m.type === 'RegularExpression' ? { regex: m.value } : { exact: m.value }]));
  const value = path?.value ?? '/';
  const prefix = value === '/' ? value : value.replace(/\/$/, '');
  const uri = path?.type === 'Exact' ? { exact: value } : path?.type === 'RegularExpression' ? { regex: value } : { prefix };
  return {
    ...(path === undefined ? {} : { uri }),
    ...(headers === undefined ? {} : { headers: values(headers) }),
    ...(queryParams === undefined ? {} : { queryParams: values(queryParams) }),
    ...(method === undefined ? {} : { method: { exact: method } }),
  };
}

/** A rule or match of an HTTPRoute that names no path is for all of them. */
export function withPaths(route: HttpRoute): HttpRoute {
  const all = { path: { value: '/' } };
  const rules = (route.spec.rules ?? [{}]).map((rule) => ({
    ...rule,
    matches: (rule.matches ?? []).length === 0 ? [all] : rule.matches?.map((m) => ({ ...all, ...m })),
  }));
  return { ...route, spec: { ...route.spec, rules } };
}

/** gRPC's service and method are the path. */
export function asHttp(route: MeshObject<GrpcRouteSpec>): HttpRoute {
  const path = (method: NonNullable<NonNullable<NonNullable<GrpcRouteSpec['rules']>[number]['matches']>[number]['method']>) => {
    const { type = 'Exact', service, method: call } = method;
    if (type === 'Exact' && service !== undefined)
      return call === undefined ? { type: 'PathPrefix' as const, value: `/${service}/` } : { type: 'Exact' as const, value: `/${service}/${call}` };
    return { type: 'RegularExpression' as const, value: `/${service ?? '[^/]+'}/${call ?? '.+'}` };
  };
  const rules = route.spec.rules?.map((rule) => ({
    ...rule,
    matches: rule.matches?.map(({ method, headers }) => ({
      ...(method === undefined ? {} : { path: path(method) }),
      ...(headers === undefined ? {} : { headers }),
    })),
  }));
  return { ...route, spec: { ...route.spec, rules } };
}

export function bySpecificity(a: HttpRouteSpec, b: HttpRouteSpec): number {
  const [x, y] = [a.match?.[0], b.match?.[0]];
  if (x === undefined || y === undefined) return Number(x === undefined) - Number(y === undefined);
  const kind = ({ uri }: HttpMatchSpec): number => (uri?.exact !== undefined ? 3 : uri?.prefix !== undefined ? 2 : uri?.regex !== undefined ? 1 : -1);
  const length = ({ uri }: HttpMatchSpec): number => (uri?.exact ?? uri?.prefix ?? uri?.regex ?? '').length;
  const size = (map: object | undefined): number => Object.keys(map ?? {}).length;
  return (
    kind(y) - kind(x) ||
    length(y) - length(x) ||
    Number(y.method !== undefined) - Number(x.method !== undefined) ||
    size(y.headers) - size(x.headers) ||
    size(y.queryParams) - size(x.queryParams)
  );
}

// HTTPRoutes and GRPCRoutes that are attached to Services (GAMMA), as the VirtualServices they amount to.

import {
  type GrpcRouteSpec,
  type HttpMatchSpec,
  type HttpRouteSpec,
  type MeshRouteSpec,
  type VirtualServiceSpec,
  durationMs,
  resolveHost,
} from '../config/index.ts';
import type { MeshObject } from '../model/index.ts';
import { grouped } from './common.ts';

type Rule = NonNullable<MeshRouteSpec['rules']>[number];
type Filter = NonNullable<Rule['filters']>[number];
type Route = MeshObject<MeshRouteSpec>;

/** Marks a VirtualService made here: path prefixes end at a segment, a destination that does not exist answers 500. */
const SEMANTICS = 'internal.istio.io/route-semantics';

export function isGatewayApi({ metadata }: MeshObject): boolean {
  return metadata.annotations?.[SEMANTICS] === 'gateway';
}

/**
 * One VirtualService per namespace, Service and port, its rules sorted as the Gateway API wants: exact paths, longer prefixes, regular
 * expressions; methods, more headers, more parameters first. A route in the Service's namespace is for all clients, one in another
 * namespace for the clients there, who then do not get the first.
 */
export function meshRoutes(routes: readonly Route[], grpc: readonly MeshObject<GrpcRouteSpec>[], domainSuffix: string): MeshObject<VirtualServiceSpec>[] {
  const attached = [...routes.map(withPaths), ...grpc.map(asHttp)].flatMap((route) =>
    route.spec.parentRefs.map(({ name, namespace = route.metadata.namespace, port }) => ({
      route,
      host: resolveHost(name, namespace, domainSuffix),
      producer: namespace === route.metadata.namespace,
      port,
    })),
  );
  return [...grouped(attached, (a) => [a.route.metadata.namespace, ...(a.port === undefined ? [] : [a.port]), a.host].join('~'))].flatMap(([name, list]) => {
    const [first] = list;
    if (first === undefined) return [];
    const rules = list.flatMap(({ route, port }) => (route.spec.rules ?? [{}]).flatMap((rule, i) => httpRules(route, rule, i, port, domainSuffix)));
    const { namespace, creationTimestamp } = first.route.metadata;
    return [
      {
        apiVersion: first.route.apiVersion,
        kind: 'VirtualService',
        metadata: {
          name,
          namespace,
          ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
          annotations: { [SEMANTICS]: 'gateway' },
        },
        spec: { hosts: [first.host], http: rules.toSorted(bySpecificity), ...(first.producer ? {} : { exportTo: ['.'] }) },
      },
    ];
  });
}

function httpRules({ metadata: { name, namespace } }: Route, rule: Rule, index: number, port: number | undefined, domainSuffix: string): HttpRouteSpec[] {
  const base = { name: rule.name ?? `${namespace}.${name}.${index}`, ...action(rule, namespace, domainSuffix) };
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

function action(rule: Rule, namespace: string, domainSuffix: string): HttpRouteSpec {
  const host = (name: string, ns: string | undefined): string => resolveHost(name, ns ?? namespace, domainSuffix);
  const shared: HttpRouteSpec = {};
  for (const filter of rule.filters ?? []) applyFilter(shared, filter, host);
  if (shared.redirect !== undefined) return shared;
  const backends = (rule.backendRefs ?? []).filter((b) => (b.weight ?? 1) > 0);
  if (backends.length === 0) return { ...shared, directResponse: { status: 500 } };
  return {
    ...shared,
    ...retriesAndTimeouts(rule),
    route: backends.map(({ name, namespace: ns, port, weight, filters = [] }) => {
      const own: HttpRouteSpec = {};
      for (const filter of filters) applyFilter(own, filter, host);
      return {
        destination: { host: host(name, ns), port: { number: port } },
        weight: weight ?? 1,
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

function applyFilter(rule: HttpRouteSpec, filter: Filter, host: (name: string, namespace: string | undefined) => string): void {
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
      const destination = { host: host(backendRef.name, backendRef.namespace), port: { number: backendRef.port } };
      rule.mirrors = [...(rule.mirrors ?? []), { destination, ...(value === undefined ? {} : { percentage: { value } }) }];
      return;
    }
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
  const pairs = (list: { name: string; value: string }[]): Record<string, string> => Object.fromEntries(list.map(({ name, value }) => [name, value]));
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
function withPaths(route: Route): Route {
  const all = { path: { value: '/' } };
  const rules = (route.spec.rules ?? [{}]).map((rule) => ({
    ...rule,
    matches: (rule.matches ?? []).length === 0 ? [all] : rule.matches?.map((m) => ({ ...all, ...m })),
  }));
  return { ...route, spec: { ...route.spec, rules } };
}

/** gRPC's service and method are the path. */
function asHttp(route: MeshObject<GrpcRouteSpec>): Route {
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

function bySpecificity(a: HttpRouteSpec, b: HttpRouteSpec): number {
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

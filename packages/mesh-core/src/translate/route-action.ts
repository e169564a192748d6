// What becomes of a request that matched: forwarded, redirected or answered.

import type { JsonObject } from '@bufbuild/protobuf';
import { type HttpRouteSpec, durationMs } from '../config/index.ts';
import { seconds, without } from './common.ts';
import { hashOfDestination, hashPolicies } from './hash-policy.ts';
import { retryPolicy } from './retry-policy.ts';
import { type RouteContext, destinationCluster } from './route-context.ts';
import { type HeaderOperations, headerOperations, hostHeader, percentage } from './route-parts.ts';

/** The action of a rule with what the headers of a single destination add to the route. `namespace` resolves short names. */
export function routeAction(context: RouteContext, namespace: string, rule: HttpRouteSpec): { action: JsonObject; headers: HeaderOperations } {
  if (rule.redirect !== undefined) return { action: { redirect: redirect(context, rule.redirect) }, headers: {} };
  if (rule.directResponse !== undefined) return { action: { directResponse: directResponse(rule.directResponse) }, headers: {} };
  const { route = [] } = rule;
  const [first] = route;
  const single = route.length === 1 ? first : undefined;
  const authority = rule.rewrite?.authority || hostHeader(rule.headers?.request);
  // Istio: with several destinations those without weight get nothing; a single one gets everything.
  const destinations = single === undefined ? route.filter((r) => (r.weight ?? 0) > 0) : [single];
  const hashes = destinations.map((d) => hashOfDestination(context, namespace, d.destination));
  const forwarding = single === undefined ? weighted(context, namespace, destinations, authority) : toOne(context, namespace, single, authority);
  return {
    action: {
      route: without({
        ...forwarding,
        ...rewriting(rule.rewrite),
        ...timeouts(context, rule.timeout),
        retryPolicy: retryPolicy(rule.retries, single !== undefined && hashes[0] !== undefined),
        ...hashPolicies(hashes),
        requestMirrorPolicies: mirrors(context, namespace, rule),
      }),
    },
    headers: headerOperations(single?.headers),
  };
}

type Destination = NonNullable<HttpRouteSpec['route']>[number];

function toOne(context: RouteContext, namespace: string, { destination, headers }: Destination, authority: string | undefined): JsonObject {
  return { cluster: destinationCluster(context, namespace, destination), ...hostRewrite(authority ?? hostHeader(headers?.request) ?? context.host) };
}

/** A Host set for one destination counts where the whole route sets none. Envoy lets the route's win, so there must be none. */
function weighted(context: RouteContext, namespace: string, destinations: readonly Destination[], authority: string | undefined): JsonObject {
  const own = authority === undefined && destinations.some((d) => hostHeader(d.headers?.request) !== undefined);
  return {
    weightedClusters: {
      clusters: destinations.map(({ destination, weight, headers }) => ({
        name: destinationCluster(context, namespace, destination),
        weight: weight ?? 0,
        ...headerOperations(headers),
        ...(own ? hostRewrite(hostHeader(headers?.request) ?? context.host) : {}),
      })),
    },
    ...(own ? {} : hostRewrite(authority ?? context.host)),
  };
}

function hostRewrite(host: string | undefined): JsonObject {
  return host === undefined ? {} : { hostRewriteLiteral: host };
}

function rewriting(rewrite: HttpRouteSpec['rewrite']): JsonObject {
  if (rewrite?.uriRegexRewrite !== undefined)
    return { regexRewrite: { pattern: { regex: rewrite.uriRegexRewrite.match }, substitution: rewrite.uriRegexRewrite.rewrite } };
  // Envoy replaces what the route's prefix, exact path or regex matched.
  return rewrite?.uri ? { prefixRewrite: rewrite.uri } : {};
}

/** No timeout unless asked for. gRPC's own clients read the stream duration; proxies heed `grpc-timeout` up to the route's. */
export function timeouts({ node }: RouteContext, timeout: string | undefined): JsonObject {
  const value = seconds(timeout === undefined ? 0 : (durationMs(timeout) ?? 0));
  return node.dataPlane === 'grpc' ? { timeout: value, maxStreamDuration: { maxStreamDuration: value } } : { timeout: value, maxGrpcTimeout: value };
}

function mirrors(context: RouteContext, namespace: string, rule: HttpRouteSpec): JsonObject[] | undefined {
  const { mirror, mirrorPercentage, mirrorPercent } = rule;
  const all = [
    ...(mirror === undefined ? [] : [{ destination: mirror, percentage: mirrorPercentage, whole: mirrorPercent ?? 100 }]),
    ...(rule.mirrors ?? []).map((m) => ({ ...m, whole: 100 })),
  ];
  const some = all.filter(({ percentage: share, whole }) => (share === undefined ? whole : (share.value ?? 0)) > 0);
  return some.length === 0
    ? undefined
    : some.map((m) => ({
        cluster: destinationCluster(context, namespace, m.destination),
        runtimeFraction: { defaultValue: percentage(m.percentage, m.whole) },
        traceSampled: false,
        disableShadowHostSuffixAppend: true,
      }));
}

const REDIRECTS: Readonly<Record<number, string>> = {
  301: 'MOVED_PERMANENTLY',
  302: 'FOUND',
  303: 'SEE_OTHER',
  307: 'TEMPORARY_REDIRECT',
  308: 'PERMANENT_REDIRECT',
};

function redirect({ port, tls }: RouteContext, spec: NonNullable<HttpRouteSpec['redirect']>): JsonObject {
  const wanted = spec.derivePort === 'FROM_REQUEST_PORT' ? port : spec.port;
  const scheme = spec.scheme || (tls ? 'https' : 'http');
  const usual = (wanted === 80 && scheme === 'http') || (wanted === 443 && scheme === 'https');
  return without({
    hostRedirect: spec.authority,
    ...(spec.prefixRewrite ? { prefixRewrite: spec.prefixRewrite } : { pathRedirect: spec.uri }),
    schemeRedirect: spec.scheme || undefined,
    portRedirect: usual ? undefined : wanted,
    responseCode: REDIRECTS[spec.redirectCode ?? 301],
  });
}

function directResponse({ status, body }: NonNullable<HttpRouteSpec['directResponse']>): JsonObject {
  if (body === undefined) return { status };
  return { status, body: 'string' in body ? { inlineString: body.string } : { inlineBytes: body.bytes } };
}

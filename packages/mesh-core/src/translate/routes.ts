// RDS: VirtualServices and services without one, as route configurations.

import type { JsonObject } from '@bufbuild/protobuf';
import { type DestinationSpec, type HttpMatchSpec, type HttpRouteSpec, type VirtualServiceSpec, durationMs, matches, resolveHost } from '../config/index.ts';
import type { MeshObject, ProxyNode } from '../model/index.ts';
import { PEER_FIELDS, PEER_HEADER, any, clusterName, peerIdentity, seconds, without } from './common.ts';
import { type Mesh, type MeshService, destinationRuleFor, virtualServiceFor } from './mesh.ts';
import { cors, faultFilter, fraction, headerOperations, retryPolicy, routeMatch } from './route-parts.ts';

interface RouteContext {
  mesh: Mesh;
  node: ProxyNode;
  /** `mesh`, or `<namespace>/<name>` of the Gateway. */
  gateway: string;
  /** The listener's port: the destination port of routes that name none. */
  port: number;
  /** Host header for the upstream where the rule sets none. */
  host?: string;
}

/** Routes for one service behind its own loopback port: any Host is this service. */
export function serviceRouteConfig(mesh: Mesh, service: MeshService, port: number, node: ProxyNode): JsonObject {
  const name = `${service.host}:${port}`;
  return {
    name,
    validateClusters: false,
    virtualHosts: [withPeer(node, mesh, { name, domains: ['*'], routes: serviceRoutes({ mesh, node, gateway: 'mesh', port, host: name }, service) })],
  };
}

/** Routes by Host of everything this proxy may see, for the Host-keyed listener. */
export function hostRouteConfig(mesh: Mesh, node: ProxyNode): JsonObject {
  const taken = new Set<string>();
  const virtualHosts = [...mesh.services.values()].flatMap((service) =>
    service.ports
      .filter((port) => port.protocol !== 'tcp' && port.protocol !== 'https')
      .map((port, i) => {
        const domains = hostDomains(service, port.port, node.namespace, i === 0).filter((d) => !taken.has(d) && taken.add(d));
        return withPeer(node, mesh, {
          name: `${service.host}:${port.port}`,
          domains,
          routes: serviceRoutes({ mesh, node, gateway: 'mesh', port: port.port }, service),
        });
      })
      .filter((v) => (v['domains'] as string[]).length > 0),
  );
  // Without iptables there is no original destination to pass an unknown host on to, whatever the outbound policy says.
  const blocked = { name: 'block_all', domains: ['*'], routes: [{ name: 'block_all', match: { prefix: '/' }, directResponse: { status: 502 } }] };
  return { name: 'http_proxy', validateClusters: false, virtualHosts: [...virtualHosts, blocked] };
}

/** `reviews`, `reviews.bookinfo`, ..., with and without port; a bare port-less name belongs to the service's first port. */
function hostDomains(service: MeshService, port: number, clientNamespace: string, first: boolean): string[] {
  const names = [
    service.host,
    `${service.name}.${service.namespace}`,
    `${service.name}.${service.namespace}.svc`,
    ...(service.namespace === clientNamespace ? [service.name] : []),
  ];
  return names.flatMap((name) => [...(first ? [name] : []), `${name}:${port}`]);
}

/** A virtual host whose requests tell the next sidecar who sends them. */
export function withPeer(node: ProxyNode, mesh: Mesh, virtualHost: JsonObject): JsonObject {
  const identity = peerIdentity(node, mesh.settings.clusterId);
  const value = PEER_FIELDS.map((field) => identity[field]).join(';');
  return {
    ...virtualHost,
    includeRequestAttemptCount: true,
    requestHeadersToAdd: [{ header: { key: PEER_HEADER, value }, appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' }],
  };
}

/** Without a VirtualService every request goes to the service. */
function serviceRoutes(context: RouteContext, service: MeshService): JsonObject[] {
  const { mesh, node } = context;
  const vs = virtualServiceFor(mesh, service.host, node.namespace, 'http');
  if (vs !== undefined) return virtualServiceRoutes(context, vs);
  return [
    {
      name: 'default',
      match: { prefix: '/' },
      route: {
        cluster: clusterName(service.host, context.port),
        timeout: '0s',
        retryPolicy: retryPolicy({}, true),
        ...hostRewrite(context, undefined),
        ...hashPolicy(context, service.host),
      },
      decorator: { operation: `${service.host}:${context.port}/*` },
      metadata: { filterMetadata: { istio: { config: `/api/v1/namespaces/${service.namespace}/services/${service.name}`, route: 'default' } } },
    },
  ];
}

/** The routes of a VirtualService that can apply to this client behind this port. */
export function virtualServiceRoutes(context: RouteContext, vs: MeshObject<VirtualServiceSpec>): JsonObject[] {
  const routes: JsonObject[] = [];
  for (const [i, rule] of (vs.spec.http ?? []).entries()) {
    const name = rule.name ?? `http[${i}]`;
    const matchesList: (HttpMatchSpec | undefined)[] = (rule.match ?? []).length === 0 ? [undefined] : (rule.match ?? []);
    for (const match of matchesList) {
      if (match !== undefined && !appliesHere(context, vs, match)) continue;
      routes.push(httpRoute(context, vs, rule, match, match?.name === undefined ? name : `${name}.${match.name}`));
      // Nothing after a catch-all is ever reached.
      if (match === undefined || (match.uri?.prefix === '/' && Object.keys(match).length === 1)) return routes;
    }
  }
  return routes;
}

/** The parts of a match that are decided by who asks, not by what is asked. */
function appliesHere({ node, gateway, port }: RouteContext, vs: MeshObject<VirtualServiceSpec>, match: HttpMatchSpec): boolean {
  if (match.port !== undefined && match.port !== port) return false;
  if (match.gateways !== undefined && match.gateways.length > 0)
    return match.gateways.some((g) => g === gateway || `${vs.metadata.namespace}/${g}` === gateway);
  if (gateway !== 'mesh') return true;
  return matches(node.labels, match.sourceLabels) && (match.sourceNamespace === undefined || match.sourceNamespace === node.namespace);
}

function httpRoute(context: RouteContext, vs: MeshObject<VirtualServiceSpec>, rule: HttpRouteSpec, match: HttpMatchSpec | undefined, name: string): JsonObject {
  const { namespace } = vs.metadata;
  const filters = without({
    ...(rule.fault === undefined ? {} : { 'envoy.filters.http.fault': any('envoy.extensions.filters.http.fault.v3.HTTPFault', faultFilter(rule.fault)) }),
    ...(rule.corsPolicy === undefined || context.node.dataPlane === 'grpc'
      ? {}
      : { 'envoy.filters.http.cors': any('envoy.extensions.filters.http.cors.v3.CorsPolicy', cors(rule.corsPolicy)) }),
  });
  const [first] = rule.route ?? [];
  const authority =
    rule.rewrite?.authority ?? hostHeader(rule.headers?.request) ?? (rule.route?.length === 1 ? hostHeader(first?.headers?.request) : undefined);
  return {
    name,
    match: routeMatch(match),
    ...action(context, namespace, rule, match, authority),
    ...headerOperations(rule.headers),
    ...(Object.keys(filters).length === 0 ? {} : { typedPerFilterConfig: filters }),
    decorator: {
      operation: `${(rule.route?.length ?? 0) > 1 ? vs.metadata.name : (rule.route?.[0]?.destination.host ?? vs.metadata.name)}:${context.port}${match?.uri?.exact ?? match?.uri?.prefix ?? '/'}*`,
    },
    metadata: {
      filterMetadata: { istio: { config: `/apis/networking.istio.io/v1/namespaces/${namespace}/virtual-service/${vs.metadata.name}`, route: name } },
    },
  };
}

function action(context: RouteContext, namespace: string, rule: HttpRouteSpec, match: HttpMatchSpec | undefined, authority: string | undefined): JsonObject {
  if (rule.redirect !== undefined) {
    const { uri, authority: host, port, scheme, redirectCode } = rule.redirect;
    const codes: Record<number, string> = { 301: 'MOVED_PERMANENTLY', 302: 'FOUND', 303: 'SEE_OTHER', 307: 'TEMPORARY_REDIRECT', 308: 'PERMANENT_REDIRECT' };
    return {
      redirect: without({ pathRedirect: uri, hostRedirect: host, portRedirect: port, schemeRedirect: scheme, responseCode: codes[redirectCode ?? 301] }),
    };
  }
  if (rule.directResponse !== undefined) {
    const { status, body } = rule.directResponse;
    return {
      directResponse: without({
        status,
        body: body === undefined ? undefined : 'string' in body ? { inlineString: body.string } : { inlineBytes: body.bytes },
      }),
    };
  }
  // With several destinations those without weight get nothing; a single one gets everything.
  const destinations = (rule.route ?? []).filter((r) => (rule.route?.length ?? 0) === 1 || (r.weight ?? 0) > 0);
  const [only] = destinations;
  const forwarding: JsonObject =
    destinations.length === 1 && only !== undefined
      ? { cluster: destinationCluster(context, namespace, only.destination) }
      : {
          weightedClusters: {
            clusters: destinations.map((d) => ({
              name: destinationCluster(context, namespace, d.destination),
              weight: d.weight ?? 0,
              ...headerOperations(d.headers),
              ...destinationAuthority(d.headers, authority),
            })),
          },
        };
  const single = destinations.length === 1 && only?.headers !== undefined ? headerOperations(only.headers) : {};
  const rewrite = rule.rewrite;
  const rewriting: JsonObject =
    rewrite?.uriRegexRewrite !== undefined
      ? { regexRewrite: { pattern: { regex: rewrite.uriRegexRewrite.match }, substitution: rewrite.uriRegexRewrite.rewrite } }
      : rewrite?.uri === undefined
        ? {}
        : match?.uri !== undefined && match.uri.prefix === undefined
          ? { regexRewrite: { pattern: { regex: '^/[^?]*' }, substitution: rewrite.uri } }
          : { prefixRewrite: rewrite.uri };
  const host = destinations[0] === undefined ? '' : resolveHost(destinations[0].destination.host, namespace, context.mesh.settings.domainSuffix);
  const timeoutMs = rule.timeout === undefined ? 0 : (durationMs(rule.timeout) ?? 0);
  const mirrors = [
    ...(rule.mirrors ?? []),
    ...(rule.mirror === undefined ? [] : [{ destination: rule.mirror, ...(rule.mirrorPercentage === undefined ? {} : { percentage: rule.mirrorPercentage }) }]),
  ].filter((m) => (m.percentage?.value ?? 100) > 0);
  return {
    route: without({
      ...forwarding,
      ...rewriting,
      timeout: seconds(timeoutMs),
      ...(context.node.dataPlane === 'grpc' ? { maxStreamDuration: { maxStreamDuration: seconds(timeoutMs) } } : {}),
      retryPolicy: rule.retries?.attempts === 0 ? undefined : retryPolicy(rule.retries ?? {}, !hasHash(context, host)),
      ...hostRewrite(context, authority),
      ...hashPolicy(context, host),
      requestMirrorPolicies:
        mirrors.length === 0
          ? undefined
          : mirrors.map((m) => ({
              cluster: destinationCluster(context, namespace, m.destination),
              runtimeFraction: { defaultValue: fraction(m.percentage?.value ?? 100) },
              traceSampled: false,
              ...(context.node.dataPlane === 'envoy' ? { disableShadowHostSuffixAppend: true } : {}),
            })),
    }),
    ...single,
  };
}

function destinationCluster(context: RouteContext, namespace: string, destination: DestinationSpec): string {
  const host = resolveHost(destination.host, namespace, context.mesh.settings.domainSuffix);
  const ports = context.mesh.services.get(host)?.ports ?? [];
  const [first] = ports;
  const port = destination.port?.number ?? (ports.length === 1 && first !== undefined ? first.port : context.port);
  return clusterName(host, port, destination.subset);
}

function hostHeader(operations: { set?: Record<string, string> | undefined; add?: Record<string, string> | undefined } | undefined): string | undefined {
  const find = (map: Record<string, string> | undefined): string | undefined =>
    Object.entries(map ?? {}).find(([key]) => key.toLowerCase() === 'host' || key === ':authority')?.[1];
  return find(operations?.set) ?? find(operations?.add);
}

/** A Host set for one destination counts where the whole route sets none. */
function destinationAuthority(headers: HttpRouteSpec['headers'], ofRoute: string | undefined): JsonObject {
  const host = hostHeader(headers?.request);
  return host === undefined || ofRoute !== undefined ? {} : { hostRewriteLiteral: host };
}

function hostRewrite(context: RouteContext, authority: string | undefined): JsonObject {
  const host = authority ?? context.host;
  return host === undefined ? {} : { hostRewriteLiteral: host };
}

function hasHash(context: RouteContext, host: string): boolean {
  const service = context.mesh.services.get(host);
  return service !== undefined && destinationRuleFor(context.mesh, service, context.node.namespace)?.trafficPolicy?.loadBalancer?.consistentHash !== undefined;
}

function hashPolicy(context: RouteContext, host: string): JsonObject {
  const service = context.mesh.services.get(host);
  const hash =
    service === undefined ? undefined : destinationRuleFor(context.mesh, service, context.node.namespace)?.trafficPolicy?.loadBalancer?.consistentHash;
  if (hash === undefined) return {};
  if (hash.httpHeaderName !== undefined) return { hashPolicy: [{ header: { headerName: hash.httpHeaderName } }] };
  if (hash.httpCookie !== undefined)
    return {
      hashPolicy: [
        {
          cookie: without({
            name: hash.httpCookie.name,
            path: hash.httpCookie.path,
            ttl: hash.httpCookie.ttl === undefined ? undefined : seconds(durationMs(hash.httpCookie.ttl) ?? 0),
          }),
        },
      ],
    };
  if (hash.httpQueryParameterName !== undefined) return { hashPolicy: [{ queryParameter: { name: hash.httpQueryParameterName } }] };
  return { hashPolicy: [{ connectionProperties: { sourceIp: true } }] };
}

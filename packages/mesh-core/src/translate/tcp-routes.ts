// Where the bytes of TCP ports, and of TLS that is not terminated, go.

import type { JsonObject } from '@bufbuild/protobuf';
import { type DestinationSpec, MESH, type TrafficPolicySpec, type VirtualServiceSpec, gatewayKey, matches, resolveHost } from '../config/index.ts';
import { grouped, type ProxyNode } from '../model/index.ts';
import { tcpClusterName } from './clusters.ts';
import { any, clusterName, seconds, without } from './common.ts';
import { isDynamic, sniForwardFilter } from './external-clusters.ts';
import { tcpAccessLog } from './manager-telemetry.ts';
import { destinationRuleFor } from './destination-rules.ts';
import { type Mesh, type MeshService, type ServicePort, serviceOf } from './mesh.ts';
import type { Reporter } from './stats-logger.ts';
import { narrowestHolding } from './subnets.ts';
import { effectivePolicy, ms } from './traffic-policy.ts';
import { claimants } from './virtual-services.ts';

type L4Route = NonNullable<VirtualServiceSpec['tcp']>[number]['route'];
type L4Match = Omit<NonNullable<NonNullable<VirtualServiceSpec['tcp']>[number]['match']>[number], 'sourceSubnet'>;

/** Who asks, and where: the parts of a match that are known before a connection is. */
export interface L4Context {
  mesh: Mesh;
  node: ProxyNode;
  /** `mesh`, or `<namespace>/<name>` of a Gateway. */
  gateway: string;
  port: number;
  /** Addresses the service has, what `destinationSubnets` are compared with: connections carry no other destination here. */
  addresses: readonly string[];
}

/** But for the subnets, which gateways do not look at, as in Istio. */
export function l4Applies({ node, gateway, port }: L4Context, match: L4Match, namespace: string): boolean {
  if (match.port !== undefined && match.port !== port) return false;
  if ((match.gateways ?? []).length > 0) return match.gateways?.some((name) => gatewayKey(name, namespace) === gateway) === true;
  if (gateway !== MESH) return true;
  return matches(node.labels, match.sourceLabels) && (match.sourceNamespace === undefined || match.sourceNamespace === node.namespace);
}

/** How well a rule's matches fit: 0 where one asks for no subnet, bits of the narrowest that holds the service's address; undefined = not at all. */
function fitOf(context: L4Context, matches: readonly L4Match[], namespace: string): number | undefined {
  const applying = matches.filter((m) => l4Applies(context, m, namespace));
  if (matches.length === 0 || applying.some((m) => (m.destinationSubnets ?? []).length === 0)) return 0;
  return narrowestHolding(
    applying.flatMap((m) => m.destinationSubnets ?? []),
    context.addresses,
  );
}

/** `tcp_proxy` to the destinations of a rule. Of several those without weight get nothing; a single one gets everything. */
export function tcpProxyTo({ mesh, node, port }: L4Context, statPrefix: string, namespace: string, route: L4Route): JsonObject {
  const list = route.filter((r) => route.length === 1 || (r.weight ?? 0) > 0);
  const clusters = list.map(({ destination, weight }) => ({ name: l4Cluster(mesh, node, namespace, destination, port), weight: weight ?? 1 }));
  const first = route[0] === undefined ? undefined : serviceOf(mesh, resolveHost(route[0].destination.host, namespace, mesh.settings.domainSuffix), node);
  const subset = list.length === 1 ? list[0]?.destination.subset : undefined;
  return tcpProxyFilter(mesh, node, { statPrefix, clusters, service: first, subset, port: route[0]?.destination.port?.number ?? port });
}

function l4Cluster(mesh: Mesh, node: ProxyNode, namespace: string, destination: DestinationSpec, listenPort: number): string {
  const host = resolveHost(destination.host, namespace, mesh.settings.domainSuffix);
  const service = serviceOf(mesh, host, node);
  const only = service?.ports.length === 1 ? service.ports[0]?.port : undefined;
  const number = destination.port?.number ?? only ?? listenPort;
  const port = service?.ports.find((p) => p.port === number);
  return service === undefined || port === undefined ? clusterName(host, number, destination.subset) : tcpClusterName(service, port, destination.subset);
}

interface Target {
  statPrefix: string;
  clusters: readonly { name: string; weight: number }[];
  /** Its DestinationRule sets times, hashing and tunnels; of a single destination its subset does, too. */
  service?: MeshService | undefined;
  subset?: string | undefined;
  port: number;
  reporter?: Reporter;
}

export function tcpProxyFilter(mesh: Mesh, node: ProxyNode, { statPrefix, clusters, service, subset, port, reporter = 'source' }: Target): JsonObject {
  const rule = service === undefined ? undefined : destinationRuleFor(mesh, service, node);
  const policy = effectivePolicy(rule?.trafficPolicy, undefined, port);
  const ofSubset = rule?.subsets?.find((s) => s.name === subset)?.trafficPolicy;
  const hash = (ofSubset?.loadBalancer ?? policy.loadBalancer)?.consistentHash;
  const tunnel = subset === undefined ? rule?.trafficPolicy?.tunnel : ofSubset?.tunnel;
  const { idleTimeout, maxConnectionDuration } = policy.connectionPool?.tcp ?? {};
  const duration = (text: string | undefined): string | undefined => (text === undefined ? undefined : seconds(ms(text) ?? 0));
  const [only] = clusters;
  const logs = tcpAccessLog(mesh, node, reporter);
  return {
    name: 'envoy.filters.network.tcp_proxy',
    typedConfig: any(
      'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
      without({
        statPrefix,
        ...(clusters.length === 1 && only !== undefined ? { cluster: only.name } : { weightedClusters: { clusters: clusters.map((c) => ({ ...c })) } }),
        idleTimeout: duration(idleTimeout),
        maxDownstreamConnectionDuration: duration(maxConnectionDuration),
        hashPolicy: hash?.useSourceIp === true ? [{ sourceIp: {} }] : undefined,
        tunnelingConfig: tunnel === undefined ? undefined : tunnelingConfig(tunnel),
        accessLog: logs.length === 0 ? undefined : logs,
      }),
    ),
  };
}

function tunnelingConfig({ targetHost, targetPort, protocol }: NonNullable<TrafficPolicySpec['tunnel']>): JsonObject {
  return { hostname: `${targetHost.includes(':') ? `[${targetHost}]` : targetHost}:${targetPort}`, usePost: protocol === 'POST' };
}

/**
 * TCP of a service's port: of the `tcp` rules of its VirtualService up to the first without subnets the one with the narrowest that
 * holds its address, else that first one, else the service itself.
 */
export function serviceTcpFilters(mesh: Mesh, node: ProxyNode, service: MeshService, port: ServicePort): JsonObject[] {
  const context: L4Context = { mesh, node, gateway: MESH, port: port.port, addresses: service.entry?.addresses ?? [] };
  const statPrefix = `${service.host}_${port.port}`;
  const fitting: { fit: number; namespace: string; route: L4Route }[] = [];
  for (const { spec, metadata } of claimants(mesh, service.host, node.namespace))
    for (const { match = [], route } of spec.tcp ?? []) {
      const fit = fitting.at(-1)?.fit === 0 ? undefined : fitOf(context, match, metadata.namespace);
      if (fit !== undefined) fitting.push({ fit, namespace: metadata.namespace, route });
    }
  const [best] = fitting.toSorted((a, b) => b.fit - a.fit);
  if (best !== undefined) return [tcpProxyTo(context, statPrefix, best.namespace, best.route)];
  const own = tcpProxyFilter(mesh, node, { statPrefix, clusters: [{ name: tcpClusterName(service, port, undefined), weight: 1 }], service, port: port.port });
  const target = typeof port.targetPort === 'number' ? port.targetPort : port.port;
  return port.protocol === 'https' && isDynamic(service.entry, service.host) ? [sniForwardFilter(target), own] : [own];
}

/** Chains by SNI: the `tls` rules of a host's VirtualService, narrower subnets first, then in order; a name that an earlier rule has is taken. */
export function sniChains(mesh: Mesh, node: ProxyNode, service: MeshService, port: number): JsonObject[] {
  const context: L4Context = { mesh, node, gateway: MESH, port, addresses: service.entry?.addresses ?? [] };
  const taken = new Set<string>();
  const rules = claimants(mesh, service.host, node.namespace).flatMap(({ spec, metadata }) =>
    (spec.tls ?? []).flatMap((rule, i) =>
      rule.match.flatMap((match) => {
        const fit = fitOf(context, [match], metadata.namespace);
        return fit === undefined
          ? []
          : [{ fit, match, route: rule.route, namespace: metadata.namespace, name: `${metadata.namespace}/${metadata.name}/tls[${i}]` }];
      }),
    ),
  );
  const chains = grouped(
    rules.toSorted((a, b) => b.fit - a.fit),
    ({ name }) => name,
  );
  return [...chains].flatMap(([name, group]) => {
    const names = group
      .flatMap(({ match }) => match.sniHosts)
      .map((host) => host.toLowerCase())
      .filter((host) => host !== '*' && !taken.has(host) && taken.add(host));
    const [first] = group;
    if (first === undefined || names.length === 0) return [];
    const filters = [tcpProxyTo(context, `${service.host}_${port}`, first.namespace, first.route)];
    return [{ name, filterChainMatch: { transportProtocol: 'tls', serverNames: names }, filters }];
  });
}

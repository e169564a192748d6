// What a gateway proxy opens: one listener per port of the Gateways that select it, routes by host.

import type { JsonObject } from '@bufbuild/protobuf';
import { type TrafficPolicySpec, hostMatches, matches } from '../config/index.ts';
import { grouped, type ProxyNode } from '../model/index.ts';
import { httpAuthorization, tcpAuthorization } from './authorization.ts';
import { ADS, any, seconds, socketAddress } from './common.ts';
import { type Credential, caOf } from './credentials.ts';
import { loadAssignment } from './endpoints.ts';
import { httpExternalAuthorization } from './external-authorization.ts';
import { isGatewayApi, isListener } from './gateway-api/semantics.ts';
import { type GatewayServer, bareHost, commonHosts, gatewayRouteConfig, serverHosts } from './gateway-routes.ts';
import { TLS_INSPECTOR, hcm, rds } from './listeners.ts';
import { type EffectiveRule, destinationRuleFor } from './destination-rules.ts';
import type { Mesh, MeshService, ServicePort } from './mesh.ts';
import { BUILT_IN, serverTls } from './server-tls.ts';
import { isBehind, workloadsOf } from './service-workloads.ts';
import { visibleServices } from './sidecar-scope.ts';
import { type L4Context, l4Applies, tcpProxyFilter, tcpProxyTo } from './tcp-routes.ts';
import { effectivePolicy, withMeshLocality } from './traffic-policy.ts';
import { hostsOf, virtualServicesFor } from './virtual-services.ts';

interface GatewayPort {
  listener: JsonObject;
  routes: JsonObject[];
}

/**
 * Ports of a gateway proxy. Plaintext servers of a port share one chain and route configuration `http.<port>`; each TLS server
 * has a chain by SNI: with routes `https.<port>.<port name>.<gateway>.<namespace>` where TLS ends here, or with the bytes as
 * they are for PASSTHROUGH, AUTO_PASSTHROUGH and TCP.
 */
export function gatewayPorts(mesh: Mesh, node: ProxyNode): GatewayPort[] {
  return [...grouped(serversOf(mesh, node), (s) => listenPort(node, s.server.port.number))].flatMap(([port, servers]): GatewayPort[] => {
    // Plaintext HTTP, plaintext TCP and TLS cannot share a port: the oldest Gateway decides which it is.
    const [first] = servers;
    const kind = first === undefined ? 'http' : kindOf(first);
    const same = servers.filter((s) => kindOf(s) === kind);
    const name = `${node.ip}_${port}`;
    const manager = (routeName: string, mtls: boolean): JsonObject =>
      hcm(mesh, node, {
        statPrefix: `outbound_${name}`,
        routes: rds(routeName),
        direction: 'outbound',
        reporter: 'source',
        serverName: 'istio-envoy',
        edge: true,
        mtls,
        grpcWeb: first?.server.port.protocol === 'GRPC-WEB',
        checks: httpExternalAuthorization(mesh, node, { listenPort: port }),
        guards: httpAuthorization(mesh, node, { listenPort: port }),
      });
    const base = { name, address: socketAddress(first?.server.bind || node.ip, port), trafficDirection: 'OUTBOUND' };
    // Who is behind the load balancer comes before everything else.
    const announced = mesh.settings.gatewayTopology?.proxyProtocol === undefined ? [] : [PROXY_PROTOCOL];
    if (kind === 'http')
      return [
        {
          listener: { ...base, ...filtersOf(announced), filterChains: [{ name, filters: [manager(`http.${port}`, false)] }] },
          routes: [gatewayRouteConfig(mesh, node, `http.${port}`, same)],
        },
      ];
    const secure = same.filter((s) => s.server.port.protocol === 'HTTPS' && terminates(s));
    const chains = firstClaims([
      ...secure.map((s) => ({
        name: secureName(s),
        ...serverNamesOf(s.server.hosts.map(bareHost)),
        filters: [manager(secureName(s), false)],
        transportSocket: serverTls(s.server.tls ?? {}),
      })),
      ...same.filter((s) => !secure.includes(s)).flatMap((s) => l4Chains(mesh, node, s)),
    ]);
    const inspector = filtersOf([...announced, ...(kind === 'tls' ? [TLS_INSPECTOR] : [])]);
    // A listener without chains has no use: nothing is routed to this port yet.
    return chains.length === 0
      ? []
      : [{ listener: { ...base, ...inspector, filterChains: chains }, routes: secure.map((s) => gatewayRouteConfig(mesh, node, secureName(s), [s])) }];
  });
}

/** A Gateway names the port of the gateway's Service; where the proxy of it listens, as Istio's on 8080 for 80, its node tells. */
function listenPort({ inbound }: ProxyNode, port: number): number {
  return inbound.find((p) => p.servicePort === port)?.listenPort ?? port;
}

const PROXY_PROTOCOL: JsonObject = {
  name: 'envoy.filters.listener.proxy_protocol',
  typedConfig: any('envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol'),
};

function filtersOf(listenerFilters: JsonObject[]): JsonObject {
  return listenerFilters.length === 0 ? {} : { listenerFilters };
}

/** No two chains of a listener may match the same connections: a name belongs to the first chain that has it. */
function firstClaims(chains: readonly JsonObject[]): JsonObject[] {
  const taken = new Set<string>();
  return chains.flatMap((chain) => {
    const { serverNames = ['*'] } = (chain['filterChainMatch'] ?? {}) as { serverNames?: string[] };
    const names = serverNames.filter((name) => !taken.has(name) && taken.add(name));
    if (names.length === 0) return [];
    return [names.length === serverNames.length ? chain : { ...chain, ...serverNamesOf(names) }];
  });
}

/** Servers of the Gateways that select a proxy. */
export function serversOf(mesh: Mesh, node: ProxyNode): GatewayServer[] {
  return mesh.gateways
    .filter((g) => matches(node.labels, g.spec.selector) && (!isListener(g) || g.metadata.namespace === node.namespace))
    .flatMap((gateway) => gateway.spec.servers.map((server) => ({ gateway, key: `${gateway.metadata.namespace}/${gateway.metadata.name}`, server })));
}

type ServerKind = 'http' | 'tcp' | 'tls';

function kindOf({ server }: GatewayServer): ServerKind {
  const { protocol } = server.port;
  if (protocol === 'HTTPS' || protocol === 'TLS') return 'tls';
  return protocol === 'TCP' || protocol === 'MONGO' ? 'tcp' : 'http';
}

/** TLS ends at the gateway. */
function terminates({ server }: GatewayServer): boolean {
  const mode = server.tls?.mode ?? 'PASSTHROUGH';
  return kindOf({ server } as GatewayServer) === 'tls' && mode !== 'PASSTHROUGH' && mode !== 'AUTO_PASSTHROUGH';
}

function secureName({ gateway, server }: GatewayServer): string {
  return `https.${server.port.number}.${server.port.name}.${gateway.metadata.name}.${gateway.metadata.namespace}`;
}

/** The chain match of names; `*` among them matches every connection. */
function serverNamesOf(names: readonly string[]): { filterChainMatch?: { serverNames: string[] } } {
  return names.length === 0 || names.includes('*') ? {} : { filterChainMatch: { serverNames: names.map((name) => name.toLowerCase()) } };
}

/** Chains whose bytes go on as they are, after TLS where it ends here. */
function l4Chains(mesh: Mesh, node: ProxyNode, s: GatewayServer): JsonObject[] {
  const { server, key } = s;
  const port = server.port.number;
  const hosts = server.hosts.map((host) => bareHost(host).toLowerCase());
  if (server.tls?.mode === 'AUTO_PASSTHROUGH') return autoPassthrough(mesh, node, hosts, port);
  const context: L4Context = { mesh, node, gateway: key, port, addresses: [] };
  const statPrefix = `${secureName(s)}`;
  const ends = terminates(s) ? { transportSocket: serverTls(server.tls ?? {}) } : {};
  const chains: JsonObject[] = [];
  const taken = new Set<string>();
  for (const vs of virtualServicesFor(mesh, key, node.namespace)) {
    const { namespace, name } = vs.metadata;
    const shared = commonHosts(serverHosts(server, s.gateway.metadata.namespace, namespace), hostsOf(mesh, vs));
    if (shared.length === 0) continue;
    const filters = (route: Parameters<typeof tcpProxyTo>[3]): JsonObject[] => [
      ...tcpAuthorization(mesh, node, { listenPort: port }),
      tcpProxyTo(context, statPrefix, namespace, route),
    ];
    // Names decide where TLS is passed on, and of TLSRoutes where it ends here, too.
    if (kindOf(s) === 'tls' && (!terminates(s) || (isGatewayApi(vs) && vs.spec.tls !== undefined))) {
      for (const [i, rule] of (vs.spec.tls ?? []).entries()) {
        const names = rule.match
          .filter((m) => l4Applies(context, m, namespace))
          .flatMap((m) =>
            commonHosts(
              m.sniHosts.map((h) => h.toLowerCase()),
              shared,
            ),
          )
          .filter((h) => !taken.has(h) && taken.add(h));
        if (names.length > 0) chains.push({ name: `${namespace}/${name}/tls[${i}]`, ...serverNamesOf(names), filters: filters(rule.route), ...ends });
      }
      continue;
    }
    const rule = vs.spec.tcp?.find((r) => (r.match ?? []).length === 0 || r.match?.some((m) => l4Applies(context, m, namespace)) === true);
    if (rule === undefined) continue;
    const names = kindOf(s) === 'tls' ? hosts : [];
    return [...chains, { name: `${namespace}/${name}`, ...serverNamesOf(names), filters: filters(rule.route), ...ends }];
  }
  return chains;
}

/** Every service whose host a server has, by the SNI sidecars connect with: `outbound_.80_._.reviews.shop.svc.cluster.local`. */
function autoPassthrough(mesh: Mesh, node: ProxyNode, hosts: readonly string[], port: number): JsonObject[] {
  const names = passthroughTargets(mesh, node, hosts);
  if (names.length === 0) return [];
  const sni = { name: 'envoy.filters.network.sni_cluster', typedConfig: any('envoy.extensions.filters.network.sni_cluster.v3.SniCluster') };
  const proxy = tcpProxyFilter(mesh, node, { statPrefix: 'BlackHoleCluster', clusters: [{ name: 'BlackHoleCluster', weight: 1 }], port });
  return [{ name: `auto_passthrough_${port}`, ...serverNamesOf(names.map((p) => p.sni)), filters: [sni, proxy] }];
}

/** Clusters for AUTO_PASSTHROUGH, named by SNI: to the endpoints of the services' own, with TLS as the client sent it. */
export function sniClusters(mesh: Mesh, node: ProxyNode): { cluster: JsonObject; endpoints: JsonObject }[] {
  const hosts = serversOf(mesh, node).flatMap(({ server }) =>
    server.tls?.mode === 'AUTO_PASSTHROUGH' ? server.hosts.map((h) => bareHost(h).toLowerCase()) : [],
  );
  return passthroughTargets(mesh, node, hosts).map(({ sni: name, service, port, subset, policy }) => ({
    cluster: { name, type: 'EDS', edsClusterConfig: { edsConfig: ADS, serviceName: name }, connectTimeout: seconds(mesh.settings.connectTimeoutMs) },
    // Under its own name too: Envoy does not ask again for endpoints another cluster has asked for, and would warm this one for ever.
    endpoints: loadAssignment({
      mesh,
      name,
      port,
      workloads: workloadsOf(mesh, service).filter((w) => matches(w.labels, subset?.labels) && isBehind(w, port)),
      policy,
      client: node,
    }),
  }));
}

/** Credentials the servers of a gateway proxy name. */
export function credentialsOf(mesh: Mesh, node: ProxyNode): Credential[] {
  return serversOf(mesh, node).flatMap(({ server: { tls } }) => {
    const names = [tls?.credentialName, ...(tls?.credentialNames ?? [])].filter((name) => Boolean(name) && name !== BUILT_IN) as string[];
    const bundle = tls?.caCertCredentialName || (names[0] === undefined ? undefined : caOf(names[0]));
    return [...names.map((name) => ({ name, use: 'certificate' as const })), ...(bundle === undefined ? [] : [{ name: bundle, use: 'bundle' as const }])];
  });
}

interface PassthroughTarget {
  sni: string;
  service: MeshService;
  port: ServicePort;
  subset: NonNullable<EffectiveRule['subsets']>[number] | undefined;
  policy: TrafficPolicySpec;
}

/** Of the services these hosts name. */
function passthroughTargets(mesh: Mesh, node: ProxyNode, hosts: readonly string[]): PassthroughTarget[] {
  if (hosts.length === 0) return [];
  // Clusters that find their endpoints themselves are outside the mesh, and nobody connects to them by such names.
  const inMesh = visibleServices(mesh, node).filter(
    (s) => (s.entry === undefined || s.entry.resolution === 'STATIC') && hosts.some((host) => hostMatches(host, s.host)),
  );
  return inMesh.flatMap((service) => {
    const rule = destinationRuleFor(mesh, service, node);
    return service.ports.flatMap((port) =>
      [undefined, ...(rule?.subsets ?? [])].map((subset) => ({
        ...{ sni: `outbound_.${port.port}_.${subset?.name ?? ''}_.${service.host}`, service, port, subset },
        policy: withMeshLocality(effectivePolicy(rule?.trafficPolicy, subset?.trafficPolicy, port.port), mesh.settings),
      })),
    );
  });
}

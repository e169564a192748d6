// What a gateway proxy opens: one listener per port of the Gateways that select it, routes by host.

import type { JsonObject } from '@bufbuild/protobuf';
import { matches } from '../config/index.ts';
import type { ProxyNode } from '../model/index.ts';
import { any, grouped, socketAddress } from './common.ts';
import { type GatewayServer, bareHost, gatewayRouteConfig } from './gateway-routes.ts';
import { downstreamTls, hcm, rds } from './listeners.ts';
import type { Mesh } from './mesh.ts';

interface GatewayPort {
  listener: JsonObject;
  routes: JsonObject[];
}

/**
 * Ports of a gateway proxy. Plaintext servers of a port share one chain and route configuration `http.<port>`; each TLS server
 * has a chain by SNI and `https.<port>.<port name>.<gateway>.<namespace>`. TLS servers whose certificate this control plane
 * cannot hand out (`credentialName`, PASSTHROUGH) and TCP servers open nothing: see {@link unservedServers}.
 */
export function gatewayPorts(mesh: Mesh, node: ProxyNode): GatewayPort[] {
  const ports = grouped(serversOf(mesh, node).filter(isServed), (s) => s.server.port.number);
  return [...ports].map(([port, servers]) => {
    // Plaintext and TLS cannot share a port: the oldest Gateway decides which it is.
    const [first] = servers;
    const tls = first !== undefined && isTls(first);
    const same = servers.filter((s) => isTls(s) === tls);
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
      });
    const base = { name, address: socketAddress(first?.server.bind ?? node.ip, port), trafficDirection: 'OUTBOUND' };
    if (!tls)
      return {
        listener: { ...base, filterChains: [{ name, filters: [manager(`http.${port}`, false)] }] },
        routes: [gatewayRouteConfig(mesh, node, `http.${port}`, same)],
      };
    return {
      listener: {
        ...base,
        listenerFilters: [
          { name: 'envoy.filters.listener.tls_inspector', typedConfig: any('envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector') },
        ],
        filterChains: same.map((s) => {
          const serverNames = s.server.hosts.map(bareHost).filter((h) => h !== '*');
          return {
            name: secureName(s),
            ...(serverNames.length === s.server.hosts.length ? { filterChainMatch: { serverNames } } : {}),
            filters: [manager(secureName(s), false)],
            transportSocket: serverTls(s.server.tls),
          };
        }),
      },
      routes: same.map((s) => gatewayRouteConfig(mesh, node, secureName(s), [s])),
    };
  });
}

/** Servers a gateway proxy should open and does not, with the reason, for the console. */
export function unservedServers(mesh: Mesh, node: ProxyNode): { gateway: string; port: number; reason: string }[] {
  return serversOf(mesh, node)
    .filter((s) => !isServed(s))
    .map(({ key, server }) => ({
      gateway: key,
      port: server.port.number,
      reason: isTls({ server })
        ? `TLS mode ${server.tls?.mode ?? 'PASSTHROUGH'} with credentialName ${server.tls?.credentialName ?? '(none)'} has no certificate here; use serverCertificate and privateKey files, or ISTIO_MUTUAL`
        : `protocol ${server.port.protocol} is not served by gateways`,
    }));
}

function serversOf(mesh: Mesh, node: ProxyNode): GatewayServer[] {
  return mesh.gateways
    .filter((g) => matches(node.labels, g.spec.selector))
    .flatMap((gateway) => gateway.spec.servers.map((server) => ({ gateway, key: `${gateway.metadata.namespace}/${gateway.metadata.name}`, server })));
}

function isTls({ server }: Pick<GatewayServer, 'server'>): boolean {
  return server.port.protocol === 'HTTPS' || server.port.protocol === 'TLS';
}

function isServed({ server }: Pick<GatewayServer, 'server'>): boolean {
  const { protocol } = server.port;
  if (protocol === 'HTTPS') return server.tls?.mode === 'ISTIO_MUTUAL' || (Boolean(server.tls?.serverCertificate) && Boolean(server.tls?.privateKey));
  return protocol === 'HTTP' || protocol === 'HTTP2' || protocol === 'GRPC' || protocol === 'GRPC-WEB';
}

function secureName({ gateway, server }: GatewayServer): string {
  return `https.${server.port.number}.${server.port.name}.${gateway.metadata.name}.${gateway.metadata.namespace}`;
}

function serverTls(tls: GatewayServer['server']['tls']): JsonObject {
  if (tls?.mode === 'ISTIO_MUTUAL') return downstreamTls();
  const mutual = tls?.mode === 'MUTUAL' || tls?.mode === 'OPTIONAL_MUTUAL';
  return {
    name: 'envoy.transport_sockets.tls',
    typedConfig: any('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
      requireClientCertificate: tls?.mode === 'MUTUAL',
      commonTlsContext: {
        tlsParams: { tlsMinimumProtocolVersion: 'TLSv1_2', tlsMaximumProtocolVersion: 'TLSv1_3' },
        alpnProtocols: ['h2', 'http/1.1'],
        tlsCertificates: [{ certificateChain: { filename: tls?.serverCertificate ?? '' }, privateKey: { filename: tls?.privateKey ?? '' } }],
        ...(mutual && tls.caCertificates !== undefined ? { validationContext: { trustedCa: { filename: tls.caCertificates } } } : {}),
      },
    }),
  };
}

// LDS and RDS of a Sidecar's egress listeners that open a port of their own: what they name, on that port.

import type { JsonObject } from '@bufbuild/protobuf';
import type { SidecarSpec } from '../config/index.ts';
import type { ProxyNode } from '../model/index.ts';
import { socketAddress } from './common.ts';
import { TLS_INSPECTOR, hcm, rds } from './listeners.ts';
import type { Mesh, MeshService, ServicePort } from './mesh.ts';
import { portRouteConfig } from './routes.ts';
import { protocolByName } from './service-entries.ts';
import { servicesNamedBy, sidecarOf } from './sidecar-scope.ts';
import { serviceTcpFilters } from './tcp-routes.ts';

type Egress = NonNullable<SidecarSpec['egress']>[number];

export interface EgressPort {
  listener: JsonObject;
  /** Name of its route configuration, and how it is made; none where it takes no HTTP. */
  routes?: { name: string; make: (mesh: Mesh, node: ProxyNode) => JsonObject };
}

/** Those that can be opened: with an address, or where nothing is intercepted anyway. */
export function egressPorts(mesh: Mesh, node: ProxyNode): readonly EgressPort[] {
  const listeners = sidecarOf(mesh, node)?.spec.egress ?? [];
  return listeners.flatMap((egress) => (opens(egress) ? egressPort(mesh, node, egress, egress.port?.number ?? 0) : []));
}

function opens({ port, bind = '', captureMode }: Egress): boolean {
  return port !== undefined && port.number > 0 && captureMode !== 'IPTABLES' && (bind !== '' || captureMode === 'NONE');
}

function egressPort(mesh: Mesh, node: ProxyNode, { port, bind, hosts }: Egress, number: number): EgressPort[] {
  const name = `${bind || '127.0.0.1'}_${number}`;
  const base = { name, address: socketAddress(bind || '127.0.0.1', number), trafficDirection: 'OUTBOUND' };
  const protocol = protocolByName(port?.protocol ?? '');
  const statPrefix = `outbound_${name}`;
  if (protocol !== 'tcp' && protocol !== 'https') {
    const manager = hcm(mesh, node, {
      ...{ statPrefix, routes: rds(String(number)), direction: 'outbound', reporter: 'source' },
      ...{ serverName: 'envoy', edge: false, mtls: false, forward: true },
    });
    // Shared by all proxies it is the same for: whose hosts are meant is asked anew.
    const make = (later: Mesh, client: ProxyNode): JsonObject => {
      const named = sidecarOf(later, client)?.spec.egress?.find((e) => e.port?.number === number)?.hosts ?? hosts;
      return portRouteConfig(later, client, number, servicesNamedBy(later, client, named));
    };
    return [{ listener: { ...base, filterChains: [{ name, filters: [manager] }] }, routes: { name: String(number), make } }];
  }
  const targets = servicesNamedBy(mesh, node, hosts).flatMap((service) => {
    const at = service.ports.find((p) => p.port === number);
    return at === undefined ? [] : [{ service, port: at }];
  });
  const chains = protocol === 'https' ? targets.map((t) => chainOf(mesh, node, t, [t.service.host])) : targets.slice(0, 1).map((t) => chainOf(mesh, node, t));
  // Nothing that it could lead to has this port.
  if (chains.length === 0) return [];
  return [{ listener: { ...base, ...(protocol === 'https' ? { listenerFilters: [TLS_INSPECTOR] } : {}), filterChains: chains } }];
}

function chainOf(mesh: Mesh, node: ProxyNode, { service, port }: { service: MeshService; port: ServicePort }, serverNames?: string[]): JsonObject {
  return {
    name: `${service.host}_${port.port}`,
    ...(serverNames === undefined ? {} : { filterChainMatch: { serverNames } }),
    filters: serviceTcpFilters(mesh, node, service, port),
  };
}

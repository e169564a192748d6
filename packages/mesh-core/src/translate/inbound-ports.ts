// The ports a sidecar takes for its application: those its agent tells, as the ingress of its Sidecar changes them or adds to them.

import type { JsonObject } from '@bufbuild/protobuf';
import type { ServerTls } from './server-tls.ts';
import type { Protocol, SidecarSpec, TrafficPolicySpec } from '../config/index.ts';
import type { InboundPort, ProxyNode } from '../model/index.ts';
import { hostAddress } from './common.ts';
import type { Mesh, MeshService } from './mesh.ts';
import { protocolByName } from './service-entries.ts';
import { servicesOfWorkload } from './service-workloads.ts';
import { sidecarOf } from './sidecar-scope.ts';

type Ingress = NonNullable<SidecarSpec['ingress']>[number];

export interface Inbound extends InboundPort {
  bind: string;
  /** Where the application is. */
  application: JsonObject;
  /** The Service's own, also of the numbers policies may call the port by. */
  targetPort?: number | string;
  /** In place of what its name or its Service says. */
  protocol?: Protocol;
  /** Its own TLS, and what is spoken inside it. */
  tls?: ServerTls;
  tlsProtocol?: 'http' | 'tcp';
  connectionPool?: TrafficPolicySpec['connectionPool'];
}

export function inboundCluster({ servicePort }: InboundPort): string {
  return `inbound|${servicePort}||`;
}

/** The port's number in its Service is what that says now, whatever it was when the agent started. */
function asInService(mesh: Mesh, node: ProxyNode, port: InboundPort): Pick<Inbound, 'servicePort' | 'targetPort'> {
  const ports = serviceBehind(mesh, node, port)?.ports ?? [];
  const found = ports.find((p) => p.name === port.name) ?? ports.find((p) => p.port === port.servicePort);
  return found === undefined ? { servicePort: port.servicePort } : { servicePort: found.port, targetPort: found.targetPort };
}

/** The service peers reach this port by. */
export function serviceBehind(mesh: Mesh, node: ProxyNode, port: { servicePort: number; name: string | undefined }): MeshService | undefined {
  return servicesOfWorkload(mesh, node.namespace, node.workload).find((s) => s.ports.some((p) => p.port === port.servicePort || p.name === port.name));
}

/**
 * An ingress listener for a port the agent tells changes that port. Others open one more, where they say where its requests go:
 * without iptables nothing else reaches them.
 */
export function inboundPorts(mesh: Mesh, node: ProxyNode): readonly Inbound[] {
  // A gateway has no application; its ports are those of Gateways.
  if (node.role === 'router') return [];
  const sidecar = node.role === 'sidecar' ? sidecarOf(mesh, node)?.spec : undefined;
  const ingress = sidecar?.ingress ?? [];
  const pool = sidecar?.inboundConnectionPool;
  const shared = pool === undefined ? {} : { connectionPool: pool };
  const own = node.inbound.map((told): Inbound => {
    const port = { ...told, ...asInService(mesh, node, told) };
    const listener = ingress.find((l) => matchesPort(l, port));
    const base = { ...port, bind: node.ip, application: hostAddress('127.0.0.1', port.appPort), ...shared };
    return listener === undefined ? base : { ...base, ...changes(node, listener) };
  });
  const more = ingress
    .filter((l) => l.captureMode !== 'IPTABLES' && Boolean(l.defaultEndpoint) && !node.inbound.some((port) => matchesPort(l, port)))
    .map((l): Inbound => {
      const { number, name = '' } = l.port;
      const port = { name, servicePort: number, listenPort: number, appPort: number, bind: node.ip };
      return { ...port, application: hostAddress('127.0.0.1', number), ...shared, ...changes(node, l) };
    });
  return [...own, ...more];
}

function matchesPort({ port }: Ingress, { listenPort, servicePort }: InboundPort): boolean {
  return port.number === listenPort || port.number === servicePort;
}

function changes(node: ProxyNode, { bind, defaultEndpoint = '', port, tls, connectionPool }: Ingress): Partial<Inbound> {
  const protocol = port.protocol === undefined ? undefined : protocolByName(port.protocol);
  return {
    ...(bind ? { bind } : {}),
    ...(defaultEndpoint === '' ? {} : { application: applicationAt(node, defaultEndpoint) }),
    ...(protocol === undefined ? {} : { protocol }),
    ...(tls === undefined ? {} : { tls, tlsProtocol: port.protocol?.toUpperCase() === 'HTTPS' ? ('http' as const) : ('tcp' as const) }),
    ...(connectionPool === undefined ? {} : { connectionPool }),
  };
}

/** `0.0.0.0` and `[::]` stand for the address of the workload itself; an address left out for loopback. */
function applicationAt(node: ProxyNode, endpoint: string): JsonObject {
  if (endpoint.startsWith('unix://')) return hostAddress(endpoint, 0);
  const colon = endpoint.lastIndexOf(':');
  const host = endpoint.slice(0, colon).replace(/^\[|\]$/g, '');
  const address = host === '0.0.0.0' || host === '::' ? node.ip : host || '127.0.0.1';
  return hostAddress(address, Number(endpoint.slice(colon + 1)));
}

// For whom and for which port routes are made.

import { type DestinationSpec, resolveHost } from '../config/index.ts';
import type { ProxyNode } from '../model/index.ts';
import { clusterName } from './common.ts';
import { type Mesh, serviceOf } from './mesh.ts';

export interface RouteContext {
  mesh: Mesh;
  node: ProxyNode;
  /** `mesh`, or `<namespace>/<name>` of the Gateway. */
  gateway: string;
  /** The listener's port: the destination port of routes that name none. */
  port: number;
  /** The listener takes TLS. */
  tls: boolean;
  /** Host header for the upstream where the rule sets none. */
  host?: string;
}

/** A destination's host in full; short names belong to the namespace of the object that names them. */
export function destinationHost({ mesh }: RouteContext, namespace: string, destination: DestinationSpec): string {
  return resolveHost(destination.host, namespace, mesh.settings.domainSuffix);
}

/** Cluster of a destination: its port, else the service's only one, else the listener's. */
export function destinationCluster(context: RouteContext, namespace: string, destination: DestinationSpec): string {
  const host = destinationHost(context, namespace, destination);
  const ports = serviceOf(context.mesh, host, context.node)?.ports ?? [];
  const only = ports.length === 1 ? ports[0]?.port : undefined;
  return clusterName(host, destination.port?.number ?? only ?? context.port, destination.subset);
}

// GatewayClasses: which Gateways are ours.

import type { GatewayClassSpec, KubernetesGatewaySpec } from '../../config/index.ts';
import type { MeshObject } from '../../model/index.ts';

export const CONTROLLER = 'istio.io/gateway-controller';
/** Of a mesh without gateways, as Istio names it. */
export const MESH_CONTROLLER = 'istio.io/mesh-controller';
/** Known without an object, as in Istio. Remote gateways and waypoints are no proxies that run here. */
const BUILT_IN: ReadonlyMap<string, string> = new Map([
  ['istio', CONTROLLER],
  ['istio-remote', 'istio.io/unmanaged-gateway'],
  ['istio-waypoint', MESH_CONTROLLER],
]);

/** Who looks after Gateways of a class; undefined when nobody is known. */
export function controllerOf(className: string, classes: readonly MeshObject<GatewayClassSpec>[]): string | undefined {
  return classes.find((c) => c.metadata.name === className)?.spec.controllerName ?? BUILT_IN.get(className);
}

export function isOurs(gateway: MeshObject<KubernetesGatewaySpec>, classes: readonly MeshObject<GatewayClassSpec>[]): boolean {
  return controllerOf(gateway.spec.gatewayClassName, classes) === CONTROLLER;
}

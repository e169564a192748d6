// Marks of objects that are made here, as Istio writes them.

import type { MeshObject } from '../../model/index.ts';

/** What made a VirtualService: the Gateway API or an Ingress. */
export const ROUTE_ANNOTATION = 'internal.istio.io/route-semantics';
const GATEWAY_ANNOTATION = 'internal.istio.io/gateway-semantics';

/** Of a VirtualService: path prefixes end at a segment, a destination that does not exist answers 500. */
export const ROUTE_SEMANTICS: Readonly<Record<string, string>> = { [ROUTE_ANNOTATION]: 'gateway' };
/** Of a Gateway: it is for proxies of its own namespace only. */
export const GATEWAY_SEMANTICS: Readonly<Record<string, string>> = { [GATEWAY_ANNOTATION]: 'gateway' };

/** On proxies of the Gateway of this name, as Istio labels those it deploys. */
export const GATEWAY_NAME_LABEL = 'gateway.networking.k8s.io/gateway-name';

/** Whether a VirtualService was made of routes of the Gateway API. */
export function isGatewayApi({ metadata }: MeshObject): boolean {
  return metadata.annotations?.[ROUTE_ANNOTATION] === 'gateway';
}

/** Whether a Gateway was made of a listener of the Gateway API. */
export function isListener({ metadata }: MeshObject): boolean {
  return metadata.annotations?.[GATEWAY_ANNOTATION] === 'gateway';
}

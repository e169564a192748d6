// One xDS resource, encoded once and shared as bytes between all streams that carry it.

import { joined } from '../wire/writer.ts';

export const TYPE_URL = {
  listener: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  route: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  cluster: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  endpoint: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  secret: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
} as const;

export type TypeUrl = (typeof TYPE_URL)[keyof typeof TYPE_URL];

export interface Resource {
  typeUrl: TypeUrl;
  name: string;
  /** Content hash of `body` and `tail`: survives restarts and agrees between replicas. */
  version: string;
  /** The encoded message (the `value` of the Any), but for the fields in `tail`. */
  body: Uint8Array;
  /** More fields of the message, behind `body`: what many proxies share is there once, what is a proxy's own stands here. */
  tail?: Uint8Array;
}

/** The whole encoded message. */
export function bytesOf({ body, tail }: Resource): Uint8Array {
  return tail === undefined ? body : joined(body, tail);
}

/** Everything one class of proxies may be sent: per type, resources by name. */
export type ResourceSet = Readonly<Record<TypeUrl, ReadonlyMap<string, Resource>>>;

// What a proxy tells the control plane about itself in the xDS node: written by the agent, read by translate/.

import type { Identity } from './identity.ts';

export type ProxyRole = 'sidecar' | 'router';

/** One port of the application behind a sidecar. */
export interface InboundPort {
  /** Port name as in the Service (`http`), its protocol prefix decides the protocol. */
  name: string;
  /** The Service's targetPort the inbound cluster is named after: `inbound|<servicePort>||`. */
  servicePort: number;
  /** Where the sidecar listens; the WorkloadEntry's port for peers. */
  listenPort: number;
  /** Where the application listens on loopback. */
  appPort: number;
}

/** One upstream service this workload reaches by a loopback port of its own. */
export interface UpstreamPort {
  /** `reviews.bookinfo.svc.cluster.local` */
  host: string;
  port: number;
  /** Loopback port the sidecar listens on for it. */
  listenPort: number;
}

/**
 * The proxy as the control plane sees it. Carried as `node.id` = `<role>~<ip>~<workload>.<namespace>~<namespace>.svc.cluster.local`,
 * `node.cluster` = `<app>.<namespace>` and `node.metadata` = the fields of {@link ProxyMetadata} under Istio's upper-case names.
 */
export interface ProxyNode {
  /** The whole node id; unique per running proxy. */
  id: string;
  role: ProxyRole;
  dataPlane: 'embedded' | 'envoy' | 'grpc';
  /** Address peers reach this workload at. */
  ip: string;
  workload: string;
  namespace: string;
  identity: Identity;
  labels: Record<string, string>;
  /** `region/zone/subzone`, '' = unknown. */
  locality: string;
  /** Host-keyed outbound HTTP listener on loopback; 0 = none. */
  httpProxyPort: number;
  inbound: readonly InboundPort[];
  upstreams: readonly UpstreamPort[];
  adminPort: number;
  /** `1.40.0` for Envoy, Weft's own version for the embedded proxy. */
  version: string;
  /** Asked for by its agent; absent = what its version can. */
  telemetry?: 'stats' | 'als';
}

/** Keys of `node.metadata`; values are JSON (protobuf Struct). The first five carry Istio's own names. */
export const NODE_METADATA = {
  namespace: 'NAMESPACE',
  workload: 'WORKLOAD_NAME',
  serviceAccount: 'SERVICE_ACCOUNT',
  labels: 'LABELS',
  meshId: 'MESH_ID',
  dataPlane: 'WEFT_DATA_PLANE',
  httpProxyPort: 'HTTP_PROXY_PORT',
  inbound: 'WEFT_INBOUND',
  upstreams: 'WEFT_UPSTREAMS',
  adminPort: 'WEFT_ADMIN_PORT',
  version: 'PROXY_VERSION',
  telemetry: 'WEFT_TELEMETRY',
} as const;

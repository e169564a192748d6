// What starts one embedded proxy: written by the agent as JSON, read by proxy/main.ts. A fleet process gets a list of these.

import { type InboundPort, NODE_METADATA, type ProxyRole, type UpstreamPort } from '@weft/mesh-core/model';
import type { JsonObject } from '@weft/mesh-core/wire';

export interface ProxySpec {
  workload: string;
  /** Tells proxies of one workload apart; absent = there is one. */
  replica?: string;
  namespace: string;
  serviceAccount: string;
  trustDomain: string;
  meshId: string;
  role: ProxyRole;
  labels: Record<string, string>;
  /** `region/zone/subzone`; absent or '' = unknown. */
  locality?: string;
  /** Address peers reach it at. */
  ip: string;
  httpProxyPort: number;
  inbound: readonly InboundPort[];
  upstreams: readonly UpstreamPort[];
  adminPort: number;
  /** Control plane, mTLS: `127.0.0.1:15012`. */
  xdsAddress: string;
  /** PEM of the mesh root, to trust the control plane. */
  rootCaPem: string;
  /** Exchanged once for a certificate (CreateCertificate); kept to do it again after a long absence. */
  joinToken: string;
  /** How long its certificates live; absent = 24 h, which is also the most the authority gives. */
  certificateTtlSec?: number;
  /** How stock Envoy's requests are counted; absent = the stats access logger where this Envoy has it. The embedded proxy counts by itself. */
  envoyTelemetry?: 'stats' | 'als';
  /** OTLP/HTTP base, `http://127.0.0.1:4318`. */
  otlpEndpoint: string;
  /** Directory for the last good configuration; '' = keep none. */
  stateDir: string;
}

/** The proxy's xDS node id, as Istio writes it. */
export function nodeId({ role, ip, workload, replica, namespace }: ProxySpec): string {
  return `${role}~${ip}~${workload}${replica === undefined ? '' : `-${replica}`}.${namespace}~${namespace}.svc.cluster.local`;
}

/** As in Envoy's JSON. */
export interface XdsNode {
  id: string;
  cluster: string;
  metadata: JsonObject;
  locality?: { region: string; zone: string; sub_zone: string };
}

/** Who the proxy is to the control plane. `version` is that of its data plane. */
export function xdsNode(spec: ProxySpec, dataPlane: 'embedded' | 'envoy', version: string): XdsNode {
  const [region = '', zone = '', subZone = ''] = (spec.locality ?? '').split('/');
  return {
    id: nodeId(spec),
    ...(region === '' ? {} : { locality: { region, zone, sub_zone: subZone } }),
    cluster: `${spec.labels['app'] ?? spec.workload}.${spec.namespace}`,
    metadata: {
      [NODE_METADATA.namespace]: spec.namespace,
      [NODE_METADATA.workload]: spec.workload,
      [NODE_METADATA.serviceAccount]: spec.serviceAccount,
      [NODE_METADATA.labels]: spec.labels,
      [NODE_METADATA.meshId]: spec.meshId,
      [NODE_METADATA.dataPlane]: dataPlane,
      [NODE_METADATA.httpProxyPort]: spec.httpProxyPort,
      [NODE_METADATA.inbound]: spec.inbound.map((port) => ({ ...port })),
      [NODE_METADATA.upstreams]: spec.upstreams.map((upstream) => ({ ...upstream })),
      [NODE_METADATA.adminPort]: spec.adminPort,
      [NODE_METADATA.version]: version,
      ...(dataPlane === 'embedded' || spec.envoyTelemetry === undefined ? {} : { [NODE_METADATA.telemetry]: spec.envoyTelemetry }),
    },
  };
}

// Mesh-wide settings, after Istio's MeshConfig; only the keys Weft reads.

import type { ExtensionProvider } from './extension-provider.ts';

export interface MeshSettings {
  trustDomain: string;
  /** Names policies may still call it by. */
  trustDomainAliases?: readonly string[];
  rootNamespace: string;
  clusterId: string;
  meshId: string;
  /** DNS suffix of Service hosts. */
  domainSuffix: string;
  outboundTrafficPolicy: 'ALLOW_ANY' | 'REGISTRY_ONLY';
  connectTimeoutMs: number;
  /** How long ports without a declared protocol are looked at; 0 = until their first bytes come. */
  protocolDetectionTimeoutMs: number;
  /** Share of new traces recorded, 0-100. Istio's default is 1; the demo uses 100. */
  tracingSamplingPercent: number;
  /** '' = no access log. */
  accessLogFile: string;
  /** Istio's default text, or the same as JSON. */
  accessLogEncoding: 'TEXT' | 'JSON';
  /** A format of the operator's own, in place of Istio's: text with `%COMMAND%`s, or with JSON encoding an object of such. */
  accessLogFormat?: string;
  /** What is made of paths before they are judged and forwarded; BASE unless told. */
  pathNormalization?: 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES';
  /** Which endpoints are preferred by where they are, unless a DestinationRule says so itself. */
  localityLbSetting?: {
    enabled?: boolean | undefined;
    distribute?: { from: string; to: Record<string, number> }[] | undefined;
    failover?: { from: string; to: string }[] | undefined;
    failoverPriority?: string[] | undefined;
  };
  /** What stands in front of gateways. */
  gatewayTopology?: {
    /** Proxies whose x-forwarded-for is believed. */
    numTrustedProxies?: number;
    forwardClientCertDetails?: 'UNDEFINED' | 'SANITIZE' | 'FORWARD_ONLY' | 'APPEND_FORWARD' | 'SANITIZE_SET' | 'ALWAYS_FORWARD_ONLY';
    /** They send PROXY headers. */
    proxyProtocol?: object;
  };
  /** Who is asked by AuthorizationPolicies with action CUSTOM, as MeshConfig lists them: also those that cannot be. */
  extensionProviders?: readonly ExtensionProvider[];
  /** Which Ingresses are served, and by which gateway proxies; as MeshConfig's `ingressControllerMode` and so on. */
  ingress?: {
    /** DEFAULT: also those without a class. STRICT unless told. */
    mode?: 'UNSPECIFIED' | 'OFF' | 'DEFAULT' | 'STRICT';
    /** `istio` unless told. */
    class?: string;
    /** Their label `istio`; else the name of their Service. */
    selector?: string;
    service?: string;
  };
  /** Where proxies send OTLP. */
  otlp: { host: string; grpcPort: number; httpPort: number };
}

export const DEFAULT_MESH_SETTINGS: MeshSettings = {
  trustDomain: 'cluster.local',
  rootNamespace: 'istio-system',
  clusterId: 'weft',
  meshId: 'demo-mesh',
  domainSuffix: 'cluster.local',
  outboundTrafficPolicy: 'ALLOW_ANY',
  connectTimeoutMs: 10_000,
  protocolDetectionTimeoutMs: 0,
  tracingSamplingPercent: 1,
  accessLogFile: '',
  accessLogEncoding: 'TEXT',
  otlp: { host: '127.0.0.1', grpcPort: 4317, httpPort: 4318 },
};

// Small builders the resource files share.

import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { type ProxyNode, canonicalRevision, canonicalService } from '../model/index.ts';

export const ADS: JsonObject = { ads: {}, resourceApiVersion: 'V3', initialFetchTimeout: '0s' };
/** The service of a cluster once more as a plain struct: Envoy's `%CLUSTER_METADATA()%` cannot look into lists. */
export const SERVICE_METADATA = 'weft.service';
export const PEER_HEADER = 'x-weft-peer';

export function any(type: string, value: JsonObject = {}): JsonObject {
  return { '@type': `type.googleapis.com/${type}`, ...value };
}

export function socketAddress(address: string, port: number): JsonObject {
  return { socketAddress: { address, portValue: port } };
}

/** The address of a workload, which may be `unix:///path` or `unix://@name`; such a one has no port. */
export function hostAddress(address: string, port: number): JsonObject {
  return address.startsWith('unix://') ? { pipe: { path: address.slice('unix://'.length) } } : socketAddress(address, port);
}

/** proto3 JSON duration. */
export function seconds(ms: number): string {
  return `${ms / 1_000}s`;
}

export function clusterName(host: string, port: number, subset = ''): string {
  return `outbound|${port}|${subset}|${host}`;
}

/** Seven fields of the peer header, in order. */
export const PEER_FIELDS = ['workload', 'namespace', 'app', 'version', 'canonical_service', 'canonical_revision', 'cluster'] as const;

/** Who a workload is to its peers. */
export function peerIdentity(node: Pick<ProxyNode, 'labels' | 'workload' | 'namespace'>, clusterId: string): Record<(typeof PEER_FIELDS)[number], string> {
  const { labels } = node;
  return {
    workload: node.workload,
    namespace: node.namespace,
    app: labels['app'] ?? '',
    version: labels['version'] ?? '',
    canonical_service: canonicalService(labels, node.workload),
    canonical_revision: canonicalRevision(labels),
    cluster: clusterId,
  };
}

export function without(object: Record<string, JsonValue | undefined>): JsonObject {
  return Object.fromEntries(Object.entries(object).filter((e): e is [string, JsonValue] => e[1] !== undefined));
}

/** Whether an Envoy of this version has what came with `wanted`. */
export function isAtLeast(version: string, [wantedMajor, wantedMinor]: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

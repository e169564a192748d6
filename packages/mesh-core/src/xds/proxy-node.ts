// The xDS node as a ProxyNode. Clients are not trusted: every field is checked, and what is missing has a harmless default.

import { z } from 'zod';
import type { Node } from '../gen/envoy/config/core/v3/base_pb.ts';
import { NODE_METADATA } from '../model/index.ts';
import type { ProxyNode } from '../model/index.ts';

const portNumber = z.number().int().min(0).max(65_535);
const dnsName = z.string().regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, 'must be a DNS name');
const metadataSchema = z.object({
  [NODE_METADATA.namespace]: dnsName.default('default'),
  [NODE_METADATA.workload]: dnsName.optional(),
  [NODE_METADATA.serviceAccount]: dnsName.default('default'),
  [NODE_METADATA.labels]: z.record(z.string(), z.string()).default({}),
  [NODE_METADATA.dataPlane]: z.enum(['embedded', 'envoy', 'grpc']).optional(),
  [NODE_METADATA.httpProxyPort]: portNumber.default(0),
  [NODE_METADATA.inbound]: z.array(z.object({ name: z.string(), servicePort: portNumber, listenPort: portNumber, appPort: portNumber })).default([]),
  [NODE_METADATA.upstreams]: z.array(z.object({ host: z.string(), port: portNumber, listenPort: portNumber })).default([]),
  [NODE_METADATA.adminPort]: portNumber.default(0),
  [NODE_METADATA.version]: z.string().optional(),
  [NODE_METADATA.telemetry]: z.enum(['stats', 'als']).optional(),
});

/**
 * Reads `node.id` (`<role>~<ip>~<workload>.<namespace>~<domain>`) and `node.metadata`; a client that names no data plane
 * and whose user agent says grpc is a proxyless gRPC client, any other is an Envoy. Returns the reason when the node cannot be one.
 */
export function parseProxyNode(node: Node, trustDomain: string): ProxyNode | { problem: string } {
  if (node.id === '') return { problem: 'node.id is empty' };
  const parsed = metadataSchema.safeParse(node.metadata ?? {});
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return { problem: `node.metadata.${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is not valid'}` };
  }
  const metadata = parsed.data;
  const [role, ip, name] = node.id.split('~');
  const formed = name !== undefined && (role === 'sidecar' || role === 'router');
  const namespace = metadata.NAMESPACE;
  const grpc = /grpc/i.test(node.userAgentName);
  return {
    id: node.id,
    role: formed && role === 'router' ? 'router' : 'sidecar',
    dataPlane: metadata.WEFT_DATA_PLANE ?? (grpc ? 'grpc' : 'envoy'),
    ip: formed && ip !== undefined ? ip : '',
    workload: metadata.WORKLOAD_NAME ?? (formed ? name.replace(new RegExp(`\\.${namespace.replaceAll('.', '\\.')}$`), '') : node.id),
    namespace,
    identity: { trustDomain, namespace, serviceAccount: metadata.SERVICE_ACCOUNT },
    labels: metadata.LABELS,
    locality: localityOf(node, metadata.LABELS),
    httpProxyPort: metadata.HTTP_PROXY_PORT,
    inbound: metadata.WEFT_INBOUND,
    upstreams: metadata.WEFT_UPSTREAMS,
    adminPort: metadata.WEFT_ADMIN_PORT,
    version: metadata.PROXY_VERSION ?? versionOfClient(node),
    ...(metadata.WEFT_TELEMETRY === undefined ? {} : { telemetry: metadata.WEFT_TELEMETRY }),
  };
}

/** What the node says, or Istio's label, whose parts are joined by dots. */
function localityOf({ locality }: Node, labels: Record<string, string>): string {
  if (locality === undefined || locality.region === '') return (labels['istio-locality'] ?? '').replaceAll('.', '/');
  return [locality.region, locality.zone, locality.subZone].join('/').replace(/\/+$/, '');
}

function versionOfClient({ userAgentVersionType: version }: Node): string {
  if (version.case === 'userAgentVersion') return version.value;
  if (version.case !== 'userAgentBuildVersion' || version.value.version === undefined) return '';
  const { majorNumber, minorNumber, patch } = version.value.version;
  return `${majorNumber}.${minorNumber}.${patch}`;
}

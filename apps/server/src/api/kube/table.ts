// The table `kubectl get` prints: it asks the server for columns and rows.

import type { MeshObject } from '@weft/mesh-core/model';

type Column = readonly [name: string, value: (spec: Record<string, unknown>, status: Status) => string];

/** What columns read of a status. */
interface Status {
  phase?: string;
  addresses?: readonly { value: string }[];
  loadBalancer?: { ingress?: readonly { ip: string }[] };
  conditions?: readonly { type: string; status: string }[];
}

const COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  Service: [
    ['Type', (s) => text(s['type'] ?? 'ClusterIP')],
    ['Cluster-IP', (s) => text(s['clusterIP'] ?? '<none>')],
    [
      'Port(s)',
      (s) =>
        list(s['ports'])
          .map((p) => `${text((p as { port?: number }).port)}/${text((p as { protocol?: string }).protocol ?? 'TCP')}`)
          .join(','),
    ],
  ],
  Namespace: [['Status', (_, { phase }) => phase ?? '']],
  Secret: [
    ['Type', (s) => text(s['type'] ?? 'Opaque')],
    ['Data', (s) => String(Object.keys((s['data'] ?? {}) as object).length)],
  ],
  ConfigMap: [['Data', (s) => String(Object.keys((s['data'] ?? {}) as object).length)]],
  VirtualService: [
    ['Gateways', (s) => JSON.stringify(s['gateways'] ?? [])],
    ['Hosts', (s) => JSON.stringify(s['hosts'] ?? [])],
  ],
  Ingress: [
    ['Class', (s) => text(s['ingressClassName'] ?? '<none>')],
    ['Hosts', (s) => [...new Set((list(s['rules']) as { host?: string }[]).map((r) => r.host ?? '*'))].join(',') || '*'],
    ['Address', (_, { loadBalancer }) => (loadBalancer?.ingress ?? []).map((i) => i.ip).join(',')],
    ['Ports', (s) => (list(s['tls']).length === 0 ? '80' : '80, 443')],
  ],
  IngressClass: [['Controller', (s) => text(s['controller'])]],
  DestinationRule: [['Host', (s) => text(s['host'])]],
  ServiceEntry: [
    ['Hosts', (s) => JSON.stringify(s['hosts'] ?? [])],
    ['Location', (s) => text(s['location'] ?? 'MESH_EXTERNAL')],
    ['Resolution', (s) => text(s['resolution'] ?? 'NONE')],
  ],
  GatewayClass: [
    ['Controller', (s) => text(s['controllerName'])],
    ['Accepted', (_, status) => conditionOf(status, 'Accepted')],
  ],
  KubernetesGateway: [
    ['Class', (s) => text(s['gatewayClassName'])],
    ['Address', (_, { addresses = [] }) => addresses.map((a) => a.value).join(',')],
    ['Programmed', (_, status) => conditionOf(status, 'Programmed')],
  ],
  HTTPRoute: [['Hostnames', (s) => (s['hostnames'] === undefined ? '' : JSON.stringify(s['hostnames']))]],
  GRPCRoute: [['Hostnames', (s) => (s['hostnames'] === undefined ? '' : JSON.stringify(s['hostnames']))]],
  WorkloadEntry: [['Address', (s) => text(s['address'])]],
  PeerAuthentication: [['Mode', (s) => text((s['mtls'] as { mode?: string } | undefined)?.mode ?? '')]],
  RequestAuthentication: [['Issuers', (s) => JSON.stringify(((s['jwtRules'] ?? []) as { issuer?: string }[]).map((r) => r.issuer))]],
  AuthorizationPolicy: [['Action', (s) => text(s['action'] ?? '')]],
};

interface KubeTable {
  kind: 'Table';
  apiVersion: string;
  metadata: { resourceVersion: string };
  columnDefinitions: { name: string; type: string; format: string; description: string; priority: number }[];
  rows: { cells: string[]; object: Pick<MeshObject, 'kind' | 'apiVersion' | 'metadata'> }[];
}

/** A meta.k8s.io/v1 Table. `now` = Unix ms, for ages. */
export function tableOf(kind: string, objects: readonly MeshObject[], resourceVersion: string, now: number): KubeTable {
  const columns = COLUMNS[kind] ?? [];
  const definition = (name: string, format = '') => ({ name, type: 'string', format, description: name, priority: 0 });
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: { resourceVersion },
    columnDefinitions: [definition('Name', 'name'), ...columns.map(([name]) => definition(name)), definition('Age')],
    rows: objects.map((o) => ({
      cells: [
        o.metadata.name,
        ...columns.map(([, value]) => value((o.spec ?? o) as Record<string, unknown>, (o.status ?? {}) as Status)),
        ageText(o.metadata.creationTimestamp, now),
      ],
      object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: o.metadata },
    })),
  };
}

/** `42s`, `5m`, `3h`, `12d`, as kubectl writes ages. */
function ageText(timestamp: string | undefined, now: number): string {
  const seconds = Math.max(0, Math.floor((now - Date.parse(timestamp ?? '')) / 1_000));
  if (Number.isNaN(seconds)) return '<unknown>';
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)}h` : `${Math.floor(seconds / 86_400)}d`;
}

function conditionOf({ conditions = [] }: Status, type: string): string {
  return conditions.find((c) => c.type === type)?.status ?? '';
}

function text(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

// What a proxy was sent, in the columns of `istioctl proxy-config`.

import { type ObjectRef, refOfConfigPath } from '@weft/mesh-core/model';

/** Resources by short type name, as proto3 JSON. */
export type Dump = Readonly<Record<string, readonly Json[]>>;
interface Json {
  readonly [key: string]: unknown;
}
export interface DumpRow {
  cells: readonly string[];
  /** The configuration object it was made of. */
  object?: ObjectRef;
  /** The whole resource. */
  json: unknown;
}
export interface DumpTable {
  head: readonly string[];
  rows: readonly DumpRow[];
}
export type DumpPart = 'Clusters' | 'Listeners' | 'Routes' | 'Endpoints' | 'Secrets';

const TABLES: Readonly<Record<DumpPart, (dump: Dump) => DumpTable>> = {
  Clusters: clusterTable,
  Listeners: listenerTable,
  Routes: routeTable,
  Endpoints: endpointTable,
  Secrets: secretTable,
};

export function dumpTable(part: DumpPart, dump: Dump): DumpTable {
  return TABLES[part](dump);
}

function clusterTable({ cluster = [] }: Dump): DumpTable {
  const rows = cluster.map((json) => {
    const [direction, port = '–', subset = '', host] = text(json['name']).split('|');
    const named = host === undefined ? [text(json['name']), '–', '–', '–'] : [host || '–', port, subset || '–', direction ?? '–'];
    const type = text(json['type']) || text(at(json, 'clusterType', 'name')).replace('envoy.clusters.', '') || 'STATIC';
    return { cells: [...named, type], json, ...origin(json) };
  });
  return { head: ['Service', 'Port', 'Subset', 'Direction', 'Type'], rows: sorted(rows) };
}

function listenerTable({ listener = [] }: Dump): DumpTable {
  const rows = listener.flatMap((json) => {
    const chains = [...list(json['filterChains']), ...(json['defaultFilterChain'] === undefined ? [] : [json['defaultFilterChain'] as Json])];
    return chains.map((chain) => ({
      cells: [text(json['name']), address(json['address']), chainMatch(at(chain, 'filterChainMatch')), destination(list(chain['filters']))],
      json,
    }));
  });
  return { head: ['Listener', 'Address', 'Match', 'Destination'], rows: sorted(rows) };
}

/** Routes keep their order: the first that matches counts. */
function routeTable({ route = [] }: Dump): DumpTable {
  const rows = route.flatMap((json) =>
    list(json['virtualHosts']).flatMap((host) =>
      list(host['routes']).map((r) => ({
        cells: [text(json['name']), some(list<string>(host['domains'])), routeMatch(at(r, 'match')), action(r)],
        json: r,
        ...origin(r),
      })),
    ),
  );
  return { head: ['Route table', 'Domains', 'Match', 'Goes to'], rows };
}

function endpointTable({ endpoint = [] }: Dump): DumpTable {
  const rows = endpoint.flatMap((json) =>
    list(json['endpoints']).flatMap((locality) =>
      list(locality['lbEndpoints']).map((e) => ({
        cells: [
          address(at(e, 'endpoint', 'address')),
          text(json['clusterName']),
          text(at(e, 'metadata', 'filterMetadata', 'weft.peer', 'workload')),
          text(e['healthStatus']) || 'UNKNOWN',
          text(at(e, 'metadata', 'filterMetadata', 'envoy.transport_socket_match', 'tlsMode')) === 'istio' ? 'mTLS' : 'plaintext',
        ],
        json: e,
      })),
    ),
  );
  return { head: ['Endpoint', 'Cluster', 'Workload', 'Health', 'Transport'], rows: sorted(rows) };
}

function secretTable({ secret = [] }: Dump): DumpTable {
  const rows = secret.map((json) => ({
    cells: [
      text(json['name']),
      json['tlsCertificate'] === undefined ? (json['validationContext'] === undefined ? 'other' : 'trusted roots') : 'key and certificate chain',
    ],
    json,
  }));
  return { head: ['Secret', 'What it is'], rows: sorted(rows) };
}

function chainMatch(match: unknown): string {
  const m = (match ?? {}) as Json;
  const conditions = [
    ...(m['destinationPort'] === undefined ? [] : [`port ${text(m['destinationPort'])}`]),
    ...(m['transportProtocol'] === undefined ? [] : [text(m['transportProtocol'])]),
    ...(m['serverNames'] === undefined ? [] : [`SNI ${list<string>(m['serverNames']).join(', ')}`]),
    ...(m['applicationProtocols'] === undefined ? [] : [`ALPN ${list<string>(m['applicationProtocols']).join(', ')}`]),
  ];
  return conditions.join('; ') || 'all';
}

function destination(filters: readonly Json[]): string {
  for (const filter of filters) {
    const config = (filter['typedConfig'] ?? {}) as Json;
    const route = text(at(config, 'rds', 'routeConfigName')) || text(at(config, 'routeConfig', 'name'));
    if (route !== '') return `route table ${route}`;
    if (config['cluster'] !== undefined) return `cluster ${text(config['cluster'])}`;
    if (config['weightedClusters'] !== undefined) return weighted(config['weightedClusters']);
  }
  return '–';
}

function routeMatch(match: unknown): string {
  const m = (match ?? {}) as Json;
  const path =
    text(m['path']) ||
    (m['pathSeparatedPrefix'] === undefined
      ? m['prefix'] === undefined
        ? `regex ${text(at(m, 'safeRegex', 'regex'))}`
        : `${text(m['prefix'])}*`
      : `${text(m['pathSeparatedPrefix'])}/*`);
  const headers = list(m['headers']).map((h) => text(h['name']));
  return headers.length === 0 ? path : `${path} with ${headers.join(', ')}`;
}

function action(route: Json): string {
  const cluster = text(at(route, 'route', 'cluster'));
  if (cluster !== '') return short(cluster);
  const clusters = at(route, 'route', 'weightedClusters');
  if (clusters !== undefined) return weighted(clusters);
  if (route['redirect'] !== undefined) return 'a redirect';
  const direct = at(route, 'directResponse', 'status');
  return direct === undefined ? '–' : `answer ${text(direct)}`;
}

function some([first = '–', ...others]: readonly string[]): string {
  return others.length === 0 ? first : `${first} and ${others.length} more`;
}

function weighted(clusters: unknown): string {
  return list(at(clusters, 'clusters'))
    .map((c) => `${short(text(c['name']))} ${text(c['weight'] ?? 0)}`)
    .join(', ');
}

/** `outbound|9080|v1|reviews.bookinfo.svc.cluster.local` as `reviews.bookinfo:9080 v1`. */
function short(cluster: string): string {
  const [, port, subset = '', host] = cluster.split('|');
  return host === undefined || host === '' ? cluster : `${host.replace(/\.svc\..*$/, '')}:${port}${subset === '' ? '' : ` ${subset}`}`;
}

function origin(json: Json): { object?: ObjectRef } {
  const ref = refOfConfigPath(text(at(json, 'metadata', 'filterMetadata', 'istio', 'config')));
  // Names with ~ and of Ingresses are those of objects made of others.
  return ref === undefined || /~|-istio-autogenerated-/.test(ref.name) ? {} : { object: ref };
}

function address(json: unknown): string {
  const socket = at(json, 'socketAddress') as Json | undefined;
  return socket === undefined ? text(at(json, 'pipe', 'path')) : `${text(socket['address'])}:${text(socket['portValue'] ?? 0)}`;
}

function at(json: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>((held, key) => (held as Json | undefined)?.[key], json);
}
function list<T = Json>(json: unknown): readonly T[] {
  return Array.isArray(json) ? (json as T[]) : [];
}
function text(json: unknown): string {
  return typeof json === 'string' ? json : typeof json === 'number' ? String(json) : '';
}
function sorted(rows: readonly DumpRow[]): DumpRow[] {
  return rows.toSorted((a, b) => a.cells.join(' ').localeCompare(b.cells.join(' '), undefined, { numeric: true }));
}

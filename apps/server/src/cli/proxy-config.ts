// What one proxy has, from its own admin interface, in the columns of `istioctl proxy-config`.

import { refOfConfigPath } from '@weft/mesh-core/model';

/** The parts of envoy.admin.v3 and envoy.config that are looked at. */
interface Metadata {
  metadata?: { filter_metadata?: { istio?: { config?: string } } };
}
interface Cluster extends Metadata {
  name: string;
  type?: string;
}
interface Address {
  socket_address?: { address?: string; port_value?: number };
  pipe?: { path?: string };
}
interface Filter {
  typed_config?: {
    route_config?: { name?: string };
    rds?: { route_config_name?: string };
    cluster?: string;
    weighted_clusters?: { clusters?: { name: string }[] };
  };
}
interface Chain {
  filter_chain_match?: { server_names?: string[]; transport_protocol?: string; application_protocols?: string[] };
  filters?: Filter[];
}
interface Listener {
  name: string;
  address?: Address;
  filter_chains?: Chain[];
  default_filter_chain?: Chain;
}
interface Match {
  prefix?: string;
  path?: string;
  path_separated_prefix?: string;
  safe_regex?: { regex?: string };
  headers?: { name: string }[];
}
interface RouteConfig {
  name: string;
  virtual_hosts?: { name: string; domains?: string[]; routes?: (Metadata & { match?: Match })[] }[];
}
export interface ConfigDump {
  configs: {
    dynamic_active_clusters?: { cluster: Cluster }[];
    static_clusters?: { cluster: Cluster }[];
    dynamic_listeners?: { active_state?: { listener: Listener } }[];
    dynamic_route_configs?: { route_config: RouteConfig }[];
  }[];
}
export interface ClusterStatuses {
  cluster_statuses?: {
    name: string;
    host_statuses?: {
      address?: Address;
      health_status?: { eds_health_status?: string; failed_active_health_check?: boolean; failed_outlier_check?: boolean };
    }[];
  }[];
}
interface Certificate {
  serial_number?: string;
  subject_alt_names?: { uri?: string; dns?: string }[];
  valid_from?: string;
  expiration_time?: string;
}
export interface Certificates {
  certificates?: { ca_cert?: Certificate[]; cert_chain?: Certificate[] }[];
}

export interface Table {
  head: readonly string[];
  rows: readonly (readonly string[])[];
}

export function clusterTable({ configs }: ConfigDump): Table {
  const clusters = configs.flatMap((c) => [...(c.static_clusters ?? []), ...(c.dynamic_active_clusters ?? [])]).map((c) => c.cluster);
  const rows = clusters.map((cluster) => {
    const [direction, port = '-', subset = '', host] = cluster.name.split('|');
    const named = host === undefined ? [cluster.name, '-', '-', '-'] : [host === '' ? '-' : host, port, subset === '' ? '-' : subset, direction ?? '-'];
    return [...named, cluster.type ?? 'STATIC', configOf(cluster)];
  });
  return { head: ['SERVICE FQDN', 'PORT', 'SUBSET', 'DIRECTION', 'TYPE', 'DESTINATION RULE'], rows: rows.toSorted(byText) };
}

export function listenerTable({ configs }: ConfigDump): Table {
  const listeners = configs.flatMap((c) => c.dynamic_listeners ?? []).flatMap((l) => l.active_state?.listener ?? []);
  const rows = listeners.flatMap(({ name, address, filter_chains: chains = [], default_filter_chain: otherwise }) =>
    [...chains, ...(otherwise === undefined ? [] : [otherwise])].map(({ filter_chain_match: match = {}, filters = [] }) => {
      const conditions = [
        ...(match.transport_protocol === undefined ? [] : [`Trans: ${match.transport_protocol}`]),
        ...(match.server_names === undefined ? [] : [`SNI: ${match.server_names.join(',')}`]),
        ...(match.application_protocols === undefined ? [] : [`App: ${match.application_protocols.join(',')}`]),
      ];
      return [name, addressText(address), conditions.length === 0 ? 'ALL' : conditions.join('; '), destinationOf(filters)];
    }),
  );
  return { head: ['LISTENER', 'ADDRESS', 'MATCH', 'DESTINATION'], rows: rows.toSorted(byText) };
}

export function routeTable({ configs }: ConfigDump): Table {
  const rows = configs
    .flatMap((c) => c.dynamic_route_configs ?? [])
    .flatMap(({ route_config: config }) =>
      (config.virtual_hosts ?? []).flatMap((host) =>
        (host.routes ?? []).map((route) => [config.name, host.name, domainsText(host.domains ?? []), matchText(route.match ?? {}), configOf(route)]),
      ),
    );
  // Routes stay in their order: the first that matches counts.
  return { head: ['NAME', 'VHOST NAME', 'DOMAINS', 'MATCH', 'VIRTUAL SERVICE'], rows };
}

export function endpointTable({ cluster_statuses: clusters = [] }: ClusterStatuses): Table {
  const rows = clusters.flatMap(({ name, host_statuses: hosts = [] }) =>
    hosts.map(({ address, health_status: health = {} }) => [
      addressText(address),
      health.failed_active_health_check === true ? 'UNHEALTHY' : (health.eds_health_status ?? 'UNKNOWN'),
      health.failed_outlier_check === true ? 'FAILED' : 'OK',
      name,
    ]),
  );
  return { head: ['ENDPOINT', 'STATUS', 'OUTLIER CHECK', 'CLUSTER'], rows: rows.toSorted((a, b) => byText([a[3] ?? ''], [b[3] ?? '']) || byText(a, b)) };
}

/** `now`: Unix ms. */
export function certificateTable({ certificates = [] }: Certificates, now: number): Table {
  const row = (
    type: string,
    { serial_number: serial = '-', subject_alt_names: names = [], valid_from: from = '-', expiration_time: until = '-' }: Certificate,
  ) => {
    const valid = Date.parse(from) <= now && now < Date.parse(until);
    return [type, names.map((name) => name.uri ?? name.dns ?? '-').join(',') || '-', String(valid), serial, until, from];
  };
  const rows = certificates.flatMap(({ ca_cert: bundle = [], cert_chain: chain = [] }) => [
    ...chain.map((certificate) => row('Cert Chain', certificate)),
    ...bundle.map((certificate) => row('CA', certificate)),
  ]);
  return { head: ['TYPE', 'IDENTITY', 'VALID CERT', 'SERIAL NUMBER', 'NOT AFTER', 'NOT BEFORE'], rows: rows.toSorted(byText).toReversed() };
}

/** `name.namespace` of the object it was made of; of a Service there is nothing to change. */
function configOf({ metadata }: Metadata): string {
  const ref = refOfConfigPath(metadata?.filter_metadata?.istio?.config ?? '');
  return ref === undefined || ref.kind === 'Service' ? '' : `${ref.name}.${ref.namespace}`;
}

function addressText({ socket_address: socket, pipe }: Address = {}): string {
  return socket === undefined ? (pipe?.path ?? '') : `${socket.address ?? ''}:${socket.port_value ?? 0}`;
}

function destinationOf(filters: readonly Filter[]): string {
  for (const { typed_config: config } of filters) {
    const route = config?.rds?.route_config_name ?? config?.route_config?.name;
    if (route !== undefined) return `Route: ${route}`;
    if (config?.cluster !== undefined) return `Cluster: ${config.cluster}`;
    const weighted = config?.weighted_clusters?.clusters;
    if (weighted !== undefined) return `Clusters: ${weighted.map((c) => c.name).join(', ')}`;
  }
  return '-';
}

function domainsText(domains: readonly string[]): string {
  const [first = '-', ...others] = domains;
  return others.length === 0 ? first : `${first} + ${others.length} more`;
}

function matchText({ prefix, path, path_separated_prefix: segments, safe_regex: regex, headers = [] }: Match): string {
  const text = path ?? (prefix === undefined ? (segments === undefined ? `regex ${regex?.regex ?? ''}` : `${segments}/*`) : `${prefix}*`);
  return headers.length === 0 ? text : `${text} (${headers.map((h) => h.name).join(', ')})`;
}

function byText(a: readonly string[], b: readonly string[]): number {
  const [one, other] = [a.join(' '), b.join(' ')];
  return one < other ? -1 : one > other ? 1 : 0;
}

// What configuration and the list of proxies say exists: services, their workloads, and which of those are gateways.

import { type Select, labelIndex, resolveHost, type ServiceEntrySpec, type ServiceSpec, type WorkloadEntrySpec } from '../config/index.ts';
import { hasSidecar, isHealthy, type MeshObject } from '../model/index.ts';

/** What the graph needs to know of a proxy; `ProxyStatus` of the API has all of it. */
export interface GraphProxy {
  id: string;
  workload: string;
  namespace: string;
  role: 'sidecar' | 'router';
  state: string;
}

export interface CatalogWorkload {
  namespace: string;
  name: string;
  app: string;
  version: string;
  labels: Readonly<Record<string, string>>;
  /** Endpoints configured, and how many of them pass their health check. */
  endpoints: number;
  healthy: number;
  proxies: string[];
  gateway: boolean;
  inMesh: boolean;
}

export interface CatalogService {
  namespace: string;
  name: string;
  host: string;
  protocol: 'http' | 'grpc' | 'tcp';
  workloads: readonly CatalogWorkload[];
  /** A ServiceEntry's, outside the mesh. */
  external?: boolean;
}

export interface Catalog {
  /** By `<namespace>/<name>`. */
  workloads: ReadonlyMap<string, CatalogWorkload>;
  services: ReadonlyMap<string, CatalogService>;
  servicesByHost: ReadonlyMap<string, CatalogService>;
  /** First service that selects the workload, by `<namespace>/<workload>`. */
  serviceOfWorkload: ReadonlyMap<string, CatalogService>;
}

const GATEWAY_LABEL = /^(ingress|egress)gateway$/;

/** True for labels of a gateway workload as Istio's charts set them. */
function isGatewayLabels(labels: Readonly<Record<string, string>>): boolean {
  return GATEWAY_LABEL.test(labels['istio'] ?? '');
}

export function buildCatalog(objects: readonly MeshObject[], proxies: readonly GraphProxy[], domainSuffix = 'cluster.local'): Catalog {
  const workloads = new Map<string, CatalogWorkload>();
  for (const object of objects) {
    if (object.kind !== 'WorkloadEntry') continue;
    const labels = (object.spec as WorkloadEntrySpec).labels ?? object.metadata.labels ?? {};
    const { namespace, name } = object.metadata;
    const healthy = isHealthy(object.metadata);
    const known = workloads.get(`${namespace}/${name}`);
    if (known !== undefined) {
      known.endpoints += 1;
      known.healthy += healthy ? 1 : 0;
      continue;
    }
    workloads.set(`${namespace}/${name}`, {
      namespace,
      name,
      app: labels['service.istio.io/canonical-name'] ?? labels['app'] ?? name,
      version: labels['service.istio.io/canonical-revision'] ?? labels['version'] ?? '',
      labels,
      endpoints: 1,
      healthy: healthy ? 1 : 0,
      proxies: [],
      gateway: isGatewayLabels(labels),
      inMesh: hasSidecar(labels),
    });
  }
  for (const proxy of proxies) addProxy(workloads, proxy);
  return { workloads, ...services(objects, [...workloads.values()], domainSuffix) };
}

function addProxy(workloads: Map<string, CatalogWorkload>, proxy: GraphProxy): void {
  const key = `${proxy.namespace}/${proxy.workload}`;
  const known = workloads.get(key);
  if (known === undefined) {
    // A sidecar that is gone and has no WorkloadEntry any more is history, not a workload.
    if (proxy.state === 'disconnected') return;
    const labels = {};
    workloads.set(key, {
      namespace: proxy.namespace,
      name: proxy.workload,
      app: proxy.workload,
      version: '',
      labels,
      endpoints: 0,
      healthy: 0,
      proxies: [proxy.id],
      gateway: proxy.role === 'router',
      inMesh: true,
    });
    return;
  }
  known.inMesh = true;
  known.gateway ||= proxy.role === 'router';
  known.proxies.push(proxy.id);
}

function services(objects: readonly MeshObject[], workloads: readonly CatalogWorkload[], domainSuffix: string): Omit<Catalog, 'workloads'> {
  const select = labelIndex(
    workloads,
    (w) => w.namespace,
    (w) => w.labels,
  );
  const byName = new Map<string, CatalogService>();
  const byHost = new Map<string, CatalogService>();
  const ofWorkload = new Map<string, CatalogService>();
  for (const service of entryServices(objects, select)) {
    byName.set(`${service.namespace}/${service.name}`, service);
    byHost.set(service.host, service);
  }
  for (const object of objects) {
    if (object.kind !== 'Service') continue;
    const { namespace, name } = object.metadata;
    const spec = object.spec as ServiceSpec;
    const selected = Object.keys(spec.selector ?? {}).length === 0 ? [] : select(namespace, spec.selector);
    const service: CatalogService = { namespace, name, host: resolveHost(name, namespace, domainSuffix), protocol: protocolOf(spec), workloads: selected };
    byName.set(`${namespace}/${name}`, service);
    byHost.set(service.host, service);
    for (const workload of selected) if (!ofWorkload.has(`${namespace}/${workload.name}`)) ofWorkload.set(`${namespace}/${workload.name}`, service);
  }
  return { services: byName, servicesByHost: byHost, serviceOfWorkload: ofWorkload };
}

/** Each host of a ServiceEntry is a service of that name, as its metrics say. */
function entryServices(objects: readonly MeshObject[], select: Select<CatalogWorkload>): CatalogService[] {
  return objects.flatMap((object) => {
    if (object.kind !== 'ServiceEntry') return [];
    const { namespace } = object.metadata;
    const { hosts, ports = [], location, workloadSelector } = object.spec as ServiceEntrySpec;
    const selected = workloadSelector === undefined ? [] : select(namespace, workloadSelector.labels);
    const protocol = (ports[0]?.protocol ?? '').toUpperCase();
    return hosts.map((host): CatalogService => {
      const name = host.toLowerCase();
      const kind = protocol.startsWith('GRPC') ? 'grpc' : protocol.startsWith('HTTP') && protocol !== 'HTTPS' ? 'http' : 'tcp';
      return { namespace, name, host: name, protocol: kind, workloads: selected, external: location !== 'MESH_INTERNAL' };
    });
  });
}

function protocolOf(spec: ServiceSpec): 'http' | 'grpc' | 'tcp' {
  const [port] = spec.ports ?? [];
  const name = (port?.appProtocol ?? port?.name?.split('-')[0] ?? '').toLowerCase();
  if (name.startsWith('grpc')) return 'grpc';
  return name.startsWith('http') ? 'http' : 'tcp';
}

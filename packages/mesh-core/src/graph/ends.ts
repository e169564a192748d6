// Which nodes of the graph a row of metrics touches, in every graph type.

import type { Catalog, CatalogService, CatalogWorkload } from './catalog.ts';
import { isUnset } from './deduplicate.ts';

type Labels = Readonly<Record<string, string>>;

/** One end of a hop. Ids are absent where the labels do not name such a thing. */
export interface End {
  namespace: string;
  workload?: string;
  app?: string;
  version?: string;
  /** `wl:`, `gw:`, `ext:` or `unknown`. */
  workloadId?: string;
  appId?: string;
  serviceId?: string;
  service?: ServiceIdentity;
  known?: CatalogWorkload;
}

export interface ServiceIdentity {
  namespace: string;
  name: string;
  host: string;
  /** Outside the mesh, and named by a ServiceEntry. */
  external?: boolean;
}

export const UNKNOWN_ID = 'unknown';

/** Id of a workload's node: `gw:` for gateways, `wl:` otherwise. */
export function workloadId(namespace: string, workload: string, gateway: boolean): string {
  return `${gateway ? 'gw' : 'wl'}:${namespace}/${workload}`;
}

/** The calling end. Nothing known about it = the node `unknown`. */
export function sourceEnd(labels: Labels, catalog: Catalog): End {
  const workload = labels['source_workload'];
  if (workload === undefined || isUnset(workload)) return { namespace: '', workloadId: UNKNOWN_ID, appId: UNKNOWN_ID };
  return workloadEnd(labels['source_workload_namespace'] ?? '', workload, labels['source_canonical_service'], labels['source_canonical_revision'], catalog);
}

/** The called end. A service of one workload stands for that workload where the request never reached any. */
export function destinationEnd(labels: Labels, catalog: Catalog): End {
  const service = serviceOf(labels, catalog);
  const workload = labels['destination_workload'];
  if (workload !== undefined && !isUnset(workload)) {
    const namespace = labels['destination_workload_namespace'] ?? '';
    const end = workloadEnd(namespace, workload, labels['destination_canonical_service'], labels['destination_canonical_revision'], catalog);
    const own = service ?? identity(catalog.serviceOfWorkload.get(`${namespace}/${workload}`));
    return own === undefined ? end : { ...end, serviceId: serviceNodeId(own), service: own };
  }
  if (service === undefined) {
    const host = [labels['destination_service'], labels['destination_service_name']].find((name) => !isUnset(name)) ?? 'unknown';
    return { namespace: '', workloadId: `ext:${host}`, appId: `ext:${host}`, serviceId: `ext:${host}` };
  }
  const configured = catalog.services.get(`${service.namespace}/${service.name}`)?.workloads ?? [];
  const [only] = configured;
  const serviceId = serviceNodeId(service);
  if (only === undefined || configured.length !== 1) {
    const app = only?.app;
    return { namespace: service.namespace, serviceId, service, ...(app === undefined ? {} : { app, appId: `app:${service.namespace}/${app}` }) };
  }
  return { ...workloadEnd(only.namespace, only.name, only.app, only.version, catalog), serviceId, service };
}

function workloadEnd(namespace: string, workload: string, app: string | undefined, version: string | undefined, catalog: Catalog): End {
  const known = catalog.workloads.get(`${namespace}/${workload}`);
  const service = identity(catalog.serviceOfWorkload.get(`${namespace}/${workload}`));
  const name = isUnset(app) ? known?.app : app;
  const revision = isUnset(version) || version === 'latest' ? known?.version : version;
  // A gateway that is gone from the proxy list keeps its node as long as its numbers last.
  const gateway = known?.gateway ?? /^(istio-)?(ingress|egress)gateway$/.test(workload);
  const id = workloadId(namespace, workload, gateway);
  return {
    namespace,
    workload,
    workloadId: id,
    appId: gateway || name === undefined ? id : `app:${namespace}/${name}`,
    ...(name === undefined ? {} : { app: name }),
    ...(revision === undefined || revision === '' ? {} : { version: revision }),
    ...(service === undefined ? {} : { serviceId: serviceNodeId(service), service }),
    ...(known === undefined ? {} : { known }),
  };
}

function serviceOf(labels: Labels, catalog: Catalog): ServiceIdentity | undefined {
  const byHost = catalog.servicesByHost.get(labels['destination_service'] ?? '');
  if (byHost !== undefined) return identity(byHost);
  const namespace = labels['destination_service_namespace'];
  const name = labels['destination_service_name'];
  if (namespace === undefined || name === undefined || isUnset(namespace) || isUnset(name) || name === 'PassthroughCluster' || name === 'BlackHoleCluster')
    return undefined;
  const host = labels['destination_service'];
  return { namespace, name, host: host === undefined || isUnset(host) ? `${name}.${namespace}.svc.cluster.local` : host };
}

function identity(service: CatalogService | undefined): ServiceIdentity | undefined {
  if (service === undefined) return undefined;
  const { namespace, name, host, external } = service;
  return { namespace, name, host, ...(external === true ? { external } : {}) };
}

/** Id of a service's node. */
export function serviceNodeId(service: { namespace: string; name: string }): string {
  return `svc:${service.namespace}/${service.name}`;
}

// Which workloads are behind a service. Apart from the services themselves: endpoints come, go and move all the time, and what is
// made of hosts, ports and rules does not depend on them.

import { type ServiceEntrySpec, type ServiceSpec, type WorkloadEntrySpec, labelIndex } from '../config/index.ts';
import { hasSidecar, isHealthy, type MeshObject, type MeshSettings, spiffeId, grouped } from '../model/index.ts';
import { derived, fact, sameElements, sameEntries, sameList } from './memo.ts';
import { type Mesh, type MeshService, type ServicePort, type Workload, ofKind, serviceKey } from './mesh.ts';
import { entryWorkloads, joining } from './service-entries.ts';

/** Behind any of its ports. What reads these is not made again when those of another service change. */
export function workloadsOf(mesh: Mesh, { key }: MeshService): readonly Workload[] {
  return fact(mesh, `workloads of|${key}`, (m) => byService(m).get(key)) ?? [];
}

export function isBehind({ joined, ports }: Workload, port: ServicePort): boolean {
  return joined !== true || ports[port.name] !== undefined;
}

/** There are workloads, but none has a sidecar. */
export function isWithoutSidecars(mesh: Mesh, { key }: MeshService): boolean {
  return fact(mesh, `without sidecars|${key}`, (m) => {
    const workloads = byService(m).get(key) ?? [];
    return workloads.length > 0 && !workloads.some(({ labels }) => hasSidecar(labels));
  });
}

/** The services a workload belongs to. */
export function servicesOfWorkload(mesh: Mesh, namespace: string, workload: string): readonly MeshService[] {
  return derived<Mesh, readonly MeshService[]>(
    mesh,
    `services of|${namespace}|${workload}`,
    (m) =>
      derived(m, 'services by workload', (n) =>
        grouped(
          [...n.services.values()]
            .flat()
            .flatMap((service) =>
              (byService(n).get(service.key) ?? []).filter((w) => w.joined !== true).map((w) => ({ service, of: `${w.namespace}/${w.name}` })),
            ),
          (s) => s.of,
        ),
      )
        .get(`${namespace}/${workload}`)
        ?.map((s) => s.service) ?? [],
    sameList,
  );
}

/** By the key of the service. */
function byService(mesh: Mesh): ReadonlyMap<string, readonly Workload[]> {
  return derived<Mesh, ReadonlyMap<string, readonly Workload[]>>(
    mesh,
    'workloads by service',
    (m) => {
      const workloads = derived<Mesh, readonly Workload[]>(
        m,
        'workloads',
        (n) => ofKind<WorkloadEntrySpec>(n, 'WorkloadEntry').map((entry) => workloadOf(entry, n.settings)),
        sameElements,
      );
      const select = labelIndex(
        workloads,
        (w) => w.namespace,
        (w) => w.labels,
      );
      const found = new Map<string, readonly Workload[]>();
      for (const { metadata, spec } of ofKind<ServiceSpec>(m, 'Service'))
        found.set(serviceKey(metadata), Object.keys(spec.selector ?? {}).length === 0 ? [] : select(metadata.namespace, spec.selector));
      for (const entry of ofKind<ServiceEntrySpec>(m, 'ServiceEntry'))
        for (const { key, host, workloads } of entryWorkloads(entry, (labels) => select(entry.metadata.namespace, labels), m.settings)) {
          found.set(key, workloads);
          // As in Istio endpoints belong to a host and a namespace, whatever object names them.
          const service = m.services.get(host)?.find((s) => s.entry === undefined && s.namespace === entry.metadata.namespace);
          if (service !== undefined) found.set(service.key, [...(found.get(service.key) ?? []), ...joining(entry.spec, workloads)]);
        }
      return found;
    },
    (old, now) => sameEntries(old, now, sameElements),
  );
}

/** Of each entry one, so that those of thousands that have not moved need not be compared: of objects, which never change, as long as they are there. */
const made = new WeakMap<MeshObject<WorkloadEntrySpec>, { workload: Workload; trustDomain: string }>();

function workloadOf(entry: MeshObject<WorkloadEntrySpec>, { trustDomain }: MeshSettings): Workload {
  const known = made.get(entry);
  if (known?.trustDomain === trustDomain) return known.workload;
  const workload = toWorkload(entry, trustDomain);
  made.set(entry, { workload, trustDomain });
  return workload;
}

function toWorkload({ spec, metadata }: MeshObject<WorkloadEntrySpec>, trustDomain: string): Workload {
  const serviceAccount = spec.serviceAccount ?? 'default';
  return {
    name: metadata.name,
    namespace: metadata.namespace,
    address: spec.address,
    ports: spec.ports ?? {},
    labels: { ...metadata.labels, ...spec.labels },
    serviceAccount,
    principal: spiffeId({ trustDomain, namespace: metadata.namespace, serviceAccount }),
    weight: spec.weight ?? 1,
    locality: spec.locality ?? '',
    healthy: isHealthy(metadata),
  };
}

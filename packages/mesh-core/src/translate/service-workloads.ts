// Which workloads are behind a service. Apart from the services themselves: endpoints come, go and move all the time, and what is
// made of hosts, ports and rules does not depend on them.

import { type ServiceEntrySpec, type ServiceSpec, type WorkloadEntrySpec, labelIndex } from '../config/index.ts';
import { hasSidecar, isHealthy, type MeshObject, type MeshSettings, spiffeId, grouped } from '../model/index.ts';
import { derived, fact, sameElements, sameEntries, sameList } from './memo.ts';
import { type Mesh, type MeshService, type Workload, ofKind, serviceKey } from './mesh.ts';
import { entryWorkloads } from './service-entries.ts';

/** What reads these is not made again when those of another service change. */
export function workloadsOf(mesh: Mesh, { key }: MeshService): readonly Workload[] {
  return fact(mesh, `workloads of|${key}`, (m) => byService(m).get(key)) ?? [];
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
          [...n.services.values()].flat().flatMap((service) => (byService(n).get(service.key) ?? []).map((w) => ({ service, of: `${w.namespace}/${w.name}` }))),
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
      const services = ofKind<ServiceSpec>(m, 'Service').map(({ metadata, spec }): [string, readonly Workload[]] => [
        serviceKey(metadata),
        Object.keys(spec.selector ?? {}).length === 0 ? [] : select(metadata.namespace, spec.selector),
      ]);
      const entries = ofKind<ServiceEntrySpec>(m, 'ServiceEntry').flatMap((object) =>
        entryWorkloads(object, (labels) => select(object.metadata.namespace, labels), m.settings),
      );
      return new Map([...services, ...entries]);
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

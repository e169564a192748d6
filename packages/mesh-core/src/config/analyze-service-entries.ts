// ServiceEntries that cannot be told apart, and hosts of theirs that somebody else has.

import type { MeshObject, Problem } from '../model/index.ts';
import { type Mesh, exportsOf, problem, visible } from './analyze-mesh.ts';
import { NO_EFFECT } from './analyze-no-effect.ts';
import type { ServiceEntrySpec } from './service-entry.ts';

type ServiceEntry = MeshObject<ServiceEntrySpec>;

export function serviceEntryProblems(entry: ServiceEntry): Problem[] {
  const { addresses = [], ports = [] } = entry.spec;
  const allocated = ((entry.status as { addresses?: unknown[] } | undefined)?.addresses ?? []).length > 0;
  if (addresses.length > 0 || allocated) return [];
  return ports.flatMap(({ protocol = '' }, i) =>
    protocol === '' || protocol.toUpperCase() === 'TCP'
      ? [
          problem(
            entry,
            'warning',
            'IST0134',
            `spec.ports[${i}]`,
            'A TCP port can only be told from other hosts by an address: add addresses, or name its protocol.',
          ),
        ]
      : [],
  );
}

/** Where both are seen a Service comes first. */
export function shadowedHosts(entry: ServiceEntry, { services }: Mesh): Problem[] {
  return entry.spec.hosts.flatMap((host, i) => {
    const service = services.get(host.toLowerCase());
    if (service === undefined) return [];
    const { name, namespace } = service.metadata;
    if (!visible(exportsOf(service.metadata), namespace, entry.metadata.namespace)) return [];
    const message = `Has no effect here: Service ${name} of ${namespace} has the host ${host}, and comes first wherever it is seen. Ports and endpoints of this entry do not count for it.`;
    return [problem(entry, 'warning', NO_EFFECT, `spec.hosts[${i}]`, message)];
  });
}

/** One host and port, visible to the same namespaces, with different protocols. */
export function protocolConflicts(entries: readonly ServiceEntry[]): Problem[] {
  const scopes = ({ spec, metadata }: ServiceEntry): string[] =>
    (spec.exportTo?.length ? spec.exportTo : ['*']).map((e) => (e === '.' ? metadata.namespace : e));
  const meet = (a: ServiceEntry, b: ServiceEntry): boolean => scopes(a).some((s) => s === '*' || scopes(b).some((t) => t === '*' || t === s));
  const times = new Map<string, number>();
  for (const host of entries.flatMap((entry) => [...new Set(entry.spec.hosts)])) times.set(host, (times.get(host) ?? 0) + 1);
  // Most have a host of their own, and are compared with nobody.
  const several = entries.filter((entry) => entry.spec.hosts.some((host) => (times.get(host) ?? 0) > 1));
  return several.flatMap((entry) => {
    const rivals = several.filter((other) => other !== entry && meet(entry, other) && differs(entry, other));
    if (rivals.length === 0) return [];
    const names = rivals.map((r) => `${r.metadata.namespace}/${r.metadata.name}`).join(', ');
    return [problem(entry, 'warning', 'IST0177', 'spec.ports', `ServiceEntry ${names} has the same host and port with another protocol.`)];
  });
}

function differs(a: ServiceEntry, b: ServiceEntry): boolean {
  if (!a.spec.hosts.some((host) => b.spec.hosts.includes(host))) return false;
  const protocol = (p: { protocol?: string | undefined }): string => (p.protocol ?? '').toUpperCase();
  return (a.spec.ports ?? []).some((p) => (b.spec.ports ?? []).some((q) => q.number === p.number && protocol(q) !== protocol(p)));
}

// ServiceEntries that cannot be told apart, and hosts of theirs that somebody else has.

import type { MeshObject, Problem } from '../model/index.ts';
import { type Mesh, exportsOf, problem, visible } from './analyze-mesh.ts';
import { NO_EFFECT } from './analyze-no-effect.ts';
import type { ServiceSpec } from './other-kinds.ts';
import { isIpAddress } from './schema-parts.ts';
import { type ServiceEntrySpec, joinsServices } from './service-entry.ts';

type ServiceEntry = MeshObject<ServiceEntrySpec>;

const SHARED_HOST = 'WEFT_SHARED_HOST';

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

/** Where both are seen: a Service comes first but for sidecars of the entry's namespace, and in its own namespace takes the entry's endpoints in. */
export function sharedHosts(entry: ServiceEntry, { services }: Mesh): Problem[] {
  return entry.spec.hosts.flatMap((host, i) => {
    const service = services.get(host.toLowerCase());
    if (service === undefined) return [];
    const { name, namespace } = service.metadata;
    const home = entry.metadata.namespace;
    if (!visible(exportsOf(service.metadata), namespace, home)) return [];
    const told = (severity: Problem['severity'], code: string, message: string): Problem[] => [problem(entry, severity, code, `spec.hosts[${i}]`, message)];
    const owner = `Service ${name} of ${namespace} has the host ${host}`;
    if (namespace !== home && visible(entry.spec.exportTo, home, home))
      return told(
        'warning',
        SHARED_HOST,
        `${owner}: sidecars of ${home} take this entry in its place, ports and endpoints; gateways and other namespaces the Service.`,
      );
    const ports = namespace === home && hasAddresses(entry.spec) ? portsInCommon(entry.spec, service.spec) : [];
    return ports.length > 0
      ? told('info', SHARED_HOST, `${owner}: its ports count, and endpoints of this entry that are IP addresses join its own at ${ports.join(', ')}.`)
      : told('warning', NO_EFFECT, `Has no effect here: ${owner}, and comes first wherever it is seen. Ports and endpoints of this entry do not count for it.`);
  });
}

/** What may join the endpoints of a Service. */
function hasAddresses(spec: ServiceEntrySpec): boolean {
  return joinsServices(spec) && (spec.workloadSelector !== undefined || (spec.endpoints ?? []).some(({ address = '' }) => isIpAddress(address)));
}

function portsInCommon(spec: ServiceEntrySpec, service: ServiceSpec): string[] {
  return (spec.ports ?? []).map((p) => p.name).filter((name) => service.ports.some((p) => p.name === name));
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

// Services that ServiceEntries add to the mesh: hosts of the outside, or of machines.

import { type Protocol, type ServiceEntrySpec, isIpAddress, joinsServices } from '../config/index.ts';
import type { MeshObject, MeshSettings } from '../model/index.ts';
import { spiffeId } from '../model/index.ts';
import type { MeshService, ServicePort, Workload } from './mesh.ts';

export interface EntryFacts {
  resolution: NonNullable<ServiceEntrySpec['resolution']>;
  /** MESH_EXTERNAL: nobody there speaks the mesh's mutual TLS. */
  external: boolean;
  addresses: readonly string[];
  subjectAltNames: readonly string[];
}

/** One service per host, in the order given. */
export function entryServices(entries: readonly MeshObject<ServiceEntrySpec>[]): MeshService[] {
  return entries.flatMap(({ spec, metadata }) => {
    const entry: EntryFacts = {
      resolution: resolutionOf(spec),
      external: isExternal(spec),
      addresses: spec.addresses ?? [],
      subjectAltNames: spec.subjectAltNames ?? [],
    };
    const ports = (spec.ports ?? []).filter((p) => p.protocol?.toUpperCase() !== 'UDP').map(toPort);
    return spec.hosts.map((name): MeshService => {
      const host = name.toLowerCase();
      return { key: entryKey(metadata, host), host, name: host, namespace: metadata.namespace, exportTo: spec.exportTo, ports, entry };
    });
  });
}

/** What is behind the hosts of an entry, with the key of the service. `selected` are the workloads of its namespace with some labels. */
export function entryWorkloads(
  object: MeshObject<ServiceEntrySpec>,
  selected: (labels: Readonly<Record<string, string>> | undefined) => readonly Workload[],
  settings: MeshSettings,
): { key: string; host: string; workloads: readonly Workload[] }[] {
  return object.spec.hosts.map((name) => {
    const host = name.toLowerCase();
    return { key: entryKey(object.metadata, host), host, workloads: workloads(object, host, selected, settings) };
  });
}

/** What of it joins the Service of that host, by the names of its ports: what has an address. Of one that lets requests through to wherever, nothing. */
export function joining(spec: ServiceEntrySpec, workloads: readonly Workload[]): Workload[] {
  if (!joinsServices(spec)) return [];
  return workloads
    .filter((w) => isIpAddress(w.address))
    .map((w) => {
      const ports = (spec.ports ?? []).map(({ name, number, targetPort }) => [name, w.ports[name] ?? (targetPort || number)] as const);
      return { ...w, ports: Object.fromEntries(ports), joined: true };
    });
}

const entryKey = ({ namespace, name }: MeshObject['metadata'], host: string): string => `ServiceEntry|${namespace}/${name}|${host}`;

const resolutionOf = ({ resolution = 'NONE' }: ServiceEntrySpec): EntryFacts['resolution'] => resolution;

const isExternal = ({ location = 'MESH_EXTERNAL' }: ServiceEntrySpec): boolean => location === 'MESH_EXTERNAL';

function toPort({ name, number, targetPort, protocol = '' }: NonNullable<ServiceEntrySpec['ports']>[number]): ServicePort {
  return { name, port: number, targetPort: targetPort || number, protocol: protocolByName(protocol) };
}

/** Of a port that names its protocol as Istio does (`HTTP2`, any case). */
export function protocolByName(name: string): Protocol {
  return PROTOCOLS[name.toUpperCase()] ?? 'tcp';
}

const PROTOCOLS: Readonly<Record<string, Protocol>> = {
  '': 'auto',
  HTTP: 'http',
  'GRPC-WEB': 'grpc-web',
  HTTP_PROXY: 'http',
  HTTP2: 'http2',
  GRPC: 'grpc',
  HTTPS: 'https',
  TLS: 'https',
};

function workloads(
  { spec, metadata }: MeshObject<ServiceEntrySpec>,
  host: string,
  selected: (labels: Readonly<Record<string, string>> | undefined) => readonly Workload[],
  settings: MeshSettings,
): readonly Workload[] {
  const foreign = (labels: Readonly<Record<string, string>>): Record<string, string> => {
    const { 'security.istio.io/tlsMode': tlsMode, ...rest } = labels;
    return isExternal(spec) || tlsMode === undefined ? rest : { ...rest, 'security.istio.io/tlsMode': tlsMode };
  };
  const { namespace } = metadata;
  if (spec.workloadSelector !== undefined) return selected(spec.workloadSelector.labels).map((w) => ({ ...w, labels: foreign(w.labels) }));
  const resolution = resolutionOf(spec);
  const named = resolution === 'DNS' || resolution === 'DNS_ROUND_ROBIN' || (resolution === 'NONE' && !host.startsWith('*'));
  const endpoints = spec.endpoints ?? [];
  const list = endpoints.length === 0 && named ? [{ address: host }] : endpoints;
  return list.flatMap((endpoint: NonNullable<ServiceEntrySpec['endpoints']>[number]) => {
    // An endpoint that only names a network is reached through that network's gateway; Weft has one network.
    if (endpoint.address === undefined) return [];
    const serviceAccount = endpoint.serviceAccount ?? 'default';
    return {
      name: endpoint.address,
      namespace,
      address: endpoint.address,
      ports: endpoint.ports ?? {},
      labels: foreign(endpoint.labels ?? {}),
      serviceAccount,
      principal: spiffeId({ trustDomain: settings.trustDomain, namespace, serviceAccount }),
      weight: endpoint.weight ?? 1,
      locality: endpoint.locality ?? '',
      healthy: true,
      anonymous: true,
    };
  });
}

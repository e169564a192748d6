// Services that ServiceEntries add to the mesh: hosts of the outside, or of machines.

import { type ServiceEntrySpec, matches } from '../config/index.ts';
import type { MeshObject, MeshSettings } from '../model/index.ts';
import { spiffeId } from '../model/index.ts';
import type { MeshService, Protocol, ServicePort, Workload } from './mesh.ts';

export interface EntryFacts {
  resolution: NonNullable<ServiceEntrySpec['resolution']>;
  /** MESH_EXTERNAL: nobody there speaks the mesh's mutual TLS. */
  external: boolean;
  addresses: readonly string[];
  subjectAltNames: readonly string[];
}

/** One service per host, in the order given. `workloadsOf` a namespace are those a selector may find. */
export function entryServices(
  entries: readonly MeshObject<ServiceEntrySpec>[],
  workloadsOf: (namespace: string) => readonly Workload[],
  settings: MeshSettings,
): MeshService[] {
  return entries.flatMap((object) => {
    const { spec, metadata } = object;
    const { resolution = 'NONE', location = 'MESH_EXTERNAL' } = spec;
    const entry: EntryFacts = {
      resolution,
      external: location === 'MESH_EXTERNAL',
      addresses: spec.addresses ?? [],
      subjectAltNames: spec.subjectAltNames ?? [],
    };
    const ports = (spec.ports ?? []).filter((p) => p.protocol?.toUpperCase() !== 'UDP').map(toPort);
    return spec.hosts.map((host): MeshService => {
      const lower = host.toLowerCase();
      return {
        host: lower,
        name: lower,
        namespace: metadata.namespace,
        exportTo: spec.exportTo,
        ports,
        workloads: workloads(object, lower, entry, workloadsOf, settings),
        entry,
      };
    });
  });
}

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
  entry: EntryFacts,
  workloadsOf: (namespace: string) => readonly Workload[],
  settings: MeshSettings,
): Workload[] {
  const foreign = (labels: Readonly<Record<string, string>>): Record<string, string> => {
    const { 'security.istio.io/tlsMode': tlsMode, ...rest } = labels;
    return entry.external || tlsMode === undefined ? rest : { ...rest, 'security.istio.io/tlsMode': tlsMode };
  };
  const { namespace } = metadata;
  if (spec.workloadSelector !== undefined)
    return workloadsOf(namespace)
      .filter((w) => matches(w.labels, spec.workloadSelector?.labels))
      .map((w) => ({ ...w, labels: foreign(w.labels) }));
  const named = entry.resolution === 'DNS' || entry.resolution === 'DNS_ROUND_ROBIN' || (entry.resolution === 'NONE' && !host.startsWith('*'));
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

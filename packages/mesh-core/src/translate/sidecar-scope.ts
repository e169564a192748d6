// What the Sidecar of a workload lets its proxy see.

import { type SidecarSpec, egressHosts, isNamed, namedScopes, resolveHost, sidecarInForce } from '../config/index.ts';
import type { MeshObject, ProxyNode } from '../model/index.ts';
import { derived, fact, sameList } from './memo.ts';
import { type Mesh, type MeshService, ofKind, seenFrom } from './mesh.ts';

type Client = Pick<ProxyNode, 'namespace' | 'labels' | 'role'>;

/** The Sidecar in force: the oldest whose selector fits, else the namespace's, else the root namespace's. */
export function sidecarOf(mesh: Mesh, client: Client): MeshObject<SidecarSpec> | undefined {
  return sidecarInForce(ofKind<SidecarSpec>(mesh, 'Sidecar'), client, mesh.settings.rootNamespace);
}

export interface OutboundPolicy {
  mode: 'ALLOW_ANY' | 'REGISTRY_ONLY';
  /** Under ALLOW_ANY unknown hosts go here, in full and with the cluster's parts, instead of where they say. */
  egressProxy?: { host: string; port: number; subset: string };
}

/** What happens to hosts the mesh does not know: the Sidecar's word (`{}` says REGISTRY_ONLY), else the mesh's. */
export function outboundPolicy(mesh: Mesh, client: Client): OutboundPolicy {
  const sidecar = sidecarOf(mesh, client);
  const policy = sidecar?.spec.outboundTrafficPolicy;
  if (sidecar === undefined || policy === undefined) return { mode: mesh.settings.outboundTrafficPolicy };
  const { mode = 'REGISTRY_ONLY', egressProxy: proxy } = policy;
  if (proxy === undefined || mode === 'REGISTRY_ONLY') return { mode };
  const host = resolveHost(proxy.host, sidecar.metadata.namespace, mesh.settings.domainSuffix);
  return { mode, egressProxy: { host, port: proxy.port?.number ?? 0, subset: proxy.subset ?? '' } };
}

/** Services a proxy is told of: exported to its namespace, and named by its Sidecar's egress listeners. */
export function visibleServices(mesh: Mesh, client: Client): readonly MeshService[] {
  return servicesNamedBy(mesh, client, egressHosts(sidecarOf(mesh, client)));
}

/** One of {@link visibleServices} by its host: what reads this is not made again when another service changes. */
export function visibleService(mesh: Mesh, client: Client, host: string): MeshService | undefined {
  const { namespace, labels, role } = client;
  const names = egressHosts(sidecarOf(mesh, client));
  const scope = `${role}|${namespace}|${JSON.stringify(namedScopes(names, namespace))}`;
  const byHost = (m: Mesh): ReadonlyMap<string, MeshService> =>
    derived(m, `visible by host|${scope}`, (later) => new Map(servicesNamedBy(later, { namespace, labels, role }, names).map((s) => [s.host, s])));
  return fact(mesh, `visible|${scope}|${host}`, (m) => byHost(m).get(host));
}

/** Of those exported to its namespace the services named as Sidecars name them (`./*`, `prod/reviews.prod.svc.cluster.local`); without names, all. */
export function servicesNamedBy(mesh: Mesh, client: Client, names: readonly string[]): readonly MeshService[] {
  const { namespace, role } = client;
  const wanted = namedScopes(names, namespace);
  return derived<Mesh, readonly MeshService[]>(
    mesh,
    `visible|${role}|${namespace}|${JSON.stringify(wanted)}`,
    (m) =>
      [...m.services.values()].flatMap(
        (all) =>
          seenFrom(
            { namespace, role },
            all.filter((s) => isNamed(s, wanted)),
          ) ?? [],
      ),
    sameList,
  );
}

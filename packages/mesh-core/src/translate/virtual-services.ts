// Which VirtualService a host follows: Istio's precedence rules as look-ups.

import { MESH, type VirtualServiceSpec, gatewayKey, hostMatches, publicity, resolveHost, visible } from '../config/index.ts';
import { isSameList, push, type MeshObject } from '../model/index.ts';
import { derived, fact, once } from './memo.ts';
import type { Mesh } from './mesh.ts';

type VirtualService = MeshObject<VirtualServiceSpec>;

/**
 * VirtualServices bound to a gateway (or to `mesh`) that proxies of a namespace may see, in the order they claim hosts: private
 * to the namespace, exported to it by name, public; each oldest first.
 */
export function virtualServicesFor(mesh: Mesh, gateway: string, clientNamespace: string): readonly VirtualService[] {
  return once(mesh, `virtual services|${gateway}|${clientNamespace}`, () => {
    const bound = once(mesh, `virtual services|${gateway}`, () => mesh.virtualServices.filter((vs) => isBound(vs, gateway)));
    const order = (vs: VirtualService): number => publicity(vs.spec.exportTo, vs.metadata.namespace, clientNamespace);
    return bound.filter((vs) => visible(vs.spec.exportTo, vs.metadata.namespace, clientNamespace)).toSorted((a, b) => order(a) - order(b));
  });
}

/**
 * The VirtualServices of sidecars that may claim a host, the first of them with a route for the client wins whole: those that
 * name the host, else the first of the longest wildcard that fits.
 */
export function claimants(mesh: Mesh, host: string, clientNamespace: string): readonly VirtualService[] {
  return fact(mesh, `claimants|${clientNamespace}|${host}`, (m) => findClaimants(m, host, clientNamespace));
}

const NONE: readonly VirtualService[] = [];

function findClaimants(mesh: Mesh, host: string, clientNamespace: string): readonly VirtualService[] {
  const { exact, wildcards } = derived(mesh, `virtual service hosts|${clientNamespace}`, (m) => indexByHost(m, clientNamespace), withSameLists);
  const named = exact.get(host.toLowerCase());
  if (named !== undefined) return named;
  for (const [wildcard, first] of wildcards) if (hostMatches(wildcard, host)) return first;
  return NONE;
}

/** Hosts of a VirtualService in full and in lower case. */
export function hostsOf(mesh: Mesh, vs: VirtualService): string[] {
  return (vs.spec.hosts ?? []).map((host) => resolveHost(host, vs.metadata.namespace, mesh.settings.domainSuffix).toLowerCase());
}

interface HostIndex {
  exact: Map<string, readonly VirtualService[]>;
  /** Longest first. */
  wildcards: Map<string, readonly VirtualService[]>;
}

function indexByHost(mesh: Mesh, clientNamespace: string): HostIndex {
  const byHost = new Map<string, VirtualService[]>();
  for (const vs of virtualServicesFor(mesh, MESH, clientNamespace)) for (const host of hostsOf(mesh, vs)) push(byHost, host, vs);
  const wildcards = [...byHost].filter(([host]) => host.startsWith('*')).toSorted(([a], [b]) => b.length - a.length);
  return { exact: byHost, wildcards: new Map(wildcards.map(([host, all]) => [host, all.slice(0, 1)])) };
}

/** Lists of the same VirtualServices stay the same lists, so that what has read one is not made again when another changes. */
function withSameLists(old: HostIndex, now: HostIndex): HostIndex {
  for (const part of ['exact', 'wildcards'] as const)
    for (const [host, list] of now[part]) {
      const before = old[part].get(host);
      if (before !== undefined && isSameList(before, list)) now[part].set(host, before);
    }
  return now;
}

function isBound(vs: VirtualService, gateway: string): boolean {
  const gateways = vs.spec.gateways ?? [];
  return gateways.length === 0 ? gateway === MESH : gateways.some((name) => gatewayKey(name, vs.metadata.namespace) === gateway);
}

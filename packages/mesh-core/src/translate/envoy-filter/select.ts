// Which patches concern a proxy, in the order Istio applies them.

import type { EnvoyFilterSpec } from '../../config/index.ts';
import { type MeshObject, type ProxyNode, refKey, refOf } from '../../model/index.ts';
import { compileRegex } from '../../traffic/string-match.ts';
import { type Mesh, ofKind } from '../mesh.ts';
import { concerns } from '../policy-targets.ts';

export type ConfigPatch = NonNullable<EnvoyFilterSpec['configPatches']>[number];

/** One entry of `configPatches`, with where it stands. */
export interface Patch {
  /** `EnvoyFilter/<namespace>/<name>` */
  filter: string;
  index: number;
  patch: ConfigPatch;
}

/** What decides whether an EnvoyFilter is for a proxy. */
export type FilteredNode = Pick<ProxyNode, 'namespace' | 'workload' | 'labels' | 'version'>;

/** EnvoyFilters that select the proxy: the root namespace's, then its own namespace's; by priority, then age. */
export function envoyFiltersFor(mesh: Mesh, node: FilteredNode): MeshObject<EnvoyFilterSpec>[] {
  return selectFilters(ofKind<EnvoyFilterSpec>(mesh, 'EnvoyFilter'), node, mesh.settings.rootNamespace);
}

/** The same of a list, oldest first. */
export function selectFilters(filters: readonly MeshObject<EnvoyFilterSpec>[], node: FilteredNode, rootNamespace: string): MeshObject<EnvoyFilterSpec>[] {
  const inScope = (namespace: string): MeshObject<EnvoyFilterSpec>[] =>
    filters.filter((f) => f.metadata.namespace === namespace && selects(f, node)).toSorted((a, b) => (a.spec.priority ?? 0) - (b.spec.priority ?? 0));
  return [...inScope(rootNamespace), ...(node.namespace === rootNamespace ? [] : inScope(node.namespace))];
}

function selects({ metadata, spec }: MeshObject<EnvoyFilterSpec>, node: FilteredNode): boolean {
  const { workloadSelector, targetRefs } = spec;
  return concerns({ ...{ apiVersion: '', kind: '', metadata }, spec: { selector: { matchLabels: workloadSelector?.labels }, targetRefs } }, node);
}

/** Patches of one EnvoyFilter whose `match.proxy` fits. */
export function patchesFor(filter: MeshObject<EnvoyFilterSpec>, node: FilteredNode): Patch[] {
  return (filter.spec.configPatches ?? [])
    .map((patch, index) => ({ filter: refKey(refOf(filter)), index, patch }))
    .filter(({ patch }) => fitsProxy(patch, node));
}

function fitsProxy({ match }: ConfigPatch, node: FilteredNode): boolean {
  const { proxyVersion = '', metadata = {} } = match?.proxy ?? {};
  // Found anywhere, as Go's MatchString does.
  if (proxyVersion !== '' && !compileRegex(proxyVersion).matcher(node.version).find()) return false;
  const known: Readonly<Record<string, string>> = { ...node.labels, NAMESPACE: node.namespace, WORKLOAD_NAME: node.workload };
  return Object.entries(metadata).every(([key, value]) => known[key] === value);
}

export type Direction = 'inbound' | 'outbound';

/** Whether `match.context` covers resources of this proxy in this direction. */
export function fitsContext({ match }: ConfigPatch, node: ProxyNode, direction: Direction): boolean {
  switch (match?.context) {
    case undefined:
    case 'ANY':
      return true;
    case 'GATEWAY':
      return node.role === 'router';
    case 'SIDECAR_INBOUND':
      return node.role === 'sidecar' && direction === 'inbound';
    case 'SIDECAR_OUTBOUND':
      return node.role === 'sidecar' && direction === 'outbound';
    case 'WAYPOINT':
      return false;
  }
}

// CLUSTER patches.

import { type Cluster, ClusterSchema } from '../../gen/envoy/config/cluster/v3/cluster_pb.ts';
import type { ProxyNode } from '../../model/index.ts';
import { isMerge, mergePatch, valueOf } from './lists.ts';
import { type Patch, fitsContext } from './select.ts';

/** `outbound|9080|v1|reviews.bookinfo.svc.cluster.local`, or `inbound|9080||`. */
const NAME = /^(inbound|outbound)\|(\d*)\|([^|]*)\|(.*)$/;

/** The patches that mean the cluster of this name; most mean none, so it is not decoded to find out. */
export function patchesOfCluster(name: string, node: ProxyNode, patches: readonly Patch[]): Patch[] {
  const [, direction = 'outbound', port = '', subset = '', host = ''] = NAME.exec(name) ?? [];
  return patches.filter(({ patch }) => {
    if (patch.applyTo !== 'CLUSTER' || patch.patch.operation === 'ADD') return false;
    if (!fitsContext(patch, node, direction === 'inbound' ? 'inbound' : 'outbound')) return false;
    const match = patch.match?.cluster;
    if (match === undefined) return true;
    return (
      (!match.name || match.name === name) &&
      (!match.service || match.service === host) &&
      (!match.subset || match.subset === subset) &&
      (match.portNumber === undefined || String(match.portNumber) === port)
    );
  });
}

/** Patches in place; false when it is to be removed. */
export function patchCluster(cluster: Cluster, patches: readonly Patch[]): boolean {
  for (const patch of patches) {
    if (patch.patch.patch.operation === 'REMOVE') return false;
    if (isMerge(patch)) mergePatch(ClusterSchema, cluster, patch);
  }
  return true;
}

export function addedClusters(node: ProxyNode, patches: readonly Patch[]): Cluster[] {
  return patches
    .filter(({ patch }) => patch.applyTo === 'CLUSTER' && patch.patch.operation === 'ADD')
    .map((p): [Patch, Cluster] => [p, valueOf(p) as Cluster])
    .filter(([p, cluster]) => fitsContext(p.patch, node, cluster.name.startsWith('inbound|') ? 'inbound' : 'outbound'))
    .map(([, cluster]) => cluster);
}

// ReferenceGrants: what an object may name in another namespace.

import type { ReferenceGrantSpec } from '../../config/index.ts';
import type { MeshObject } from '../../model/index.ts';

const GROUP = 'gateway.networking.k8s.io';

export interface Reference {
  /** Kind and namespace of what refers (of the Gateway API). */
  from: { kind: string; namespace: string };
  to: { group: string; kind: string; namespace: string; name: string };
}

/** A reference within a namespace needs no grant. */
export function granted(grants: readonly MeshObject<ReferenceGrantSpec>[], { from, to }: Reference): boolean {
  if (from.namespace === to.namespace) return true;
  return grants.some(
    ({ metadata, spec }) =>
      metadata.namespace === to.namespace &&
      spec.from.some((f) => f.group === GROUP && f.kind === from.kind && f.namespace === from.namespace) &&
      spec.to.some((t) => t.group === to.group && t.kind === to.kind && (t.name === undefined || t.name === to.name)),
  );
}

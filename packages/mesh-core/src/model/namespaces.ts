// Namespaces: what is known of one by its name, and by its object where there is one.

import { KINDS, shownKind } from './kinds.ts';
import type { MeshObject, ObjectRef } from './object.ts';

/** Every namespace has it, with its name: Kubernetes sees to it, whatever the object says. */
export const NAMESPACE_NAME_LABEL = 'kubernetes.io/metadata.name';

export function namespaceLabels(name: string, object?: MeshObject): Readonly<Record<string, string>> {
  return { ...object?.metadata.labels, [NAMESPACE_NAME_LABEL]: name };
}

const CLUSTER_SCOPED: ReadonlySet<string> = new Set(KINDS.filter((k) => k.clusterScoped === true).map((k) => k.kind));

/** As people read it: `VirtualService/bookinfo/reviews`, `Namespace/bookinfo`. */
export function shownRef({ kind, namespace, name }: ObjectRef): string {
  return CLUSTER_SCOPED.has(kind) ? `${shownKind(kind)}/${name}` : `${shownKind(kind)}/${namespace}/${name}`;
}

/** The namespace an object makes known: its own, or, of a Namespace, the one it is. Objects of the whole cluster make none known. */
export function namespaceOf({ kind, namespace, name }: ObjectRef): string | undefined {
  if (kind === 'Namespace') return name;
  return CLUSTER_SCOPED.has(kind) ? undefined : namespace;
}

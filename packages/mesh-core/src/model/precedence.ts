// Which of several objects that say something about the same thing comes first.

import type { MeshObject } from './object.ts';

/** Istio's order: oldest first, then by name, then by namespace. */
export function byAge({ metadata: a }: MeshObject, { metadata: b }: MeshObject): number {
  return compare(a.creationTimestamp, b.creationTimestamp) || compare(a.name, b.name) || compare(a.namespace, b.namespace);
}

/** The Gateway API's order: oldest first, then by `<namespace>/<name>`. */
export function byAgeAndPath({ metadata: a }: MeshObject, { metadata: b }: MeshObject): number {
  return compare(a.creationTimestamp, b.creationTimestamp) || compare(`${a.namespace}/${a.name}`, `${b.namespace}/${b.name}`);
}

function compare(a = '', b = ''): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

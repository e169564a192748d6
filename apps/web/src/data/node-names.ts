// What a node of the graph is called elsewhere: as a service of the mesh, and in traces.

import type { GraphNode } from '@weft/mesh-core/api';

/** The service a node is or belongs to; of hosts outside the mesh there is none. */
export function serviceOfNode({ kind, service }: GraphNode): { name: string; namespace: string } | undefined {
  const [name, namespace] = service?.split('.') ?? [];
  return kind === 'external' || name === undefined || namespace === undefined ? undefined : { name, namespace };
}

/** `service.name` of its spans. */
export function tracedName({ app, service, label, namespace }: GraphNode): string {
  return `${app ?? service?.split('.')[0] ?? label}.${namespace}`;
}

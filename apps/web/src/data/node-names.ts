// What a node of the graph is called elsewhere: as a service of the mesh, and in traces.

import type { GraphEdge, GraphNode } from '@weft/mesh-core/api';

/** The service a node is or belongs to; of hosts outside the mesh there is none. */
export function serviceOfNode({ kind, service }: GraphNode): { name: string; namespace: string } | undefined {
  const [name, namespace] = service?.split('.') ?? [];
  return kind === 'external' || name === undefined || namespace === undefined ? undefined : { name, namespace };
}

/** `service.name` of its spans. */
export function tracedName({ app, service, label, namespace }: GraphNode): string {
  return `${app ?? service?.split('.')[0] ?? label}.${namespace}`;
}

/** What an edge is called to who cannot see it. */
export function edgeName({ source, target, protocol }: Pick<GraphEdge, 'source' | 'target' | 'protocol'>, nodes: readonly GraphNode[]): string {
  const named = (id: string): string => {
    const node = nodes.find((n) => n.id === id);
    return node === undefined ? id : `${node.kind} ${node.workload ?? node.label}`;
  };
  return `${protocol} traffic from ${named(source)} to ${named(target)}`;
}

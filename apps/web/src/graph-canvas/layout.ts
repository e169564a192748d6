// Two-level layered layout: versions stacked inside their app box, boxes and single nodes by rank inside namespaces.

import { Graph, layout as dagre } from '@dagrejs/dagre';
import type { GraphSnapshot } from '@weft/mesh-core/api';

export interface Rect {
  x: number;
  y: number;
  w: number;
  h: number;
}
export interface Layout {
  /** Top left corner and size, by node id. A service that stands for its app box is the round split port on the box's edge. */
  nodes: Map<string, Rect>;
  boxes: Map<string, Rect>;
  bounds: Rect;
}
type Topology = Pick<GraphSnapshot, 'nodes' | 'edges' | 'boxes'>;
const H = 50;
const STEP = 74;
/** Longer names are cut where they are drawn. */
const WIDEST = 250;

/** The same for the same topology, whatever order its parts come in. */
export function layoutGraph(topology: Topology): Layout {
  const byId = <T extends { id: string }>(list: readonly T[]): T[] => [...list].sort((a, b) => a.id.localeCompare(b.id));
  const apps = new Map(
    byId(topology.boxes)
      .filter((b) => b.kind === 'app')
      .map((b) => [b.id, b]),
  );
  const members = new Map<string, GraphSnapshot['nodes']>();
  const item = new Map<string, string>();
  const nodes = byId(topology.nodes);
  for (const node of nodes) {
    const app = node.box === undefined ? undefined : apps.get(node.box);
    item.set(node.id, app?.id ?? node.id);
    if (app !== undefined && node.kind !== 'service') members.set(app.id, [...(members.get(app.id) ?? []), node]);
  }
  const graph = new Graph({ compound: true, multigraph: false });
  graph.setGraph({ rankdir: 'LR', ranksep: 92, nodesep: 46, marginx: 20, marginy: 40 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const box of byId(topology.boxes)) if (box.kind === 'namespace') graph.setNode(box.id, {});
  for (const box of apps.values()) {
    graph.setNode(box.id, { width: 246, height: 52 + Math.max(1, members.get(box.id)?.length ?? 0) * STEP });
    if (box.parent !== undefined) graph.setParent(box.id, box.parent);
  }
  for (const node of nodes)
    if (item.get(node.id) === node.id) {
      graph.setNode(node.id, { width: Math.min(WIDEST, Math.max(100, node.label.length * 7.6 + 62, 92 + (node.version?.length ?? 0) * 8)), height: H });
      if (node.box !== undefined) graph.setParent(node.id, node.box);
    }
  for (const edge of byId(topology.edges)) {
    const from = item.get(edge.source);
    const to = item.get(edge.target);
    if (from !== undefined && to !== undefined && from !== to) graph.setEdge(from, to);
  }
  dagre(graph);
  const rectOf = (id: string): Rect => {
    const { x = 0, y = 0, width = 0, height = 0 } = graph.node(id) as { x?: number; y?: number; width?: number; height?: number };
    return { x: x - width / 2, y: y - height / 2, w: width, h: height };
  };
  const placed = new Map<string, Rect>();
  const boxes = new Map<string, Rect>();
  for (const id of apps.keys()) {
    const box = rectOf(id);
    boxes.set(id, box);
    members.get(id)?.forEach((node, i) => placed.set(node.id, { x: box.x + 116, y: box.y + 53 + i * STEP, w: 114, h: H }));
  }
  for (const node of nodes) {
    const holder = item.get(node.id) ?? node.id;
    const box = boxes.get(holder);
    if (holder === node.id) placed.set(node.id, rectOf(node.id));
    else if (node.kind === 'service' && box !== undefined) placed.set(node.id, { x: box.x - 15, y: box.y + box.h / 2 - 15 + 13, w: 30, h: 30 });
  }
  for (const box of topology.boxes)
    if (box.kind === 'namespace') {
      const inside = [
        ...topology.nodes.filter((n) => n.namespace === box.namespace).map((n) => placed.get(n.id)),
        ...[...apps.values()].filter((a) => a.namespace === box.namespace).map((a) => boxes.get(a.id)),
      ].filter((r) => r !== undefined);
      if (inside.length > 0) boxes.set(box.id, around(inside, 14, 42));
    }
  return { nodes: placed, boxes, bounds: around([...placed.values(), ...boxes.values()], 12, 12) };
}

function around(rects: readonly Rect[], pad: number, top: number): Rect {
  if (rects.length === 0) return { x: 0, y: 0, w: 1, h: 1 };
  const x = Math.min(...rects.map((r) => r.x)) - pad;
  const y = Math.min(...rects.map((r) => r.y)) - top;
  return { x, y, w: Math.max(...rects.map((r) => r.x + r.w)) + pad - x, h: Math.max(...rects.map((r) => r.y + r.h)) + pad - y };
}

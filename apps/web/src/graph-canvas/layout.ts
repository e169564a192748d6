// Two-level layout: versions stacked inside their app box, boxes and single nodes placed by who calls whom inside namespaces.

import type { GraphSnapshot } from '@weft/mesh-core/api';
import { placeItems, type Size } from './place-items.ts';

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
  const sizes = new Map<string, Size>();
  for (const box of apps.values()) sizes.set(box.id, { w: 246, h: 52 + Math.max(1, members.get(box.id)?.length ?? 0) * STEP });
  for (const node of nodes)
    if (item.get(node.id) === node.id)
      sizes.set(node.id, { w: Math.min(WIDEST, Math.max(122, node.label.length * 7.6 + 62, 100 + (node.version?.length ?? 0) * 8)), h: H });
  const hops: [string, string][] = [];
  for (const edge of byId(topology.edges)) {
    const from = item.get(edge.source);
    const to = item.get(edge.target);
    if (from !== undefined && to !== undefined && from !== to) hops.push([from, to]);
  }
  const homes = new Map<string, string>();
  for (const node of nodes) homes.set(item.get(node.id) ?? node.id, namespaceBox(topology, node.namespace));
  const rects = placeItems(sizes, hops, homes);
  const placed = new Map<string, Rect>();
  const boxes = new Map<string, Rect>();
  for (const id of apps.keys()) {
    const box = rects.get(id);
    if (box === undefined) continue;
    boxes.set(id, box);
    members.get(id)?.forEach((node, i) => placed.set(node.id, { x: box.x + 116, y: box.y + 53 + i * STEP, w: 114, h: H }));
  }
  for (const node of nodes) {
    const own = rects.get(node.id);
    const box = boxes.get(item.get(node.id) ?? '');
    if (own !== undefined) placed.set(node.id, own);
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

function namespaceBox({ boxes }: Topology, namespace: string): string {
  return boxes.find((b) => b.kind === 'namespace' && b.namespace === namespace)?.id ?? '';
}

function around(rects: readonly Rect[], pad: number, top: number): Rect {
  if (rects.length === 0) return { x: 0, y: 0, w: 1, h: 1 };
  const x = Math.min(...rects.map((r) => r.x)) - pad;
  const y = Math.min(...rects.map((r) => r.y)) - top;
  return { x, y, w: Math.max(...rects.map((r) => r.x + r.w)) + pad - x, h: Math.max(...rects.map((r) => r.y + r.h)) + pad - y };
}

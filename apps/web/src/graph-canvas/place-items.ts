// Where the items of the graph stand: what is connected in layers by who calls whom, what is not in blocks, namespace by namespace.

import { Graph, layout as dagre } from '@dagrejs/dagre';

export interface Size {
  w: number;
  h: number;
}
interface Place extends Size {
  x: number;
  y: number;
}
interface Block extends Size {
  /** Relative to the block. */
  items: Map<string, Place>;
}
const GAP = 24;
/** Between namespaces, with their frames and names. */
const ROOM = { x: 56, y: 84 };
/** Of what has no edges: about that of a screen. */
const ASPECT = 1.7;
const BLOCK = 'block:';

/** Top left corners by id. `homes` = namespace box of each item; '' = none. The same for the same input. */
export function placeItems(
  sizes: ReadonlyMap<string, Size>,
  hops: readonly (readonly [string, string])[],
  homes: ReadonlyMap<string, string>,
): Map<string, Place> {
  const connected = new Set(hops.flat());
  const namespaces = [...new Set(homes.values())].filter((home) => home !== '').toSorted();
  const loose = [...sizes.keys()].filter((id) => !connected.has(id));
  const blocks = new Map<string, Block>();
  for (const home of new Set(loose.map((id) => homes.get(id) ?? '')))
    blocks.set(
      home,
      blockOf(
        loose.filter((id) => (homes.get(id) ?? '') === home),
        sizes,
      ),
    );
  // A block of a namespace that has traffic stands inside it, as one item; other namespaces stand below.
  const inside = new Set([...connected].map((id) => homes.get(id) ?? ''));
  const placed = new Map<string, Place>();
  const put = (home: string, x: number, y: number): void => {
    for (const [id, at] of blocks.get(home)?.items ?? []) placed.set(id, { ...at, x: at.x + x, y: at.y + y });
  };
  const graph = new Graph({ compound: true, multigraph: false });
  graph.setGraph({ rankdir: 'LR', ranksep: 92, nodesep: 46, marginx: 20, marginy: 40 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const home of namespaces) if (inside.has(home)) graph.setNode(home, {});
  const add = (id: string, { w, h }: Size, home: string): void => {
    graph.setNode(id, { width: w, height: h });
    if (home !== '') graph.setParent(id, home);
  };
  for (const [id, size] of sizes) if (connected.has(id)) add(id, size, homes.get(id) ?? '');
  for (const [home, block] of blocks) if (inside.has(home)) add(`${BLOCK}${home}`, block, home);
  for (const [from, to] of hops) graph.setEdge(from, to);
  if (connected.size > 0) dagre(graph);
  const rectOf = (id: string): Place => {
    const { x = 0, y = 0, width = 0, height = 0 } = graph.node(id) as { x?: number; y?: number; width?: number; height?: number };
    return { x: x - width / 2, y: y - height / 2, w: width, h: height };
  };
  for (const id of connected) placed.set(id, rectOf(id));
  for (const home of blocks.keys())
    if (inside.has(home)) {
      const { x, y } = rectOf(`${BLOCK}${home}`);
      put(home, x, y);
    }
  const below = [...blocks].filter(([home]) => !inside.has(home)).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const bottom = Math.max(0, ...[...placed.values()].map((r) => r.y + r.h));
  const rows = shelved(
    below.map(([id, { w, h }]) => ({ id, w, h })),
    ROOM,
  );
  for (const [home, { x, y }] of rows.items) put(home, x, bottom === 0 ? y : bottom + ROOM.y + y);
  return placed;
}

function blockOf(ids: readonly string[], sizes: ReadonlyMap<string, Size>): Block {
  const sized = ids.map((id) => ({ id, ...(sizes.get(id) ?? { w: 0, h: 0 }) }));
  return shelved(
    sized.toSorted((a, b) => b.h - a.h || (a.id < b.id ? -1 : 1)),
    { x: GAP, y: GAP },
  );
}

type Sized = Size & { id: string };
/** Items in rows, in their order, of the width that makes the whole most like a screen. */
function shelved(list: readonly Sized[], gap: { x: number; y: number }): Block {
  let best: Block = { items: new Map(), w: 0, h: 0 };
  let least = Infinity;
  for (let first = 1; first <= list.length; first++) {
    const block = rowsOf(
      list,
      gap,
      list.slice(0, first).reduce((sum, s) => sum + s.w + gap.x, 0),
    );
    const off = Math.abs(Math.log((block.w + gap.x) / (block.h + gap.y) / ASPECT));
    if (off < least) [best, least] = [block, off];
  }
  return best;
}

function rowsOf(list: readonly Sized[], gap: { x: number; y: number }, width: number): Block {
  const items = new Map<string, Place>();
  let [x, y, row, widest] = [0, 0, 0, 0];
  for (const { id, w, h } of list) {
    if (x > 0 && x + w > width) [x, y, row] = [0, y + row + gap.y, 0];
    items.set(id, { x, y, w, h });
    widest = Math.max(widest, x + w);
    x += w + gap.x;
    row = Math.max(row, h);
  }
  return { items, w: widest, h: y + row };
}

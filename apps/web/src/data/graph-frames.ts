import type { GraphDelta, GraphSnapshot } from '@weft/mesh-core/api';

function patched(rows: number[][], changes: number[][]): number[][] {
  if (changes.length === 0) return rows;
  const next = [...rows];
  for (const [index, ...row] of changes) if (index !== undefined) next[index] = row;
  return next;
}

/** The picture after a delta; topology keeps its identity, so layouts can be kept by reference. */
export function applyGraphDelta(graph: GraphSnapshot, delta: GraphDelta): GraphSnapshot {
  return { ...graph, at: delta.at, notes: delta.notes, nodeRows: patched(graph.nodeRows, delta.nodeRows), edgeRows: patched(graph.edgeRows, delta.edgeRows) };
}

// Rows of the graph by the names of their columns.

import { type EDGE_COLUMNS, type GraphNode, HEALTH, type Health, type NODE_COLUMNS } from '@weft/mesh-core/api';

type Row = readonly number[] | undefined;
type Figures<Column extends string> = Readonly<Record<Exclude<Column, 'health'>, number>> & { readonly health: Health };
export type NodeFigures = Figures<(typeof NODE_COLUMNS)[number]>;
export type EdgeFigures = Figures<(typeof EDGE_COLUMNS)[number]>;

/** Without a row nothing was seen. */
export function nodeFigures(row: Row): NodeFigures {
  const [inRps = 0, inErrors = 0, outRps = 0, outErrors = 0, p50 = -1, p95 = -1, p99 = -1, tcpBytes = 0, health = 0] = row ?? [];
  return { inRps, inErrors, outRps, outErrors, p50, p95, p99, tcpBytes, health: HEALTH[health] ?? 'unknown' };
}

/** Without a row nothing was seen. */
export function edgeFigures(row: Row): EdgeFigures {
  const [rps = 0, errors = 0, p50 = -1, p95 = -1, p99 = -1, share = -1, intended = -1, mtls = -1, bytes = 0, health = 0] = row ?? [];
  return { rps, errors, p50, p95, p99, share, intended, mtls, bytes, health: HEALTH[health] ?? 'unknown' };
}

/** The requests a node is judged by: those that come in; of what stands at the edge, where nobody sees them come in, those it sends on. */
export function ownTraffic({ kind }: GraphNode, { inRps, inErrors, outRps, outErrors }: NodeFigures): { rps: number; errors: number } {
  return kind === 'gateway' || kind === 'unknown' ? { rps: outRps, errors: outErrors } : { rps: inRps, errors: inErrors };
}

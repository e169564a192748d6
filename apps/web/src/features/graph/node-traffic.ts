import type { GraphNode } from '@weft/mesh-core/api';
import { type NodeFigures, ownTraffic } from '../../data/graph-figures.ts';
import { byteRate, millis, percent, rate } from '../../ui/format.ts';

/** Figures of a node by name: of its requests, else of those it sends; and its bytes where it speaks TCP, alone or too. */
export function nodeTraffic(node: GraphNode, figures: NodeFigures): Record<string, string> {
  const { outRps, outErrors, tcpBytes } = figures;
  const { rps, errors } = ownTraffic(node, figures);
  const bytes = tcpBytes > 0 ? { Traffic: byteRate(tcpBytes) } : {};
  if (rps <= 0 && outRps > 0) return { Requests: `${rate(outRps)} out`, Errors: percent(outErrors), p95: millis(figures.p95), ...bytes };
  if (rps <= 0 && tcpBytes > 0) return bytes;
  return { Requests: rate(rps), Errors: percent(errors), p95: millis(figures.p95), ...bytes };
}

import type { GraphNode } from '@weft/mesh-core/api';
import { byteRate, rate } from '../ui/format.ts';

interface Figures {
  inRps: number;
  outRps: number;
  tcpBytes: number;
}

/** What a node does, in a few characters; undefined where it does nothing. Of a program that only calls others, its calls. */
export function activity({ kind }: Pick<GraphNode, 'kind'>, { inRps, outRps, tcpBytes }: Figures): string | undefined {
  if (kind === 'gateway' || kind === 'unknown') inRps = Math.max(inRps, outRps);
  if (inRps > 0) return rate(inRps);
  if (tcpBytes > 0) return byteRate(tcpBytes);
  return outRps > 0 ? `${rate(outRps)} out` : undefined;
}

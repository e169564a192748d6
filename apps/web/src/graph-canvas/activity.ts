import type { GraphNode } from '@weft/mesh-core/api';
import { byteRate, rate } from '../ui/format.ts';

interface Figures {
  inRps: number;
  outRps: number;
  tcpBytes: number;
}

/** What a node does, in a few characters each: its requests, else its calls where it only calls others; its TCP bytes. Empty where it does nothing. */
export function activity({ kind }: Pick<GraphNode, 'kind'>, { inRps, outRps, tcpBytes }: Figures): string[] {
  if (kind === 'gateway' || kind === 'unknown') inRps = Math.max(inRps, outRps);
  const requests = inRps > 0 ? [rate(inRps)] : outRps > 0 ? [`${rate(outRps)} out`] : [];
  return tcpBytes > 0 ? [...requests, byteRate(tcpBytes)] : requests;
}

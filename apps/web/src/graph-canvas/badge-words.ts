// The badges of a node in words.

import type { GraphNode } from '@weft/mesh-core/api';

const WORDS: Partial<Record<GraphNode['badges'][number], string>> = {
  'fault-injection': 'faults injected',
  'circuit-breaker': 'circuit breaker',
  'timeout-retry': 'timeout or retries',
  mirroring: 'mirrored',
  'request-routing': 'routed by request',
  'missing-sidecar': 'no sidecar',
  'traffic-shifting': 'traffic split',
  'strict-mtls': 'mutual TLS required',
  'authorization-policy': 'authorization policy',
};

export function badgeWords(badges: GraphNode['badges']): string[] {
  return badges.map((badge) => WORDS[badge]).filter((word) => word !== undefined);
}

/** The badges, and that it has no sidecar where no badge says so: only workloads that the configuration knows have that one. */
export function nodeWords({ badges, inMesh, kind }: GraphNode): string[] {
  const told = inMesh || kind === 'external' || badges.includes('missing-sidecar');
  return [...(told ? [] : ['no sidecar']), ...badgeWords(badges)];
}

// What labels and annotations of a workload say.

import type { ObjectMeta } from './object.ts';

type Labels = Readonly<Record<string, string | undefined>>;

/** What it counts as in metrics and traces, as Istio reads it. */
export function canonicalService(labels: Labels, workload: string): string {
  return labels['service.istio.io/canonical-name'] ?? (labels['app'] || workload);
}

export function canonicalRevision(labels: Labels): string {
  return labels['service.istio.io/canonical-revision'] ?? (labels['version'] || 'latest');
}

/** Whether a sidecar takes its connections. */
export function hasSidecar(labels: Labels): boolean {
  return labels['security.istio.io/tlsMode'] === 'istio';
}

/** `unhealthy` where the agent that runs it has found that it is. */
export const HEALTH_ANNOTATION = 'weft.dev/health';

export function isHealthy({ annotations }: ObjectMeta): boolean {
  return annotations?.[HEALTH_ANNOTATION] !== 'unhealthy';
}

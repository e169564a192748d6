// What the health checks share.

import type { HealthCheckResult } from '@weft/mesh-core/traffic';
import type { HealthProbe } from '../../config/model.ts';
import type { UpstreamTlsPlan } from '../tls-plan.ts';

export interface ProbeTarget {
  host: string;
  port: number;
  /** Host of the request, where the check names none. */
  authority: string;
  tls: UpstreamTlsPlan | undefined;
}

export function judge(probe: Extract<HealthProbe, { kind: 'http' }>, status: number, degraded: boolean): HealthCheckResult {
  const within = (ranges: readonly { start: number; end: number }[]): boolean => ranges.some(({ start, end }) => status >= start && status < end);
  if (within(probe.expected)) return degraded ? 'degraded' : 'healthy';
  return within(probe.retriable) ? 'retriable' : 'unhealthy';
}

// Runtime counters as /stats prints them, under Envoy's names where Envoy has one.

import { addressOf } from '../upstream/endpoint.ts';
import type { ClusterStats, EndpointStats, RuntimeStats } from '../http/hooks.ts';

/** Which to show. */
export interface StatsFilter {
  name: ((name: string) => boolean) | undefined;
  /** Only what is not as at the start. */
  used: boolean;
}

/** Value by name, sorted. */
export function collectStats(stats: RuntimeStats, extra: Readonly<Record<string, number>>): Map<string, number> {
  const lines = new Map<string, number>(Object.entries({ ...stats.counters, ...extra }));
  for (const c of stats.clusters) {
    const put = (name: string, value: number): void => void lines.set(`cluster.${c.name}.${name}`, value);
    put('upstream_cx_active', c.activeConnections);
    put('upstream_cx_total', c.totalConnections);
    put('upstream_cx_connect_fail', c.connectFailures);
    put('upstream_rq_active', c.activeRequests);
    put('upstream_rq_pending_active', c.pendingRequests);
    put('upstream_rq_total', c.totalRequests);
    put('upstream_rq_retry', c.retries);
    put('upstream_rq_retry_overflow', c.retryOverflow);
    put('upstream_rq_pending_overflow', c.overflow);
    put('upstream_rq_pending_total', c.pendingTotal);
    put('upstream_cx_overflow', c.connectionOverflow);
    for (const [name, value] of breakerGauges(c)) put(`circuit_breakers.default.${name}`, value);
    put('upstream_rq_timeout', c.timeouts);
    put('upstream_rq_per_try_timeout', c.tryTimeouts);
    put('upstream_rq_per_try_idle_timeout', c.tryIdleTimeouts);
    let completed = 0;
    for (const [hundreds, count] of c.answers.entries()) {
      completed += count;
      if (count > 0) put(`upstream_rq_${hundreds}xx`, count);
    }
    put('upstream_rq_completed', completed);
    put('membership_total', c.endpoints.length);
    put('membership_degraded', c.endpoints.filter((e) => /^(\/degraded_\w+)+$/.test(healthFlags(e))).length);
    put('membership_healthy', c.endpoints.filter((e) => healthFlags(e) === '').length);
    put('outlier_detection.ejections_active', c.endpoints.filter((e) => e.ejected).length);
    let ejections = 0;
    for (const [reason, count] of c.ejections) {
      if (reason !== 'overflow') ejections += count;
      put(`outlier_detection.${reason === 'overflow' ? 'ejections_overflow' : `ejections_enforced_${reason}`}`, count);
    }
    put('outlier_detection.ejections_enforced_total', ejections);
  }
  lines.set('cluster_manager.active_clusters', stats.clusters.length);
  lines.set('listener_manager.total_listeners_active', stats.listeners.filter((l) => l.listening).length);
  for (const l of stats.listeners) {
    const listener = `listener.${addressOf(l).replaceAll(':', '_')}`;
    lines.set(`${listener}.downstream_cx_active`, l.activeConnections);
    lines.set(`${listener}.downstream_cx_total`, l.totalConnections);
    lines.set(`${listener}.downstream_rq_total`, l.totalRequests);
    lines.set(`${listener}.downstream_cx_refused`, l.refusedConnections);
  }
  return new Map([...lines].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Whether a limit is reached, and how much is left, as Envoy has them with track_remaining. */
function breakerGauges({ breaker }: ClusterStats): [string, number][] {
  const { limits } = breaker;
  const left = (limit: number, used: number): number => Math.max(0, limit - used);
  return [
    ['cx_open', breaker.mayConnect() ? 0 : 1],
    ['rq_pending_open', breaker.mayWait() ? 0 : 1],
    ['rq_open', breaker.mayRequest() ? 0 : 1],
    ['rq_retry_open', breaker.mayRetry() ? 0 : 1],
    ['remaining_cx', left(limits.maxConnections, breaker.connections)],
    ['remaining_pending', left(limits.maxPendingRequests, breaker.pending)],
    ['remaining_rq', left(limits.maxRequests, breaker.requests)],
    ...(limits.retryBudget === undefined ? [['remaining_retries', left(limits.maxRetries, breaker.retries)] as [string, number]] : []),
  ];
}

/** What a reset does not touch. */
function isGauge(name: string): boolean {
  return /(_active|_state|_active_clusters|^server\.\w+|\.workers_started|\.membership_\w+|\.circuit_breakers\.\S+)$/.test(name);
}

/** Counters since the last reset. */
export class StatsView {
  private base: ReadonlyMap<string, number> = new Map();

  /** `now` is what `collectStats` gives. */
  reset(now: ReadonlyMap<string, number>): void {
    this.base = new Map([...now].filter(([name]) => !isGauge(name)));
  }

  select(now: ReadonlyMap<string, number>, { name: isWanted, used }: StatsFilter): [string, number][] {
    return [...now]
      .map(([name, value]): [string, number] => [name, Math.max(0, value - (this.base.get(name) ?? 0))])
      .filter(([name, value]) => isWanted?.(name) !== false && (!used || value !== 0));
  }
}

function limitLines({ name, breaker: { limits } }: ClusterStats): string[] {
  const { maxConnections, maxPendingRequests, maxRequests, maxRetries } = limits;
  const by = { max_connections: maxConnections, max_pending_requests: maxPendingRequests, max_requests: maxRequests, max_retries: maxRetries };
  return Object.entries(by).map(([limit, value]) => `${name}::default_priority::${limit}::${value}`);
}

/** In Envoy's order; '' = it is healthy. */
function healthFlags({ checked, ejected, health }: EndpointStats): string {
  return [
    checked?.failed === true ? '/failed_active_hc' : '',
    ejected ? '/failed_outlier_check' : '',
    health === 'unhealthy' ? '/failed_eds_health' : '',
    checked?.degraded === true ? '/degraded_active_hc' : '',
    health === 'degraded' ? '/degraded_eds_health' : '',
    health === 'draining' ? '/eds_status_draining' : '',
  ].join('');
}

/** Envoy's /clusters text. */
export function clustersText(stats: RuntimeStats): string {
  return stats.clusters
    .flatMap((c) => [
      `${c.name}::observability_name::${c.name}`,
      ...limitLines(c),
      `${c.name}::added_via_api::true`,
      ...(c.discovered ? [`${c.name}::eds_service_name::${c.name}`] : []),
      ...c.endpoints.flatMap((e) => {
        const put = (name: string, value: string | number): string => `${c.name}::${e.address}::${name}::${value}`;
        return [
          put('cx_active', e.activeConnections),
          put('cx_connect_fail', e.connectFailures),
          put('cx_total', e.totalConnections),
          put('rq_active', e.activeRequests),
          put('rq_total', e.totalRequests),
          put('rq_success', e.success),
          put('rq_error', e.errors),
          put('hostname', e.hostname),
          put('health_flags', healthFlags(e) || 'healthy'),
          put('weight', e.weight),
          put('region', e.locality.region),
          put('zone', e.locality.zone),
          put('sub_zone', e.locality.subZone),
          put('canary', 'false'),
          put('priority', e.priority),
        ];
      }),
    ])
    .map((line) => `${line}\n`)
    .join('');
}

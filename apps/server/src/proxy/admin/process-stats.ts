// What /stats says of the proxy as a whole, under Envoy's names.

import { TYPE_URL } from '@weft/mesh-core/xds-types';
import type { XdsClient } from '../xds-client/xds-client.ts';
import type { ProxyState } from './admin.ts';

const DAY_MS = 86_400_000;
/** Envoy's numbers of them. */
const STATES: Readonly<Record<ProxyState, number>> = { LIVE: 0, DRAINING: 1, PRE_INITIALIZING: 2 };

/** `certificateEnds`: of its identity, ms since 1970; undefined = it has none yet. */
export function processStats(state: ProxyState, xds: XdsClient | undefined, certificateEnds: number | undefined): Record<string, number> {
  const { heapUsed, heapTotal, rss } = process.memoryUsage();
  const clusters = xds?.updates(TYPE_URL.cluster);
  const listeners = xds?.updates(TYPE_URL.listener);
  return {
    'cluster_manager.cds.update_success': clusters?.accepted ?? 0,
    'cluster_manager.cds.update_rejected': clusters?.refused ?? 0,
    'listener_manager.lds.update_success': listeners?.accepted ?? 0,
    'listener_manager.lds.update_rejected': listeners?.refused ?? 0,
    'listener_manager.workers_started': 1,
    'control_plane.connected_state': xds?.state().connected === true ? 1 : 0,
    'server.concurrency': 1,
    ...(certificateEnds === undefined ? {} : { 'server.days_until_first_cert_expiring': Math.max(0, Math.floor((certificateEnds - Date.now()) / DAY_MS)) }),
    'server.live': state === 'LIVE' ? 1 : 0,
    'server.memory_allocated': heapUsed,
    'server.memory_heap_size': heapTotal,
    'server.memory_physical_size': rss,
    'server.state': STATES[state],
    'server.uptime': Math.round(process.uptime()),
  };
}

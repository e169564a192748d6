// What /clusters says of the health of hosts: as Envoy 1.40 does with the same clusters.

import { expect, test } from 'vitest';
import type { Endpoint } from '../config/model.ts';
import { startApp, track } from '../listener/testing/app.ts';
import { cluster, endpoint, startRig } from '../listener/testing/rig.ts';
import { clustersText, collectStats } from './stats-text.ts';
import { clusterStatuses, listenerStatuses } from './status-json.ts';

const words: readonly Endpoint['health'][] = ['unhealthy', 'degraded', 'draining', 'healthy', 'unknown'];

test('the health of discovery, of active checks, and of hosts that are paths', async () => {
  const app = await startApp((_, response) => response.end());
  const hosts = [...words.map((health, i) => endpoint(i + 1, { health })), endpoint(0, { address: '/run/app.sock' })];
  const localities = [{ region: '', zone: '', subZone: '', priority: 0, weight: 0, endpoints: hosts }];
  const told = cluster([], { name: 'told', endpoints: { clusterName: 'told', overprovisioning: 140, weightedPriorityHealth: false, localities } });
  const every = { intervalMs: 20, noTrafficIntervalMs: 20, noTrafficHealthyIntervalMs: 20, unhealthyIntervalMs: 20, unhealthyEdgeIntervalMs: 20 };
  const jitter = { initialJitterMs: 0, intervalJitterMs: 0, intervalJitterPercent: 0, healthyEdgeIntervalMs: 20 };
  const rules = { timeoutMs: 1000, unhealthyThreshold: 1, healthyThreshold: 1, ...every, ...jitter };
  const probe = { kind: 'tcp' as const, send: Buffer.alloc(0), receive: [] };
  const checked = cluster([1, app], { name: 'checked', healthCheck: { probe, rules, altPort: 0 } });
  const { runtime } = track(await startRig({ clusters: [told, checked] }));
  await expect.poll(() => collectStats(runtime.stats(), {}).get('cluster.checked.membership_healthy')).toBe(1);

  expect(clustersText(runtime.stats()).match(/(?<=::)\S+::health_flags::\S+/g)).toEqual([
    '127.0.0.1:1::health_flags::/failed_eds_health',
    '127.0.0.1:2::health_flags::/degraded_eds_health',
    '127.0.0.1:3::health_flags::/eds_status_draining',
    '127.0.0.1:4::health_flags::healthy',
    '127.0.0.1:5::health_flags::healthy',
    '/run/app.sock::health_flags::healthy',
    '127.0.0.1:1::health_flags::/failed_active_hc',
    `127.0.0.1:${app}::health_flags::healthy`,
  ]);
  expect(collectStats(runtime.stats(), {}).get('cluster.told.membership_healthy')).toBe(3);
  const statuses = clusterStatuses(runtime.stats())['cluster_statuses'] as { host_statuses: { address: object; health_status: object }[] }[];
  expect(statuses.flatMap((one) => one.host_statuses.map(({ health_status: health }) => health))).toEqual([
    ...['UNHEALTHY', 'DEGRADED', 'DRAINING', 'HEALTHY', 'HEALTHY', 'HEALTHY'].map((health) => ({ eds_health_status: health })),
    { failed_active_health_check: true, eds_health_status: 'HEALTHY' },
    { eds_health_status: 'HEALTHY' },
  ]);
  expect(statuses[0]?.host_statuses[5]?.address).toEqual({ pipe: { path: '/run/app.sock' } });
});

test('addresses of IPv6', async () => {
  const { runtime } = track(await startRig({ clusters: [cluster([], { name: 'six' })] }));
  const [l] = runtime.stats().listeners;
  if (l === undefined) throw new Error('no listener');
  const stats = { ...runtime.stats(), listeners: [{ ...l, address: '::1', port: 80 }] };
  expect([...collectStats(stats, {}).keys()].filter((name) => name.startsWith('listener.'))).toContain('listener.[__1]_80.downstream_cx_total');
  expect(listenerStatuses(stats)).toMatchObject({ listener_statuses: [{ local_address: { socket_address: { address: '::1', port_value: 80 } } }] });
});

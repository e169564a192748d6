import { expect, test } from 'vitest';
import type { DnsSettings, LoadAssignment } from '../config/model.ts';
import { endpoint } from '../listener/testing/rig.ts';
import { TimerWheel } from '../transport/timer-wheel.ts';
import { type DnsAnswer, DnsDiscovery, resolveName } from './dns-discovery.ts';

const settings: DnsSettings = { refreshMs: 20, respectTtl: false, jitterMs: 0, family: 'auto' };
const names = (...hosts: string[]): LoadAssignment => ({
  clusterName: 'c',
  overprovisioning: 140,
  weightedPriorityHealth: false,
  localities: [{ region: '', zone: '', subZone: '', priority: 0, weight: 1, endpoints: hosts.map((address) => endpoint(80, { address })) }],
});

function discover(hosts: string[], answers: (DnsAnswer | Error)[], overrides: Partial<DnsSettings> = {}) {
  const seen: string[][] = [];
  const asked: number[] = [];
  const discovery = new DnsDiscovery(
    names(...hosts),
    { ...settings, ...overrides },
    {
      wheel: new TimerWheel(() => performance.now()),
      random: () => 0.5,
      resolve: () => {
        asked.push(performance.now());
        const answer = answers[Math.min(asked.length, answers.length) - 1] ?? new Error('none');
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
      },
      changed: (found) => seen.push(found.localities.flatMap((l) => l.endpoints.map((e) => `${e.hostname} ${e.address}`))),
    },
  );
  return { discovery, seen, asked };
}

test('every address is an endpoint; failures change nothing, an empty answer does', async () => {
  const { discovery, seen } = discover(['db.example'], [{ addresses: ['10.0.0.1', '10.0.0.2'] }, new Error('SERVFAIL'), { addresses: [] }]);
  await expect.poll(() => seen.length).toBeGreaterThan(2);
  discovery.stop();
  const both = ['db.example 10.0.0.1', 'db.example 10.0.0.2'];
  expect(seen.slice(0, 3)).toEqual([both, both, []]);
});

test('the time to live holds where it is respected, the failure rate after a failure', async () => {
  const slow = discover(['a'], [{ addresses: ['10.0.0.1'], ttlMs: 60_000 }], { respectTtl: true });
  // As Envoy: that is no rate.
  const timeless = discover(['a'], [{ addresses: ['10.0.0.1'], ttlMs: 0 }], { respectTtl: true, refreshMs: 60_000 });
  const failing = discover(['a'], [new Error('SERVFAIL')], { refreshMs: 60_000, failureRefresh: { baseMs: 5, maxMs: 10 } });
  await expect.poll(() => failing.asked.length).toBeGreaterThan(2);
  const jittered = discover(['a'], [{ addresses: ['10.0.0.1'] }], { jitterMs: 120_000 });
  await expect.poll(() => failing.asked.length).toBeGreaterThan(5);
  expect(slow.asked).toHaveLength(1);
  expect(jittered.asked).toHaveLength(1);
  jittered.discovery.stop();
  expect(timeless.asked).toHaveLength(1);
  slow.discovery.stop();
  timeless.discovery.stop();
  failing.discovery.stop();
});

test('the system resolves: addresses stay, hosts file included, a name that is not there is empty', async () => {
  expect(await resolveName('10.1.2.3', settings)).toEqual({ addresses: ['10.1.2.3'] });
  for (const name of ['localhost', 'api.localhost', 'a.b.LOCALHOST'])
    expect((await resolveName(name, { ...settings, family: 'v4' })).addresses).toEqual(['127.0.0.1']);
});

import { expect, test } from 'vitest';
import { ActiveHealth, type HealthCheckResult, type HealthCheckRules } from './index.ts';

const rules: HealthCheckRules = {
  timeoutMs: 1,
  intervalMs: 100,
  initialJitterMs: 0,
  intervalJitterMs: 0,
  intervalJitterPercent: 0,
  unhealthyThreshold: 3,
  healthyThreshold: 2,
  noTrafficIntervalMs: 60_000,
  noTrafficHealthyIntervalMs: 30_000,
  unhealthyIntervalMs: 200,
  unhealthyEdgeIntervalMs: 20,
  healthyEdgeIntervalMs: 10,
};
const environment = { random: () => 0, hasTraffic: () => true };

/** `+` in use or `-` not, and the time to the next check. */
const run = (...results: HealthCheckResult[]): string[] => {
  const health = new ActiveHealth();
  return results.map((result) => {
    const { nextMs } = health.report(result, rules, environment);
    return `${health.failed ? '-' : health.degraded ? '~' : '+'}${nextMs}`;
  });
};

test('the first result counts at once, then thresholds, with edge intervals while one is near', () => {
  expect(run('healthy', 'network', 'network', 'network', 'network', 'healthy', 'healthy')).toEqual(['+100', '+20', '+20', '-200', '-200', '-10', '+100']);
  expect(run('network', 'healthy', 'healthy')).toEqual(['-200', '-10', '+100']);
});

test('what the host says itself needs no threshold, unless its status is retriable; degraded is a state in use', () => {
  expect(run('healthy', 'unhealthy')).toEqual(['+100', '-200']);
  expect(run('healthy', 'retriable', 'retriable', 'healthy', 'retriable')).toEqual(['+100', '+20', '+20', '+100', '+20']);
  expect(run('degraded', 'healthy')).toEqual(['~100', '+100']);
});

test('a cluster without traffic is checked rarely; jitter is added', () => {
  const quiet = { random: () => 0.5, hasTraffic: () => false };
  expect(new ActiveHealth().report('healthy', rules, quiet).nextMs).toBe(30_000);
  expect(new ActiveHealth().report('network', rules, quiet).nextMs).toBe(60_000);
  const jitter = { ...rules, intervalJitterMs: 10, intervalJitterPercent: 20 };
  expect(new ActiveHealth().report('healthy', jitter, { ...environment, random: () => 0.5 }).nextMs).toBe(115);
});

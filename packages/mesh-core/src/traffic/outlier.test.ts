import { expect, test } from 'vitest';
import { type OutlierHost, type OutlierResult, type OutlierRules, OutlierDetector, OutlierState } from './index.ts';
import { rateOutliers, RateCounter } from './outlier-rates.ts';

const rates = {
  successRate: { minimumHosts: 5, requestVolume: 100, stdevFactor: 1.9 },
  failurePercentage: { threshold: 85, minimumHosts: 5, requestVolume: 50 },
};
const base: OutlierRules = {
  consecutive5xx: 3,
  enforcingConsecutive5xx: 100,
  consecutiveGatewayFailure: 2,
  enforcingConsecutiveGatewayFailure: 0,
  splitLocalOrigin: false,
  consecutiveLocalOriginFailure: 2,
  enforcingConsecutiveLocalOriginFailure: 100,
  rates,
  enforcingSuccessRate: 100,
  enforcingLocalOriginSuccessRate: 100,
  enforcingFailurePercentage: 0,
  enforcingFailurePercentageLocalOrigin: 0,
  intervalMs: 10,
  baseEjectionMs: 100,
  maxEjectionMs: 250,
  maxEjectionJitterMs: 0,
  maxEjectionPercent: 50,
  alwaysEjectOneHost: false,
  unejectOnHealthCheck: true,
};

function bench(count: number, overrides: Partial<OutlierRules> = {}) {
  const hosts = Array.from({ length: count }, (): OutlierHost => ({ outlier: new OutlierState() }));
  const environment = { now: 0, draw: 0, clock: () => environment.now, random: () => environment.draw, hosts: () => hosts };
  const detector = new OutlierDetector({ ...base, ...overrides }, environment);
  const report = (index: number, ...results: OutlierResult[]): boolean[] => results.map((r) => detector.report(hosts[index] as OutlierHost, r));
  const tick = (now: number): boolean => {
    environment.now = now;
    return detector.tick();
  };
  return { hosts, environment, detector, report, tick, state: (index: number) => (hosts[index] as OutlierHost).outlier };
}

test('ejected after the count, longer each time up to the cap, back on a tick; a good answer starts the count again', () => {
  const { report, tick, state, environment } = bench(2);
  expect(report(0, 500, 500, 200, 500, 500)).toEqual([false, false, false, false, false]);
  expect(report(0, 500)).toEqual([true]);
  expect([tick(99), tick(100), state(0).ejected]).toEqual([false, true, false]);
  const times: number[] = [];
  for (let start = 101; times.length < 3; start += 400) {
    environment.now = start;
    report(0, 500, 500, 500);
    let now = start;
    while (!tick(now)) now += 10;
    times.push(now - start);
  }
  // 100 ms × 2, 3, 4, not above 250.
  expect(times).toEqual([200, 250, 250]);
});

test('the multiplier falls by one with each healthy interval after the return', () => {
  const { report, tick, state } = bench(2);
  report(0, 500, 500, 500);
  tick(100);
  report(0, 500, 500, 500);
  tick(300);
  expect(state(0).multiplier).toBe(2);
  tick(305);
  expect(state(0).multiplier).toBe(2);
  tick(310);
  tick(320);
  expect(state(0).multiplier).toBe(0);
});

test.each([
  [2, 50, false, [true, false]],
  [3, 50, false, [true, false]],
  [4, 50, false, [true, true]],
  [5, 10, false, [false, false]],
  [5, 10, true, [true, false]],
])('%i hosts, at most %i %%, always one %s', (count, maxEjectionPercent, alwaysEjectOneHost, expected) => {
  const { report, detector } = bench(count, { maxEjectionPercent, alwaysEjectOneHost });
  expect([0, 1].map((i) => report(i, 500, 500, 500).at(-1))).toEqual(expected);
  expect(detector.ejections.get('overflow') ?? 0).toBe(expected.filter((out) => !out).length);
});

test('gateway failures count apart and as 5xx; enforcement is a share of chances; jitter adds to the time', () => {
  const { report, state, environment, tick } = bench(4, { enforcingConsecutiveGatewayFailure: 50, maxEjectionJitterMs: 99 });
  environment.draw = 0.5;
  expect(report(0, 502, 503)).toEqual([false, false]);
  environment.draw = 0.49;
  expect(report(0, 504)).toEqual([true]);
  expect(report(1, 502, 500, 504)).toEqual([false, false, true]);
  expect(state(0).jitterMs).toBe(49);
  expect([tick(148), tick(149)]).toEqual([false, true]);
});

test('local failures: 503 and 504 unless split; split, they need no connection in between', () => {
  const joined = bench(2);
  expect(joined.report(0, 'connect-failure', 'timeout', 'connect-failure')).toEqual([false, false, true]);
  const split = bench(2, { splitLocalOrigin: true });
  expect(split.report(0, 'connect-failure', 'connected', 'connect-failure', 'connect-failure')).toEqual([false, false, false, true]);
  expect(split.report(1, 500, 'success', 500, 500)).toEqual([false, false, false, false]);
});

test("success rate: Envoy's example ejects what is below mean - factor × deviation", () => {
  const counters = [50, 100, 100, 100, 100].map((percent) => {
    const counter = new RateCounter();
    for (let i = 0; i < 100; i++) counter.count(i < percent);
    counter.turn();
    return counter;
  });
  expect(rateOutliers(counters, 5, rates).bySuccessRate).toEqual([0]);
  expect(rateOutliers(counters, 5, { ...rates, successRate: { ...rates.successRate, stdevFactor: 2.1 } }).bySuccessRate).toEqual([]);
  expect(rateOutliers(counters.slice(0, 4), 4, rates)).toEqual({ bySuccessRate: [], byFailurePercentage: [] });
  expect(rateOutliers(counters, 5, { ...rates, successRate: { ...rates.successRate, requestVolume: 101 } }).bySuccessRate).toEqual([]);
  expect(rateOutliers(counters, 5, { ...rates, failurePercentage: { ...rates.failurePercentage, threshold: 50 } }).byFailurePercentage).toEqual([0]);
});

test('rates are judged on the tick, over one interval', () => {
  const { report, tick, detector } = bench(6, { consecutive5xx: 0 });
  for (let host = 0; host < 6; host++) for (let i = 0; i < 100; i++) report(host, host === 3 && i % 2 === 0 ? 500 : 200);
  expect(tick(10)).toBe(true);
  expect([...detector.ejections]).toEqual([['success_rate', 1]]);
  expect(tick(20)).toBe(false);
});

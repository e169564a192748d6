import { expect, test } from 'vitest';
import { hostPicker, slowStartFactor } from './host-pickers.ts';
import { maglevPicker, ringPicker } from './hash-tables.ts';
import { type BalancedHost, type BalancerRules, type HostHealth, type LbPolicy, buildBalancer, PeakEwma, priorityLoads, xxHash64 } from './index.ts';

function generator(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
}

interface TestHost extends BalancedHost {
  id: number;
  active: number;
  health: HostHealth;
  healthySince: number;
}

const hosts = (...weights: number[]): TestHost[] =>
  weights.map((weight, id) => ({ id, weight, active: 0, hashKey: `127.0.0.1:${9000 + id}`, health: 'healthy', healthySince: -1e9, ewma: new PeakEwma() }));
const locality = <H>(list: readonly H[], priority = 0, weight = 0): { priority: number; weight: number; hosts: readonly H[] } => ({
  priority,
  weight,
  hosts: list,
});
const leastRequest: LbPolicy = { kind: 'least-request', choices: 2, activeRequestBias: 1, fullScan: false };
const rules = (policy: LbPolicy, overrides: Partial<BalancerRules> = {}): BalancerRules => ({
  policy,
  panicPercent: 0,
  overprovisioning: 140,
  localityWeighted: true,
  weightedPriorityHealth: false,
  clock: () => 0,
  ...overrides,
});
const shares = (pick: () => { id: number } | undefined, rounds = 10_000): Record<number, number> => {
  const counts: Record<number, number> = {};
  for (let i = 0; i < rounds; i++) {
    const id = pick()?.id ?? -1;
    counts[id] = (counts[id] ?? 0) + 1 / rounds;
  }
  return counts;
};
const drawn = (
  balancer: { pick: (request: { random: () => number; hash: bigint | undefined; avoid: readonly TestHost[]; attempts: number }) => TestHost | undefined },
  seed = 7,
) => {
  const random = generator(seed);
  return () => balancer.pick({ random, hash: undefined, avoid: [], attempts: 0 });
};

test.each([
  ['', 'ef46db3751d8e999'],
  ['a', 'd24ec4f1a98c6e5b'],
  ['abc', '44bc2cf5ad770999'],
  ['Nobody inspects the spammish repetition', 'fbcea83c8a378bf1'],
])('xxHash64 of %j', (text, expected) => {
  expect(xxHash64(text).toString(16)).toBe(expected);
});

test.each([leastRequest, { kind: 'round-robin' } as const])('$kind keeps weights when idle and avoids what is down', (policy) => {
  const all = hosts(3, 1, 1);
  (all[2] as TestHost).health = 'unhealthy';
  const seen = shares(drawn(buildBalancer(rules(policy), [locality(all)])));
  expect(seen[2]).toBeUndefined();
  expect(seen[0]).toBeCloseTo(0.75, 2);
});

test('random does not look at weights, as in Envoy', () => {
  expect(shares(drawn(buildBalancer(rules({ kind: 'random' }), [locality(hosts(9, 1))])))[0]).toBeCloseTo(0.5, 1);
});

test('least request prefers the idler of its choices, and by weight over load when weights differ', () => {
  const [busy, idle] = hosts(1, 1) as [TestHost, TestHost];
  busy.active = 10;
  expect(shares(drawn(buildBalancer(rules(leastRequest), [locality([busy, idle])])))[1]).toBeCloseTo(0.75, 1);
  const five = shares(drawn(buildBalancer(rules({ ...leastRequest, choices: 5 }), [locality([busy, idle])])));
  expect(five[1]).toBeCloseTo(1 - 0.5 ** 5, 1);
  expect(shares(drawn(buildBalancer(rules({ ...leastRequest, fullScan: true }), [locality([busy, idle])])))).toEqual({ 1: expect.closeTo(1, 6) as number });
  const [heavy, light] = hosts(4, 1) as [TestHost, TestHost];
  heavy.active = 3;
  expect(shares(drawn(buildBalancer(rules(leastRequest), [locality([heavy, light])])))[0]).toBeCloseTo(0.5, 2);
  expect(shares(drawn(buildBalancer(rules({ ...leastRequest, activeRequestBias: 0 }), [locality([heavy, light])])))[0]).toBeCloseTo(0.8, 2);
});

test('slow start: share grows with age, faster with aggression, from a minimum', () => {
  const plain = { windowMs: 60_000, aggression: 1, minWeightPercent: 10 };
  expect([0, 3_000, 30_000, 60_000].map((age) => slowStartFactor(plain, age))).toEqual([0.1, 0.1, 0.5, 1]);
  expect(slowStartFactor({ ...plain, aggression: 2 }, 15_000)).toBeCloseTo(0.5, 6);
  const [old, fresh] = hosts(1, 1) as [TestHost, TestHost];
  fresh.healthySince = -15_000;
  expect(shares(drawn(buildBalancer(rules({ kind: 'round-robin', slowStart: plain }), [locality([old, fresh])])))[1]).toBeCloseTo(0.2, 2);
});

test('peak EWMA: a peak counts at once, fades slowly, and the cheaper host is taken', () => {
  const ewma = new PeakEwma();
  expect(ewma.cost(0, 1, 10_000, 30)).toBe(30);
  ewma.observe(100, 1000, 10_000);
  expect(ewma.cost(1, 1000, 10_000, 30)).toBe(200);
  ewma.observe(10, 2000, 10_000);
  expect(ewma.cost(0, 2000, 10_000, 30)).toBeCloseTo(91.4, 0);
  const [slow, fast] = hosts(1, 1) as [TestHost, TestHost];
  slow.ewma.observe(100, 1, 10_000);
  fast.ewma.observe(10, 1, 10_000);
  const pick = hostPicker({ kind: 'peak-ewma', decayMs: 10_000, defaultRttMs: 30 }, [slow, fast], () => 1);
  expect(shares(() => pick(Math.random))).toEqual({ 1: expect.closeTo(1, 6) as number });
});

// The tables of Envoy's documentation, "Priority levels", 100 hosts per level.
test.each([
  [
    [100, 100],
    [100, 0],
  ],
  [
    [72, 72],
    [100, 0],
  ],
  [
    [71, 71],
    [99, 1],
  ],
  [
    [50, 50],
    [70, 30],
  ],
  [
    [25, 100],
    [35, 65],
  ],
  [
    [25, 25],
    [50, 50],
  ],
  [
    [0, 100],
    [0, 100],
  ],
  [
    [25, 25, 100],
    [35, 35, 30],
  ],
  [
    [20, 20, 10],
    [40, 40, 20],
  ],
])('percent healthy per priority %j, load %j', (healthy, expected) => {
  const levels = healthy.map((up) => ({ total: 100, healthy: up, degraded: 0, hosts: 100, healthyHosts: up, degradedHosts: 0 }));
  expect(priorityLoads(levels, 140, 0)).toEqual({ healthy: expected, degraded: expected.map(() => 0), panic: expected.map(() => false) });
});

test('degraded hosts take what the healthy of all priorities leave; panic is per priority', () => {
  const level = (hosts: number, healthy: number, degraded = 0) => ({
    ...{ total: hosts, healthy, degraded },
    ...{ hosts, healthyHosts: healthy, degradedHosts: degraded },
  });
  expect(priorityLoads([level(10, 2, 8)], 140, 50)).toMatchObject({ healthy: [28], degraded: [72], panic: [false] });
  expect(priorityLoads([level(100, 5), level(100, 65)], 140, 50)).toMatchObject({ healthy: [8, 92], panic: [true, false] });
  expect(priorityLoads([level(3, 0), level(7, 0)], 140, 50)).toMatchObject({ healthy: [30, 70], panic: [true, true] });
  expect(priorityLoads([level(3, 0)], 140, 0)).toMatchObject({ healthy: [100], panic: [false] });
  expect(priorityLoads([level(4, 1), level(4, 4)], 140, 50)).toMatchObject({ healthy: [35, 65], panic: [false, false] });
});

test('weighted localities, less what is down in them', () => {
  const [a, b] = [hosts(1, 1), hosts(1).map((host) => ({ ...host, id: 9 }))];
  const share = (weighted: boolean): number =>
    shares(drawn(buildBalancer(rules({ kind: 'random' }, { localityWeighted: weighted }), [locality(a, 0, 80), locality(b, 0, 20)])))[9] ?? 0;
  expect(share(true)).toBeCloseTo(0.2, 2);
  expect(share(false)).toBeCloseTo(1 / 3, 1);
  (a[0] as TestHost).health = 'unhealthy';
  expect(share(true)).toBeCloseTo(20 / (80 * 0.7 + 20), 2);
});

test('a host tried before is avoided while there are attempts', () => {
  const [one, two] = hosts(1, 1) as [TestHost, TestHost];
  const balancer = buildBalancer(rules({ kind: 'random' }), [locality([one, two])]);
  const random = generator(3);
  expect(shares(() => balancer.pick({ random, hash: undefined, avoid: [one], attempts: 5 }))[1]).toBeGreaterThan(0.97);
});

test.each([
  ['ring-hash', { kind: 'ring-hash', minimumRingSize: 1024, maximumRingSize: 8_388_608 } as const],
  ['maglev', { kind: 'maglev', tableSize: 65_537 } as const],
])('%s: a key keeps its host, most keys keep theirs when one leaves, weights hold', (_, policy) => {
  const all = hosts(2, 1, 1, 1);
  const ask = (balancer: ReturnType<typeof buildBalancer<TestHost>>, key: string, avoid: readonly TestHost[] = []): number =>
    balancer.pick({ random: generator(1), hash: xxHash64(key), avoid, attempts: avoid.length * 5 })?.id ?? -1;
  const keys = Array.from({ length: 5000 }, (_, i) => `user-${i}`);
  const whole = buildBalancer(rules(policy), [locality(all, 0, 1)]);
  const before = keys.map((key) => ask(whole, key));
  expect(keys.map((key) => ask(whole, key))).toEqual(before);
  expect(before.filter((id) => id === 0).length / keys.length).toBeCloseTo(0.4, 1);
  expect(before.filter((id, i) => ask(whole, keys[i] ?? '', [all[id] as TestHost]) === id).length).toBeLessThan(keys.length * 0.02);
  (all[3] as TestHost).health = 'unhealthy';
  const fewer = buildBalancer(rules(policy), [locality(all, 0, 1)]);
  const moved = keys.filter((key, i) => before[i] !== 3 && ask(fewer, key) !== before[i]).length;
  // Fewer hosts have more entries each in a ring of the same least size, so some keys move there too.
  expect(moved / keys.length).toBeLessThan(policy.kind === 'maglev' ? 0.05 : 0.15);
});

test('tables are filled whole, also by hosts of very different weight', () => {
  const [a, b] = hosts(1, 1) as [TestHost, TestHost];
  const pick = maglevPicker(
    [
      { host: a, weight: 0.99 },
      { host: b, weight: 0.01 },
    ],
    251,
  );
  const ring = ringPicker(
    [
      { host: a, weight: 0.5 },
      { host: b, weight: 0.5 },
    ],
    2,
    2,
  );
  const ids = Array.from({ length: 251 }, (_, i) => pick(BigInt(i), 0)?.id);
  expect([ids.filter((id) => id === 1).length, ids.filter((id) => id === undefined).length]).toEqual([3, 0]);
  expect(new Set([0n, 1n << 62n, 1n << 63n, (1n << 64n) - 1n].map((hash) => ring(hash, 0)?.id)).has(undefined)).toBe(false);
});

test('loads without the priorities tried before; none when nobody is left', () => {
  const third = hosts(1);
  const down = hosts(1);
  (down[0] as TestHost).health = 'unhealthy';
  const balancer = buildBalancer(rules({ kind: 'random' }), [locality(hosts(1)), locality(down, 1), locality(third, 2)]);
  expect(balancer.loadsWithout(new Set([0]))?.healthy).toEqual([0, 0, 100]);
  expect(balancer.loadsWithout(new Set([0, 2]))).toBeUndefined();
  const loads = balancer.loadsWithout(new Set([0]));
  expect(balancer.pick({ random: () => 0.5, hash: undefined, avoid: [], attempts: 0, loads })).toBe(third[0]);
});

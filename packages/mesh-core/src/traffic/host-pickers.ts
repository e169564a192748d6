// Choice of one host among equals in locality and health: round robin, least request, random, peak EWMA.

import { EdfSchedule } from './edf.ts';
import type { BalancedHost, LbPolicy, SlowStart } from './lb-policy.ts';

export type HostPicker<H> = (random: () => number) => H | undefined;

type Flat = Exclude<LbPolicy, { kind: 'ring-hash' | 'maglev' }>;

/** `clock` is monotonic, ms. Weights are those of now; `active`, latency and slow start are read at each choice. */
export function hostPicker<H extends BalancedHost>(policy: Flat, hosts: readonly H[], clock: () => number): HostPicker<H> {
  const first = hosts[0];
  if (first === undefined) return () => undefined;
  if (hosts.length === 1) return () => first;
  switch (policy.kind) {
    // As in Envoy, random does not look at weights.
    case 'random':
      return (random) => hosts[Math.floor(random() * hosts.length)];
    case 'peak-ewma':
      return peakEwma(hosts, first, clock, policy);
    case 'round-robin':
    case 'least-request': {
      const { slowStart } = policy;
      const starting = slowStart !== undefined && hosts.some((host) => clock() - host.healthySince <= slowStart.windowMs);
      if (!starting && hosts.every((host) => host.weight === first.weight))
        return policy.kind === 'round-robin' ? rotation(hosts) : policy.fullScan ? leastOfAll(hosts, first) : leastOf(hosts, first, policy.choices);
      const bias = policy.kind === 'round-robin' ? 0 : policy.activeRequestBias;
      const schedule = new EdfSchedule(hosts, (host) => {
        const weight = bias === 0 ? host.weight : host.weight / (bias === 1 ? host.active + 1 : (host.active + 1) ** bias);
        return slowStart === undefined ? weight : weight * slowStartFactor(slowStart, clock() - host.healthySince);
      });
      return (random) => schedule.next(random);
    }
  }
}

/** Share of its weight a host has `ageMs` after it came into use: (age / window)^(1 / aggression), never below the minimum. */
export function slowStartFactor(slowStart: SlowStart, ageMs: number): number {
  if (ageMs >= slowStart.windowMs) return 1;
  const time = Math.max(1, ageMs) / slowStart.windowMs;
  return Math.max(time ** (1 / slowStart.aggression), slowStart.minWeightPercent / 100);
}

/** Starts anywhere, so that many proxies rebuilt at once do not all begin with the same host. */
function rotation<H>(hosts: readonly H[]): HostPicker<H> {
  let next = -1;
  return (random) => {
    if (next < 0) next = Math.floor(random() * hosts.length);
    const host = hosts[next];
    next = (next + 1) % hosts.length;
    return host;
  };
}

/** The idlest of `choices` draws; the same host may be drawn twice. */
function leastOf<H extends BalancedHost>(hosts: readonly H[], first: H, choices: number): HostPicker<H> {
  return (random) => {
    let best = hosts[Math.floor(random() * hosts.length)] ?? first;
    for (let i = 1; i < choices; i++) {
      const other = hosts[Math.floor(random() * hosts.length)] ?? first;
      if (other.active < best.active) best = other;
    }
    return best;
  };
}

function leastOfAll<H extends BalancedHost>(hosts: readonly H[], first: H): HostPicker<H> {
  return (random) => {
    let best = first;
    let ties = 0;
    for (const host of hosts) {
      if (host.active > best.active) continue;
      ties = host.active < best.active ? 1 : ties + 1;
      // Each of the tied is taken with the same chance.
      if (ties === 1 || random() * ties < 1) best = host;
    }
    return best;
  };
}

/** The cheaper of two different hosts, by latency times running requests, per unit of weight. */
function peakEwma<H extends BalancedHost>(
  hosts: readonly H[],
  first: H,
  clock: () => number,
  { decayMs, defaultRttMs }: { decayMs: number; defaultRttMs: number },
): HostPicker<H> {
  return (random) => {
    const a = Math.floor(random() * hosts.length);
    const b = (a + 1 + Math.floor(random() * (hosts.length - 1))) % hosts.length;
    const [one, other] = [hosts[a] ?? first, hosts[b] ?? first];
    const now = clock();
    const costOf = (host: H): number => host.ewma.cost(host.active, now, decayMs, defaultRttMs) / host.weight;
    return costOf(one) <= costOf(other) ? one : other;
  };
}

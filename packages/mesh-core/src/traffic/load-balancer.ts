// Choice of a host: priority by health, locality by weight, host by policy. A balancer is built from the hosts as they are and
// rebuilt when their health or weights change; running requests and latency are read live.

import { EdfSchedule } from './edf.ts';
import { maglevPicker, ringPicker, type HashPicker, type WeightedHost } from './hash-tables.ts';
import { hostPicker, type HostPicker } from './host-pickers.ts';
import type { BalancedHost, HostHealth, LbPolicy, PickRequest } from './lb-policy.ts';
import { priorityLoads, type PriorityLoads } from './priority-load.ts';

export interface BalancedLocality<H> {
  priority: number;
  /** 0 = gets nothing when localities are weighted. */
  weight: number;
  hosts: readonly H[];
}

export interface BalancerRules {
  policy: LbPolicy;
  /** 0 = never fall back to hosts that are not well. */
  panicPercent: number;
  /** Percent; Envoy's default is 140. */
  overprovisioning: number;
  /** Localities share the load by their weights. Otherwise those are not looked at. */
  localityWeighted: boolean;
  /** A priority's health counts weights instead of hosts. */
  weightedPriorityHealth: boolean;
  /** Monotonic, ms. */
  clock: () => number;
}

export interface Balancer<H> {
  /** Undefined = nobody to send to. */
  pick(request: PickRequest<H>): H | undefined;
  readonly loads: PriorityLoads;
  /** Loads of the priorities that are left; undefined = nobody is available there. */
  loadsWithout(excluded: ReadonlySet<number>): PriorityLoads | undefined;
}

interface Level<H> {
  localities: readonly BalancedLocality<H>[];
  hosts: readonly H[];
}

export function buildBalancer<H extends BalancedHost>(rules: BalancerRules, localities: readonly BalancedLocality<H>[]): Balancer<H> {
  const count = localities.reduce((most, locality) => Math.max(most, locality.priority + 1), 0);
  const levels = Array.from({ length: count }, (_, priority): Level<H> => {
    const members = localities.filter((locality) => locality.priority === priority);
    return { localities: members, hosts: members.flatMap((locality) => locality.hosts) };
  });
  const healths = levels.map(({ hosts }) => {
    const size = (of: readonly H[]): number => (rules.weightedPriorityHealth ? of.reduce((sum, host) => sum + host.weight, 0) : of.length);
    const healthy = hosts.filter((host) => host.health === 'healthy');
    const degraded = hosts.filter((host) => host.health === 'degraded');
    return {
      total: size(hosts),
      healthy: size(healthy),
      degraded: size(degraded),
      hosts: hosts.length,
      healthyHosts: healthy.length,
      degradedHosts: degraded.length,
    };
  });
  const loads = priorityLoads(healths, rules.overprovisioning, rules.panicPercent);
  const loadsWithout = (excluded: ReadonlySet<number>): PriorityLoads | undefined => {
    const left = healths.map((health, i) => (excluded.has(i) ? { ...health, healthy: 0, degraded: 0, healthyHosts: 0, degradedHosts: 0 } : health));
    return left.some(({ healthy, degraded }) => healthy + degraded > 0) ? priorityLoads(left, rules.overprovisioning, 0) : undefined;
  };
  const { policy } = rules;
  if (policy.kind === 'ring-hash' || policy.kind === 'maglev') return hashBalancer(rules, policy, levels, { loads, loadsWithout });

  const pickers = levels.map((level, i): { healthy: HostPicker<H>; degraded: HostPicker<H> } => {
    if (loads.panic[i] === true) {
      const all = hostPicker(policy, level.hosts, rules.clock);
      return { healthy: all, degraded: all };
    }
    return {
      healthy: levelPicker(rules, policy, level, 'healthy'),
      degraded: (loads.degraded[i] ?? 0) > 0 ? levelPicker(rules, policy, level, 'degraded') : () => undefined,
    };
  });
  const only = pickers[0]?.healthy;
  const once: HostPicker<H> =
    only !== undefined && loads.healthy[0] === 100
      ? only
      : (random) => {
          const { priority, degraded } = choosePriority(loads, Math.floor(random() * 100));
          const picker = pickers[priority];
          return degraded ? picker?.degraded(random) : picker?.healthy(random);
        };
  const draw = (random: () => number, of: PriorityLoads | undefined): H | undefined => {
    if (of === undefined) return once(random);
    const { priority, degraded } = choosePriority(of, Math.floor(random() * 100));
    const picker = pickers[priority];
    return (degraded ? picker?.degraded(random) : picker?.healthy(random)) ?? once(random);
  };
  return {
    loads,
    loadsWithout,
    pick({ random, avoid, attempts, loads: own }) {
      let host = draw(random, own);
      for (let i = 0; i < attempts && host !== undefined && avoid.includes(host); i++) host = draw(random, own);
      return host;
    },
  };
}

/** `point` from 0 to 99. */
function choosePriority(loads: PriorityLoads, point: number): { priority: number; degraded: boolean } {
  let left = point;
  for (let i = 0; i < loads.healthy.length; i++) if ((left -= loads.healthy[i] ?? 0) < 0) return { priority: i, degraded: false };
  for (let i = 0; i < loads.degraded.length; i++) if ((left -= loads.degraded[i] ?? 0) < 0) return { priority: i, degraded: true };
  return { priority: 0, degraded: false };
}

/** Hosts of one health of one priority, by locality first when those are weighted. */
function levelPicker<H extends BalancedHost>(
  rules: BalancerRules,
  policy: Exclude<LbPolicy, { kind: 'ring-hash' | 'maglev' }>,
  level: Level<H>,
  health: HostHealth,
): HostPicker<H> {
  const fit = (hosts: readonly H[]): H[] => hosts.filter((host) => host.health === health);
  const weighted = rules.localityWeighted
    ? level.localities
        .map(({ hosts, weight }) => {
          const members = fit(hosts);
          const share = hosts.length === 0 ? 0 : Math.min(1, ((rules.overprovisioning / 100) * members.length) / hosts.length);
          return { weight: weight * share, picker: hostPicker(policy, members, rules.clock) };
        })
        .filter((locality) => locality.weight > 0)
    : [];
  if (weighted.length === 0) return hostPicker(policy, fit(level.hosts), rules.clock);
  if (weighted.length === 1) return weighted[0]?.picker ?? (() => undefined);
  const schedule = new EdfSchedule(weighted, (locality) => locality.weight);
  return (random) => schedule.next(random)?.picker(random);
}

/** The hash decides about the priority too, so that a key keeps its host. */
function hashBalancer<H extends BalancedHost>(
  rules: BalancerRules,
  policy: Extract<LbPolicy, { kind: 'ring-hash' | 'maglev' }>,
  levels: readonly Level<H>[],
  { loads, loadsWithout }: Pick<Balancer<H>, 'loads' | 'loadsWithout'>,
): Balancer<H> {
  const pickers = levels.map((level, i): HashPicker<H> => {
    const hosts = normalizedWeights(rules, level, loads.panic[i] === true);
    return policy.kind === 'maglev' ? maglevPicker(hosts, policy.tableSize) : ringPicker(hosts, policy.minimumRingSize, policy.maximumRingSize);
  });
  return {
    loads,
    loadsWithout,
    pick({ random, hash = randomHash(random), avoid, attempts, loads: own = loads }) {
      const picker = pickers[own.healthy[0] === 100 ? 0 : choosePriority(own, Number(hash % 100n)).priority];
      let host = picker?.(hash, 0);
      for (let i = 1; i <= attempts && host !== undefined && avoid.includes(host); i++) host = picker?.(hash, i);
      return host;
    },
  };
}

/** Without a hash the choice is a random one. */
function randomHash(random: () => number): bigint {
  return (BigInt(Math.floor(random() * 2 ** 32)) << 32n) | BigInt(Math.floor(random() * 2 ** 32));
}

function normalizedWeights<H extends BalancedHost>(rules: BalancerRules, level: Level<H>, panic: boolean): WeightedHost<H>[] {
  const shares = (hosts: readonly H[], part: number): WeightedHost<H>[] => {
    const fit = panic ? hosts : hosts.filter((host) => host.health === 'healthy');
    const total = fit.reduce((sum, host) => sum + host.weight, 0);
    return fit.map((host) => ({ host, weight: (host.weight * part) / total }));
  };
  if (!rules.localityWeighted) return shares(level.hosts, 1);
  const total = level.localities.reduce((sum, locality) => sum + locality.weight, 0);
  return level.localities.flatMap(({ hosts, weight }) => (weight === 0 ? [] : shares(hosts, weight / total)));
}

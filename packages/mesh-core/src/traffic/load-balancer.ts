// Choice of a host: priority by health, locality by weight, host by policy. A balancer is built from the hosts available at the
// time and rebuilt when that changes; only `active` of a host is read live.

export interface BalancedHost {
  readonly weight: number;
  /** Running requests. */
  readonly active: number;
}

export interface BalancedLocality<H> {
  priority: number;
  /** 0 = localities of this priority are not weighted. */
  weight: number;
  hosts: readonly H[];
}

export type BalancerPolicy = 'least-request' | 'round-robin' | 'random';

export interface Balancer<H> {
  /** Undefined = no healthy host. `random` is called up to four times. */
  pick(random: () => number): H | undefined;
}

type Picker<H> = (random: () => number) => H | undefined;

/** `available` tells whether a host may be used now; `panicPercent` 0 = never fall back to unavailable hosts. */
export function buildBalancer<H extends BalancedHost>(
  policy: BalancerPolicy,
  localities: readonly BalancedLocality<H>[],
  available: (host: H) => boolean,
  panicPercent: number,
): Balancer<H> {
  const levels = [...new Set(localities.map((locality) => locality.priority))]
    .sort((a, b) => a - b)
    .map((priority) => {
      const members = localities.filter((locality) => locality.priority === priority);
      const all = members.reduce((sum, locality) => sum + locality.hosts.length, 0);
      const up = members.reduce((sum, locality) => sum + locality.hosts.filter(available).length, 0);
      return { members, all, up, health: all === 0 ? 0 : Math.min(100, Math.floor((140 * up) / all)) };
    });
  const health = Math.min(
    100,
    levels.reduce((sum, level) => sum + level.health, 0),
  );
  const panics = (level: { all: number; up: number }): boolean => health < 100 && level.all > 0 && (100 * level.up) / level.all < panicPercent;
  const pickers = levels.map((level) => localityPicker(policy, level.members, panics(level) ? () => true : available));
  const loads = priorityLoads(levels, health, panicPercent > 0);
  const only = pickers[0];
  if (only !== undefined && (pickers.length === 1 || loads[0] === 100)) return { pick: (random) => (loads[0] === 0 ? undefined : only(random)) };
  return {
    pick(random) {
      let point = random() * 100;
      for (let i = 0; i < pickers.length; i++) {
        point -= loads[i] ?? 0;
        if (point < 0) return pickers[i]?.(random);
      }
      return undefined;
    },
  };
}

/** Percent of the load per priority: each takes what its health allows, the rest spills over. */
function priorityLoads(levels: readonly { all: number; health: number }[], health: number, panic: boolean): number[] {
  if (health === 0) {
    const all = levels.reduce((sum, level) => sum + level.all, 0);
    return levels.map((level) => (panic && all > 0 ? (100 * level.all) / all : 0));
  }
  let left = 100;
  const loads = levels.map((level) => {
    const load = Math.min(left, (level.health * 100) / health);
    left -= load;
    return load;
  });
  // Rounding may leave a sliver; the first priority that is alive takes it.
  const first = loads.findIndex((load) => load > 0);
  if (left > 0 && first >= 0) loads[first] = (loads[first] ?? 0) + left;
  return loads;
}

function localityPicker<H extends BalancedHost>(policy: BalancerPolicy, localities: readonly BalancedLocality<H>[], usable: (host: H) => boolean): Picker<H> {
  const weighted = localities
    .map((locality) => {
      const hosts = locality.hosts.filter(usable);
      const share = locality.hosts.length === 0 ? 0 : Math.min(100, (140 * hosts.length) / locality.hosts.length);
      return { hosts, weight: locality.weight * share };
    })
    .filter((locality) => locality.weight > 0);
  if (weighted.length < 2)
    return hostPicker(
      policy,
      localities.flatMap((locality) => locality.hosts.filter(usable)),
    );
  const pickers = weighted.map((locality) => hostPicker(policy, locality.hosts));
  const total = weighted.reduce((sum, locality) => sum + locality.weight, 0);
  return (random) => {
    let point = random() * total;
    for (let i = 0; i < weighted.length; i++) {
      point -= weighted[i]?.weight ?? 0;
      if (point < 0) return pickers[i]?.(random);
    }
    return pickers.at(-1)?.(random);
  };
}

function hostPicker<H extends BalancedHost>(policy: BalancerPolicy, hosts: readonly H[]): Picker<H> {
  const first = hosts[0];
  if (first === undefined) return () => undefined;
  if (hosts.length === 1) return () => first;
  const equal = hosts.every((host) => host.weight === first.weight);
  const draw = equal ? (random: () => number): H => hosts[Math.floor(random() * hosts.length)] ?? first : weightedDraw(hosts, first);
  switch (policy) {
    case 'random':
      return draw;
    case 'round-robin':
      return equal ? rotation(hosts) : smoothRotation(hosts);
    case 'least-request':
      return (random) => {
        const a = draw(random);
        const b = draw(random);
        // Candidates come by weight already, so an idle tie keeps the weights; load is compared per unit of weight.
        return a.active * b.weight <= b.active * a.weight ? a : b;
      };
  }
}

function weightedDraw<H extends BalancedHost>(hosts: readonly H[], first: H): (random: () => number) => H {
  const bounds: number[] = [];
  let total = 0;
  for (const host of hosts) bounds.push((total += Math.max(host.weight, 1)));
  return (random) => {
    const point = random() * total;
    let low = 0;
    let high = bounds.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (point < (bounds[middle] ?? 0)) high = middle;
      else low = middle + 1;
    }
    return hosts[low] ?? first;
  };
}

/** Starts anywhere, so that many proxies rebuilt at once do not all begin with the same host. */
function rotation<H>(hosts: readonly H[]): Picker<H> {
  let next = -1;
  return (random) => {
    if (next < 0) next = Math.floor(random() * hosts.length);
    const host = hosts[next];
    next = (next + 1) % hosts.length;
    return host;
  };
}

/** nginx's smooth weighted round robin: the share is exact over one cycle and turns are interleaved. */
function smoothRotation<H extends BalancedHost>(hosts: readonly H[]): Picker<H> {
  const current = hosts.map(() => 0);
  const total = hosts.reduce((sum, host) => sum + Math.max(host.weight, 1), 0);
  return () => {
    let best = 0;
    for (let i = 0; i < hosts.length; i++) {
      current[i] = (current[i] ?? 0) + Math.max(hosts[i]?.weight ?? 1, 1);
      if ((current[i] ?? 0) > (current[best] ?? 0)) best = i;
    }
    current[best] = (current[best] ?? 0) - total;
    return hosts[best];
  };
}

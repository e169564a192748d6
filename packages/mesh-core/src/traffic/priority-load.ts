// How the load spreads over priorities: each takes what its health allows, times 1.4, the rest spills over (Envoy's
// recalculatePerPriorityState, in whole percents as there).

export interface PriorityHealth {
  /** All hosts but the excluded; or the sum of their weights when health is weighted. */
  total: number;
  healthy: number;
  degraded: number;
  /** Hosts counted one by one, whatever `total` counts. */
  hosts: number;
  healthyHosts: number;
  degradedHosts: number;
}

export interface PriorityLoads {
  /** Percent per priority; both lists together sum up to 100. */
  healthy: readonly number[];
  degraded: readonly number[];
  /** Priorities that use all their hosts because too few are well. */
  panic: readonly boolean[];
}

/** `overprovisioning` is a percentage (140); `panicPercent` 0 = never panic. */
export function priorityLoads(levels: readonly PriorityHealth[], overprovisioning: number, panicPercent: number): PriorityLoads {
  const share = (part: number, total: number): number => (total === 0 ? 0 : Math.min(100, Math.floor((overprovisioning * part) / total)));
  const health = levels.map((level) => share(level.healthy, level.total));
  const degradedHealth = levels.map((level) => share(level.degraded, level.total));
  const availability = Math.min(100, sum(health) + sum(degradedHealth));
  const none = levels.map(() => false);
  if (availability === 0 && panicPercent === 0) return { healthy: levels.map((_, i) => (i === 0 ? 100 : 0)), degraded: levels.map(() => 0), panic: none };
  const panic =
    availability === 100
      ? none
      : levels.map(({ hosts, healthyHosts, degradedHosts }) => (hosts === 0 ? 0 : (100 * (healthyHosts + degradedHosts)) / hosts) < panicPercent);
  if (panic.every(Boolean)) return { healthy: totalPanicLoads(levels), degraded: levels.map(() => 0), panic };
  let left = 100;
  const distribute = (available: readonly number[]): number[] =>
    available.map((value) => {
      const load = Math.min(left, Math.floor((value * 100) / availability));
      left -= load;
      return load;
    });
  const healthy = distribute(health);
  const degraded = distribute(degradedHealth);
  // Rounding leaves a few percent: the first priority that is well takes them.
  const firstHealthy = health.findIndex((value) => value > 0);
  if (firstHealthy >= 0) healthy[firstHealthy] = (healthy[firstHealthy] ?? 0) + left;
  else {
    const firstDegraded = degradedHealth.findIndex((value) => value > 0);
    degraded[firstDegraded] = (degraded[firstDegraded] ?? 0) + left;
  }
  return { healthy, degraded, panic };
}

/** Every priority panics: load by number of hosts, whatever their health. */
function totalPanicLoads(levels: readonly PriorityHealth[]): number[] {
  const all = sum(levels.map((level) => level.hosts));
  if (all === 0) return levels.map((_, i) => (i === 0 ? 100 : 0));
  const loads = levels.map((level) => Math.floor((100 * level.hosts) / all));
  const first = levels.findIndex((level) => level.hosts > 0);
  loads[first] = (loads[first] ?? 0) + 100 - sum(loads);
  return loads;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

// Weighted choice: one random number, one pass over cumulative sums made when the configuration is compiled.

export interface WeightedChoice<T> {
  /** `random` in [0, 1). Undefined only when nothing has a weight above 0. */
  pick(random: number): T | undefined;
  /** The entry a whole number falls on, modulo the sum: the same choice for the same number on every hop. */
  at(value: number): T | undefined;
}

/** Apart from the rest, which it would keep alive: most routes have one target. */
function certain<T>(only: T): WeightedChoice<T> {
  const choose = (): T => only;
  return { pick: choose, at: choose };
}

/** Weights are relative to their sum; entries of weight 0 are never chosen. */
export function compileWeightedChoice<T extends { readonly weight: number }>(entries: readonly T[]): WeightedChoice<T> {
  const usable = entries.filter((entry) => entry.weight > 0);
  const only = usable[0];
  if (only !== undefined && usable.length === 1) return certain(only);
  const bounds: number[] = [];
  let total = 0;
  for (const entry of usable) bounds.push((total += entry.weight));
  const find = (point: number): T | undefined => {
    for (let i = 0; i < usable.length; i++) if (point < (bounds[i] ?? 0)) return usable[i];
    return usable.at(-1);
  };
  return { pick: (random) => find(random * total), at: (value) => find(value % total) };
}

export type Weights = Readonly<Record<string, number>>;

/**
 * Sets one weight (clamped to 0-100, rounded) and shares the rest among the others in proportion to what they had, so that the sum
 * stays exactly 100. Others that were all 0 get the rest to the first of them. A single version always has 100.
 */
export function rebalance(weights: Weights, subset: string, value: number): Weights {
  const others = Object.keys(weights).filter((s) => s !== subset);
  if (others.length === 0) return { [subset]: 100 };
  const wanted = Math.min(100, Math.max(0, Math.round(value)));
  const rest = 100 - wanted;
  const before = others.reduce((sum, s) => sum + (weights[s] ?? 0), 0);
  const exact = others.map((s, i) => ({ s, part: before > 0 ? ((weights[s] ?? 0) / before) * rest : i === 0 ? rest : 0 }));
  const next: Record<string, number> = { ...weights, [subset]: wanted };
  let left = rest;
  for (const { s, part } of exact) {
    next[s] = Math.floor(part);
    left -= Math.floor(part);
  }
  // Largest remainder first: never more than one point away from the exact part.
  for (const { s } of [...exact].sort((a, b) => (b.part % 1) - (a.part % 1)).slice(0, left)) next[s] = (next[s] ?? 0) + 1;
  return next;
}

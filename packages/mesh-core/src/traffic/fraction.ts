/** Envoy's FractionalPercent: `numerator` out of 100, 10,000 or 1,000,000. */
export interface Fraction {
  numerator: number;
  of: number;
}

/** Draws only when the outcome is open. `random` gives [0, 1). */
export function happens(fraction: Fraction, random: () => number): boolean {
  if (fraction.numerator <= 0) return false;
  return fraction.numerator >= fraction.of || random() * fraction.of < fraction.numerator;
}

// Percentages, fixed or with a runtime key that is never set here.

import type { Fraction } from '@weft/mesh-core/traffic';
import type { Fields } from './fields.ts';

const OF: Readonly<Record<string, number>> = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 };

export function decodeFraction(fields: Fields | undefined, fallback: Fraction): Fraction {
  if (fields === undefined) return fallback;
  const fraction = { numerator: fields.number('numerator'), of: OF[fields.text('denominator', 'HUNDRED')] ?? 100 };
  fields.end();
  return fraction;
}

/** The default value of a runtime fraction: this proxy has no runtime to override it. */
export function decodeRuntimeFraction(fields: Fields | undefined, fallback: Fraction): Fraction {
  const fraction = decodeFraction(fields?.object('defaultValue'), fallback);
  fields?.ignore('runtimeKey');
  fields?.end();
  return fraction;
}

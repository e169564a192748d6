// Partial expectations against what was seen, and whole comparison of two things seen; both name the paths that differ.

class Between {
  readonly low: number;
  readonly high: number;
  constructor(low: number, high: number) {
    this.low = low;
    this.high = high;
  }
}
class Absent {
  readonly kind = 'absent';
}
class Holds {
  readonly all: readonly string[];
  constructor(all: readonly string[]) {
    this.all = all;
  }
}
class AllOf {
  readonly of: readonly Expected[];
  constructor(of: readonly Expected[]) {
    this.of = of;
  }
}
class OneOf {
  readonly of: readonly Expected[];
  constructor(of: readonly Expected[]) {
    this.of = of;
  }
}

export type Expected =
  | string
  | number
  | boolean
  | null
  | RegExp
  | Between
  | Absent
  | AllOf
  | OneOf
  | Holds
  | readonly Expected[]
  | { readonly [key: string]: Expected };

/** A number in this range, both ends included. */
export const between = (low: number, high: number): Expected => new Between(low, high);
/** The key must not be there. */
export const absent: Expected = new Absent();
/** A list that has these among others. */
export const holds = (...all: string[]): Expected => new Holds(all);
export const allOf = (...of: Expected[]): Expected => new AllOf(of);
export const oneOf = (...of: Expected[]): Expected => new OneOf(of);

/** What of `expected` does not hold in `actual`, as lines `path: ...`; keys not named are free, lists must match whole. */
export function mismatches(actual: unknown, expected: Expected, path = ''): string[] {
  const told = (): string => clipped(JSON.stringify(actual) ?? 'nothing');
  if (expected instanceof Absent) return actual === undefined ? [] : [`${path}: ${told()} should not be there`];
  if (expected instanceof RegExp)
    return (typeof actual === 'string' || typeof actual === 'number') && expected.test(String(actual)) ? [] : [`${path}: ${told()} does not match ${expected}`];
  if (expected instanceof Between)
    return typeof actual === 'number' && actual >= expected.low && actual <= expected.high
      ? []
      : [`${path}: ${told()} is not from ${expected.low} to ${expected.high}`];
  if (expected instanceof Holds) {
    const missing = expected.all.filter((item) => !Array.isArray(actual) || !actual.includes(item));
    return missing.length === 0 ? [] : [`${path}: ${missing.join(', ')} missing in ${told()}`];
  }
  if (expected instanceof AllOf) return expected.of.flatMap((e) => mismatches(actual, e, path));
  if (expected instanceof OneOf)
    return expected.of.some((e) => mismatches(actual, e, path).length === 0) ? [] : [`${path}: ${told()} is none of what is allowed`];
  if (isList(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length) return [`${path}: ${told()} instead of a list of ${expected.length}`];
    return expected.flatMap((e, i) => mismatches(actual[i], e, `${path}[${i}]`));
  }
  if (typeof expected === 'object' && expected !== null) {
    if (typeof actual !== 'object' || actual === null) return [`${path}: ${told()} instead of an object`];
    return Object.entries(expected).flatMap(([key, e]) => mismatches((actual as Record<string, unknown>)[key], e, path === '' ? key : `${path}.${key}`));
  }
  return actual === expected ? [] : [`${path}: ${told()} instead of ${JSON.stringify(expected)}`];
}

/** A page of statistics of hundreds of clusters says nothing to whoever reads a log. */
function clipped(text: string): string {
  const most = 2_000;
  return text.length <= most ? text : `${text.slice(0, most)}… (${text.length} characters)`;
}

function isList(value: Expected): value is readonly Expected[] {
  return Array.isArray(value);
}

/** Paths where two things seen differ, as lines `path: left | right`. */
export function differences(left: unknown, right: unknown, path = ''): string[] {
  if (typeof left === 'object' && typeof right === 'object' && left !== null && right !== null) {
    const keys = [...new Set([...Object.keys(left), ...Object.keys(right)])];
    return keys.flatMap((key) =>
      differences((left as Record<string, unknown>)[key], (right as Record<string, unknown>)[key], path === '' ? key : `${path}.${key}`),
    );
  }
  return left === right ? [] : [`${path}: ${short(left)} | ${short(right)}`];
}

function short(value: unknown): string {
  const text = value === undefined ? 'absent' : (JSON.stringify(value) ?? String(value));
  return text.length > 300 ? `${text.slice(0, 300)}...` : text;
}

// The part of CEL (cel-spec) that filters of access logs are written in: operators, member access, the string functions, has(),
// size(), conversions. Compiled once to closures. What it does not know is an error when it is compiled.

import { type CelNode, CelError, parseCel } from './cel-parser.ts';
import { compileRegex } from './string-match.ts';

export { CelError } from './cel-parser.ts';

/** Maps that are looked up, not walked: headers. */
export interface CelLookup {
  get(key: string): string | undefined;
}
/** Integers and doubles are both numbers; durations are milliseconds. `undefined` = an error, like a member that is not there. */
export type CelValue = boolean | number | string | null | readonly CelValue[] | CelLookup | { readonly [key: string]: unknown } | undefined;
type Eval<S> = (source: S) => CelValue;
/** An attribute by its whole name (`response.code`); undefined = there is no such attribute. */
export type CelAttributes<S> = (name: string) => Eval<S> | undefined;

/** @throws CelError */
export function compileCel<S>(expression: string, attributes: CelAttributes<S>): Eval<S> {
  return compile(parseCel(expression), attributes);
}

function compile<S>(node: CelNode, attributes: CelAttributes<S>): Eval<S> {
  const of = (inner: CelNode): Eval<S> => compile(inner, attributes);
  switch (node.kind) {
    case 'literal': {
      const { value } = node;
      return () => value;
    }
    case 'list': {
      const items = node.items.map(of);
      return (source) => items.map((item) => item(source));
    }
    case 'name':
    case 'select': {
      const name = nameOf(node);
      const attribute = name === undefined ? undefined : attributes(name);
      if (attribute !== undefined) return attribute;
      if (node.kind === 'name') throw new CelError(`${node.name} is not known here`);
      const { field } = node;
      const object = of(node.of);
      return (source) => member(object(source), field);
    }
    case 'index': {
      const object = of(node.of);
      const key = of(node.key);
      return (source) => member(object(source), key(source));
    }
    case 'not': {
      const inner = of(node.of);
      return (source) => {
        const value = inner(source);
        return typeof value === 'boolean' ? !value : undefined;
      };
    }
    case 'minus': {
      const inner = of(node.of);
      return (source) => {
        const value = inner(source);
        return typeof value === 'number' ? -value : undefined;
      };
    }
    case 'choice': {
      const [test, yes, no] = [of(node.test), of(node.yes), of(node.no)];
      return (source) => {
        const value = test(source);
        return value === true ? yes(source) : value === false ? no(source) : undefined;
      };
    }
    case 'binary':
      return compileBinary(node.operator, of(node.left), of(node.right));
    case 'call':
      return compileCall(node, of);
  }
}

function nameOf(node: CelNode): string | undefined {
  if (node.kind === 'name') return node.name;
  if (node.kind !== 'select') return undefined;
  const of = nameOf(node.of);
  return of === undefined ? undefined : `${of}.${node.field}`;
}

function member(object: CelValue, key: CelValue): CelValue {
  if (Array.isArray(object)) return typeof key === 'number' ? (object as readonly CelValue[])[key] : undefined;
  if (typeof object !== 'object' || object === null || typeof key !== 'string') return undefined;
  if (isLookup(object)) return object.get(key.toLowerCase());
  return Object.hasOwn(object, key) ? ((object as Record<string, unknown>)[key] as CelValue) : undefined;
}

function isLookup(object: object): object is CelLookup {
  return typeof (object as { get?: unknown }).get === 'function';
}

/** `||` and `&&` do not mind an error on one side when the other decides. */
function compileBinary<S>(operator: string, left: Eval<S>, right: Eval<S>): Eval<S> {
  switch (operator) {
    case '||':
    case '&&': {
      const decides = operator === '||';
      return (source) => {
        const a = left(source);
        if (a === decides) return decides;
        const b = right(source);
        return b === decides ? decides : typeof a === 'boolean' && typeof b === 'boolean' ? !decides : undefined;
      };
    }
    case '==':
    case '!=':
      return (source) => {
        const [a, b] = [left(source), right(source)];
        return a === undefined || b === undefined ? undefined : same(a, b) === (operator === '==');
      };
    case 'in':
      return (source) => {
        const [a, b] = [left(source), right(source)];
        if (a === undefined || typeof b !== 'object' || b === null) return undefined;
        return Array.isArray(b) ? (b as readonly CelValue[]).some((item) => item !== undefined && same(a, item)) : member(b, a) !== undefined;
      };
    default: {
      const apply = ARITHMETIC[operator];
      if (apply === undefined) throw new CelError(`the operator ${operator} is not known here`);
      return (source) => {
        const [a, b] = [left(source), right(source)];
        if (typeof a === 'number' && typeof b === 'number') return apply(a, b);
        return typeof a === 'string' && typeof b === 'string' && TEXT.has(operator) ? apply(a as never, b as never) : undefined;
      };
    }
  }
}

const TEXT = new Set(['<', '<=', '>', '>=', '+']);
const ARITHMETIC: Readonly<Record<string, (a: number, b: number) => CelValue>> = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => (b === 0 ? undefined : Math.trunc(a / b)),
  '%': (a, b) => (b === 0 ? undefined : a % b),
};

function same(a: CelValue, b: CelValue): boolean {
  return Array.isArray(a) && Array.isArray(b) ? a.length === b.length && a.every((item, i) => same(item as CelValue, b[i] as CelValue)) : a === b;
}

const STRING_TESTS: Readonly<Record<string, (text: string, wanted: string) => boolean>> = {
  startsWith: (text, wanted) => text.startsWith(wanted),
  endsWith: (text, wanted) => text.endsWith(wanted),
  contains: (text, wanted) => text.includes(wanted),
  matches: (text, pattern) => compileRegex(pattern).matcher(text).find(),
};
const CONVERSIONS: Readonly<Record<string, (value: CelValue) => CelValue>> = {
  size: (value) => (typeof value === 'string' || Array.isArray(value) ? value.length : undefined),
  int: (value) => (typeof value === 'number' ? Math.trunc(value) : typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : undefined),
  double: (value) =>
    typeof value === 'number' ? value : typeof value === 'string' && value.trim() !== '' && !Number.isNaN(Number(value)) ? Number(value) : undefined,
  string: (value) => (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined),
  duration: (value) => (typeof value === 'string' ? milliseconds(value) : undefined),
};
const UNITS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1, us: 0.001, ns: 0.000_001 };

function milliseconds(text: string): number | undefined {
  if (!/^-?(\d+(\.\d+)?(h|ms|m|s|us|ns))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, amount, unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s|us|ns)/g)) sum += Number(amount) * (UNITS[unit] ?? 0);
  return text.startsWith('-') ? -sum : sum;
}

function compileCall<S>({ name, on, args }: Extract<CelNode, { kind: 'call' }>, of: (node: CelNode) => Eval<S>): Eval<S> {
  const [first, second] = on === undefined ? args : [on, ...args];
  const test = STRING_TESTS[name];
  if (test !== undefined && first !== undefined && second !== undefined) {
    if (name === 'matches' && second.kind === 'literal') compileRegex(String(second.value));
    const [text, wanted] = [of(first), of(second)];
    return (source) => {
      const [a, b] = [text(source), wanted(source)];
      return typeof a === 'string' && typeof b === 'string' ? test(a, b) : undefined;
    };
  }
  const convert = CONVERSIONS[name];
  if (convert !== undefined && first !== undefined && second === undefined) {
    const value = of(first);
    return (source) => convert(value(source));
  }
  if (name === 'has' && on === undefined && first?.kind === 'select') {
    const value = of(first);
    return (source) => value(source) !== undefined;
  }
  throw new CelError(`the function ${name} is not known here with ${args.length} arguments`);
}

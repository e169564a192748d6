// Envoy's matchers of metadata and of the values in it.

import { compileStringMatch, type StringMatchSpec } from './string-match.ts';

/** By namespace: what filters have found out of a request. */
export type DynamicMetadata = Readonly<Record<string, unknown>>;

/** With these fields beside those the namespace has, or in their place. */
export function withMetadata(metadata: DynamicMetadata | undefined, namespace: string, fields: Readonly<Record<string, unknown>>): DynamicMetadata {
  return { ...metadata, [namespace]: { ...(metadata?.[namespace] as object | undefined), ...fields } };
}

export interface MetadataMatchSpec {
  namespace: string;
  path: readonly string[];
  value: ValueMatchSpec;
  invert: boolean;
}

export type ValueMatchSpec =
  | { kind: 'null' }
  | { kind: 'present'; present: boolean }
  | { kind: 'string'; match: StringMatchSpec }
  | { kind: 'bool'; value: boolean }
  /** From `start` up to but without `end`. */
  | { kind: 'range'; start: number; end: number }
  | { kind: 'number'; value: number }
  /** Any entry of a list. */
  | { kind: 'list'; entry: ValueMatchSpec }
  | { kind: 'or'; values: readonly ValueMatchSpec[] };

type ValuePredicate = (value: unknown) => boolean;

/** @throws RegexError */
export function compileMetadataMatch(spec: MetadataMatchSpec): (metadata: DynamicMetadata | undefined) => boolean {
  const { namespace, path, invert } = spec;
  const test = compileValue(spec.value);
  return (metadata) => {
    let value = field(metadata, namespace);
    for (const key of path) value = field(value, key);
    return test(value) !== invert;
  };
}

/** What is no object has no fields, and what is not its own is none. */
function field(of: unknown, key: string): unknown {
  return typeof of === 'object' && of !== null && !Array.isArray(of) && Object.hasOwn(of, key) ? (of as Readonly<Record<string, unknown>>)[key] : undefined;
}

function compileValue(spec: ValueMatchSpec): ValuePredicate {
  switch (spec.kind) {
    case 'null':
      return (value) => value === null;
    case 'present':
      // `present_match: false` never holds (as Envoy).
      return (value) => spec.present && value !== undefined;
    case 'string': {
      const test = compileStringMatch(spec.match);
      return (value) => typeof value === 'string' && test(value);
    }
    case 'bool':
    case 'number':
      return (value) => value === spec.value;
    case 'range':
      return (value) => typeof value === 'number' && value >= spec.start && value < spec.end;
    case 'list': {
      const test = compileValue(spec.entry);
      return (value) => Array.isArray(value) && value.some(test);
    }
    case 'or': {
      const tests = spec.values.map(compileValue);
      return (value) => tests.some((test) => test(value));
    }
  }
}

// String matchers of routes, headers and peer identities, compiled once to a predicate. User regex runs on RE2 (re2js): linear
// time whatever the pattern, as in Envoy.

import type { RE2JS } from 're2js';
import { regexEngine } from './regex-engine.ts';

export interface StringMatchSpec {
  kind: 'exact' | 'prefix' | 'suffix' | 'regex' | 'contains';
  value: string;
  ignoreCase: boolean;
}

export type StringPredicate = (value: string) => boolean;

export class RegexError extends Error {
  readonly code = 'WEFT_REGEX';
  readonly pattern: string;
  constructor(pattern: string, cause: unknown) {
    super(`"${pattern}" is not an RE2 pattern: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.pattern = pattern;
  }
}

const patterns = new Map<string, RE2JS>();
const patternsKept = 1000;

/** The compiled pattern, from a cache. @throws RegexError */
export function compileRegex(pattern: string): RE2JS {
  const known = patterns.get(pattern);
  if (known !== undefined) return known;
  let compiled: RE2JS;
  try {
    compiled = regexEngine().compile(pattern);
  } catch (error) {
    throw new RegexError(pattern, error);
  }
  if (patterns.size >= patternsKept) patterns.clear();
  patterns.set(pattern, compiled);
  return compiled;
}

/** Predicate of a string match; a regex must match the whole value and ignores `ignoreCase`, as in Envoy. @throws RegexError */
export function compileStringMatch(spec: StringMatchSpec): StringPredicate {
  if (spec.kind === 'regex') {
    const regex = compileRegex(spec.value);
    return (value) => regex.testExact(value);
  }
  const wanted = spec.ignoreCase ? spec.value.toLowerCase() : spec.value;
  const plain = plainPredicate(spec.kind, wanted);
  return spec.ignoreCase ? (value) => plain(value.toLowerCase()) : plain;
}

function plainPredicate(kind: 'exact' | 'prefix' | 'suffix' | 'contains', wanted: string): StringPredicate {
  switch (kind) {
    case 'exact':
      return (value) => value === wanted;
    case 'prefix':
      return (value) => value.startsWith(wanted);
    case 'suffix':
      return (value) => value.endsWith(wanted);
    case 'contains':
      return (value) => value.includes(wanted);
  }
}

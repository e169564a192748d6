// JSON objects of tokens and key sets as protobuf reads them, stricter than JSON.parse: what two readers may take differently (a
// name twice) is no JSON.

import type { JsonObject, JsonValue } from '../wire/well-known.ts';

/** Of brackets inside each other. */
const maxDepth = 100;
/** A string, perhaps a name; a number; a bracket. */
const tokens = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d[\d.eE+-]*)|[{}[\]]/gs;

/** Undefined when it is none. */
export function parseJsonObject(text: string): JsonObject | undefined {
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject && isStrict(text) ? (value as JsonObject) : undefined;
}

/** Of text that is JSON. */
function isStrict(text: string): boolean {
  /** Names seen in what is open. */
  const open: Set<string>[] = [];
  for (const [token, quoted, colon, number] of text.matchAll(tokens)) {
    if (quoted !== undefined) {
      const string = JSON.parse(quoted) as string;
      if (/\p{Surrogate}/u.test(string)) return false;
      const names = open.at(-1);
      if (colon === undefined) continue;
      if (names?.has(string) === true) return false;
      names?.add(string);
    } else if (number !== undefined) {
      if (!Number.isFinite(Number(number))) return false;
    } else if (token === '{' || token === '[') {
      open.push(new Set());
      if (open.length > maxDepth) return false;
    } else open.pop();
  }
  return true;
}

// Most routes of a mesh say the same of retries and headers. What is equal is kept once, and so is what is compiled from it.

const kept = new Map<string, object>();
const mostKept = 1_000;

/** The first of the values equal to this one; of plain objects, which nobody changes. */
export function shared<T extends object>(value: T): T {
  const key = JSON.stringify(value);
  const first = kept.get(key);
  // What has the same text is of the same kind: its names tell.
  if (first !== undefined) return first as T;
  if (kept.size >= mostKept) kept.clear();
  kept.set(key, value);
  return value;
}

/** A function of such values that works each out once. */
export function once<T extends object, R>(compile: (value: T) => R): (value: T) => R {
  const known = new WeakMap<T, R>();
  return (value) => {
    let result = known.get(value);
    if (result === undefined) known.set(value, (result = compile(value)));
    return result;
  };
}

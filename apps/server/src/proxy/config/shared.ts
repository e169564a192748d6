// Most routes of a mesh say the same of retries and headers. What is equal is kept once.

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

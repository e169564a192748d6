// Patches as kubectl sends them: JSON merge patch (RFC 7386), and the part of the strategic one that Services need.

/** Fields by which elements of a list are the same element. */
const MERGE_KEYS: Readonly<Record<string, string>> = { ports: 'port' };

type Json = Record<string, unknown>;

/** RFC 7386. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result: Json = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

/** Strategic merge: lists with a merge key are merged by element, directives (`$patch`, `$setElementOrder`, `$retainKeys`) are honoured. */
export function strategicPatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  if (patch['$patch'] === 'replace') return without(patch);
  const result: Json = isObject(target) ? { ...target } : {};
  const retain = patch['$retainKeys'];
  if (Array.isArray(retain)) for (const key of Object.keys(result)) if (!retain.includes(key)) delete result[key];
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$')) continue;
    const mergeKey = MERGE_KEYS[key];
    if (value === null) delete result[key];
    else if (Array.isArray(value) && mergeKey !== undefined) result[key] = mergeList(asArray(result[key]), value, mergeKey, patch[`$setElementOrder/${key}`]);
    else result[key] = strategicPatch(result[key], value);
  }
  return result;
}

function mergeList(current: unknown[], patch: unknown[], key: string, order: unknown): unknown[] {
  let list = [...current];
  const idOf = (element: unknown): unknown => (isObject(element) ? element[key] : element);
  for (const element of patch) {
    const at = list.findIndex((e) => idOf(e) === idOf(element));
    if (isObject(element) && element['$patch'] === 'delete') list = list.filter((_, i) => i !== at);
    else if (at >= 0) list[at] = strategicPatch(list[at], element);
    else list.push(element);
  }
  if (!Array.isArray(order)) return list;
  const rank = (element: unknown): number => {
    const at = order.findIndex((o) => idOf(o) === idOf(element));
    return at < 0 ? order.length : at;
  };
  return list.toSorted((a, b) => rank(a) - rank(b));
}

function without(patch: Json): Json {
  return Object.fromEntries(Object.entries(patch).filter(([key]) => !key.startsWith('$')));
}

function asArray(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

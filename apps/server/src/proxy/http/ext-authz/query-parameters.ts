// Query parameters of a path, changed as Envoy changes them: as they stand, and in the order of their names.

import type { HeaderPair } from './verdict.ts';

export function withParameters(path: string, set: readonly HeaderPair[], remove: readonly string[]): string {
  const mark = path.indexOf('?');
  const query = mark < 0 ? '' : path.slice(mark + 1);
  const parameters = new Map<string, string[]>();
  for (const part of query.split('&').filter((one) => one !== '')) {
    const equals = part.indexOf('=');
    const name = equals < 0 ? part : part.slice(0, equals);
    parameters.set(name, [...(parameters.get(name) ?? []), equals < 0 ? '' : part.slice(equals + 1)]);
  }
  for (const [name, value] of set) parameters.set(name, [value]);
  for (const name of remove) parameters.delete(name);
  const changed = [...parameters].toSorted(([a], [b]) => (a < b ? -1 : 1)).flatMap(([name, values]) => values.map((value) => `${name}=${value}`));
  const bare = mark < 0 ? path : path.slice(0, mark);
  return changed.length === 0 ? bare : `${bare}?${changed.join('&')}`;
}

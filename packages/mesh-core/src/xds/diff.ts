// What differs between two snapshots.

import { TYPE_URL } from './resource.ts';
import type { ResourceSet } from './resource.ts';

/** Short type names as the console shows them: `listener`, `route`, `cluster`, `endpoint`, `secret`; another type keeps its URL. */
export function shortTypeName(typeUrl: string): string {
  return Object.entries(TYPE_URL).find(([, url]) => url === typeUrl)?.[0] ?? typeUrl;
}

/** Names added, changed or removed from `before` to `after`, by type URL; types without a difference are absent. */
export function diffResourceSets(before: ResourceSet, after: ResourceSet): Map<string, string[]> {
  const changed = new Map<string, string[]>();
  for (const typeUrl of Object.values(TYPE_URL)) {
    const old = before[typeUrl];
    const now = after[typeUrl];
    if (old === now) continue;
    const names = [...now].filter(([name, r]) => old.get(name)?.version !== r.version).map(([name]) => name);
    for (const name of old.keys()) if (!now.has(name)) names.push(name);
    if (names.length > 0) changed.set(typeUrl, names);
  }
  return changed;
}

// What differs between two snapshots.

import { TYPE_URL } from './resource.ts';
import type { ResourceSet } from './resource.ts';
import { diffViews } from './view.ts';

const SHORT = new Map<string, string>(Object.entries(TYPE_URL).map(([short, url]) => [url, short]));

/** Short type names as the console shows them: `listener`, `route`, `cluster`, `endpoint`, `secret`; another type keeps its URL. */
export function shortTypeName(typeUrl: string): string {
  return SHORT.get(typeUrl) ?? typeUrl;
}

/** Names added, changed or removed from `before` to `after`, by type URL; types without a difference are absent. */
export function diffResourceSets(before: ResourceSet, after: ResourceSet): Map<string, string[]> {
  const changed = new Map<string, string[]>();
  for (const typeUrl of Object.values(TYPE_URL)) {
    const { changed: names, removed } = diffViews(before[typeUrl], after[typeUrl]);
    if (names.length + removed.length > 0) changed.set(typeUrl, [...names, ...removed]);
  }
  return changed;
}

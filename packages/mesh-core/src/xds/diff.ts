// What differs between two snapshots.

import { TYPE_URL } from './resource.ts';
import type { ResourceSet } from './resource.ts';
import { diffViews } from './view.ts';

const SHORT = new Map<string, string>(Object.entries(TYPE_URL).map(([short, url]) => [url, short]));

/** Short type names as the console shows them: `listener`, `route`, `cluster`, `endpoint`, `secret`; another type keeps its URL. */
export function shortTypeName(typeUrl: string): string {
  return SHORT.get(typeUrl) ?? typeUrl;
}

const TYPES = Object.values(TYPE_URL);

/** Names added, changed or removed from `before` to `after`, by type URL, as far as they are `wanted`; types without a difference are absent. */
export function diffResourceSets(
  before: ResourceSet,
  after: ResourceSet,
  wanted: (typeUrl: string, name: string) => boolean = () => true,
): Map<string, string[]> {
  const differing = new Map<string, string[]>();
  for (const typeUrl of TYPES) {
    if (before[typeUrl] === after[typeUrl]) continue;
    const { changed, removed } = diffViews(before[typeUrl], after[typeUrl]);
    const names: string[] = [];
    for (const list of [changed, removed]) for (const name of list) if (wanted(typeUrl, name)) names.push(name);
    if (names.length > 0) differing.set(typeUrl, names);
  }
  return differing;
}

// What a class of proxies may be sent of one type, and what differs between two of these. Views are never changed, so
// whole maps are compared by identity, and a difference is worked out once for all streams that stand at the same one.

import type { Resource } from './resource.ts';

/** Resources of one type by name. */
export type View = ReadonlyMap<string, Resource>;

export interface ViewDiff {
  /** Names that are new or have another version. */
  changed: readonly string[];
  /** Names that are gone. */
  removed: readonly string[];
}

export const EMPTY_VIEW: View = new Map();
const NO_DIFF: ViewDiff = { changed: [], removed: [] };

/** Several maps seen as one; the first that has a name gives it. Shares what many proxies have in common. */
export class LayeredView implements ReadonlyMap<string, Resource> {
  readonly layers: readonly View[];
  readonly size: number;

  /** The last layer should be the big one. */
  constructor(layers: readonly View[]) {
    this.layers = layers.flatMap((layer) => (layer instanceof LayeredView ? layer.layers : [layer])).filter((layer) => layer.size > 0);
    let size = 0;
    for (const [i, layer] of this.layers.entries()) {
      if (i === this.layers.length - 1) size += layer.size;
      else for (const name of layer.keys()) if (!this.#below(i, name)) size += 1;
    }
    this.size = size;
  }

  get(name: string): Resource | undefined {
    // Asked of every name of every proxy that reconnects.
    const { layers } = this;
    for (let i = 0; i < layers.length; i += 1) {
      const resource = layers[i]?.get(name);
      if (resource !== undefined) return resource;
    }
    return undefined;
  }

  has(name: string): boolean {
    return this.layers.some((layer) => layer.has(name));
  }

  *entries(): MapIterator<[string, Resource]> {
    for (const [i, layer] of this.layers.entries()) for (const entry of layer) if (!this.#above(i, entry[0])) yield entry;
  }

  *keys(): MapIterator<string> {
    for (const [name] of this.entries()) yield name;
  }

  *values(): MapIterator<Resource> {
    for (const [, resource] of this.entries()) yield resource;
  }

  [Symbol.iterator](): MapIterator<[string, Resource]> {
    return this.entries();
  }

  forEach(callback: (resource: Resource, name: string, map: ReadonlyMap<string, Resource>) => void): void {
    for (const [name, resource] of this.entries()) callback(resource, name, this);
  }

  #above(layer: number, name: string): boolean {
    for (let i = 0; i < layer; i += 1) if (this.layers[i]?.has(name) === true) return true;
    return false;
  }

  #below(layer: number, name: string): boolean {
    for (let i = layer + 1; i < this.layers.length; i += 1) if (this.layers[i]?.has(name) === true) return true;
    return false;
  }
}

const diffs = new WeakMap<View, WeakMap<View, ViewDiff>>();

/** Below this a view is one proxy's own, and comparing it again costs less than remembering. */
const SMALL = 32;

/** What changed from one view to another; of big views worked out once per pair. */
export function diffViews(from: View, to: View): ViewDiff {
  if (from === to) return NO_DIFF;
  if (from instanceof Map && to instanceof Map && from.size < SMALL && to.size < SMALL) return plainDiff(from, to);
  let known = diffs.get(from);
  if (known === undefined) diffs.set(from, (known = new WeakMap()));
  let diff = known.get(to);
  if (diff === undefined) known.set(to, (diff = from instanceof LayeredView || to instanceof LayeredView ? layeredDiff(from, to) : plainDiff(from, to)));
  return diff;
}

function plainDiff(from: View, to: View): ViewDiff {
  const changed: string[] = [];
  const removed: string[] = [];
  for (const { name, version } of to.values()) if (from.get(name)?.version !== version) changed.push(name);
  for (const name of from.keys()) if (!to.has(name)) removed.push(name);
  return { changed, removed };
}

/** Layers both sides share cannot differ; of the others only the names that differ, or are in a small layer, are looked at. */
function layeredDiff(from: View, to: View): ViewDiff {
  const layersOf = (view: View): readonly View[] => (view instanceof LayeredView ? view.layers : [view]);
  const [before, after] = [layersOf(from), layersOf(to)];
  const left = before.filter((layer) => !after.includes(layer));
  const right = after.filter((layer) => !before.includes(layer));
  const base = diffViews(left.at(-1) ?? EMPTY_VIEW, right.at(-1) ?? EMPTY_VIEW);
  const candidates = new Set([...base.changed, ...base.removed]);
  for (const layer of [...left.slice(0, -1), ...right.slice(0, -1)]) for (const name of layer.keys()) candidates.add(name);
  const changed: string[] = [];
  const removed: string[] = [];
  for (const name of candidates) {
    const now = to.get(name);
    const old = from.get(name);
    if (now === undefined) {
      if (old !== undefined) removed.push(name);
    } else if (old?.version !== now.version) changed.push(name);
  }
  return { changed, removed };
}

const nameSets = new WeakMap<View, ReadonlySet<string>>();

/** The names of a view as a set that all streams share. */
export function namesOf(view: View): ReadonlySet<string> {
  let names = nameSets.get(view);
  if (names === undefined) nameSets.set(view, (names = new Set(view.keys())));
  return names;
}

/** Two 32-bit sums over the resources: sums do not depend on the order, and those of layers can be added. */
type Sums = readonly [number, number];
const viewSums = new WeakMap<View, Sums>();

/** A short hash of these resources: equal content has an equal version, whichever replica sent it. */
export function versionOf(resources: Iterable<Resource>): string {
  return print(sumsOf(resources));
}

/** {@link versionOf} of a whole view, worked out once. */
export function versionOfView(view: View): string {
  return print(sumsOfView(view));
}

function sumsOfView(view: View): Sums {
  let sums = viewSums.get(view);
  if (sums === undefined) {
    sums = view instanceof LayeredView ? view.layers.map(sumsOfView).reduce(add, [0, 0]) : sumsOf(view.values());
    viewSums.set(view, sums);
  }
  return sums;
}

function sumsOf(resources: Iterable<Resource>): Sums {
  let [a, b] = [0, 0];
  for (const { name, version } of resources) {
    let c = 0x811c9dc5;
    let d = 0x9e3779b9;
    for (const text of [name, version]) {
      for (let i = 0; i < text.length; i += 1) {
        const unit = text.charCodeAt(i);
        c = Math.imul(c ^ unit, 0x01000193);
        d = Math.imul(d ^ unit, 0x85ebca6b);
      }
      // So that what ends one text does not begin the next.
      c ^= 0xffff;
    }
    // Mixed once more, else the sums of like names would be alike.
    a += Math.imul(c ^ (c >>> 15), 0x2c1b3c6d) >>> 0;
    b += Math.imul(d ^ (d >>> 13), 0x297a2d39) >>> 0;
  }
  return [a >>> 0, b >>> 0];
}

function add(a: Sums, b: Sums): Sums {
  return [(a[0] + b[0]) >>> 0, (a[1] + b[1]) >>> 0];
}

function print([a, b]: Sums): string {
  return a.toString(16).padStart(8, '0') + b.toString(16).padStart(8, '0');
}

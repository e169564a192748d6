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

/** A view that is no Map. */
abstract class OtherView implements ReadonlyMap<string, Resource> {
  abstract readonly size: number;
  abstract get(name: string): Resource | undefined;
  abstract values(): MapIterator<Resource>;

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  *entries(): MapIterator<[string, Resource]> {
    for (const resource of this.values()) yield [resource.name, resource];
  }

  *keys(): MapIterator<string> {
    for (const { name } of this.values()) yield name;
  }

  [Symbol.iterator](): MapIterator<[string, Resource]> {
    return this.entries();
  }

  forEach(callback: (resource: Resource, name: string, map: ReadonlyMap<string, Resource>) => void): void {
    for (const resource of this.values()) callback(resource, resource.name, this);
  }
}

/**
 * A list seen as a map. What a proxy has for itself differs from edit to edit in a resource or two: where the names are those
 * of the view before, that one's places are taken over, and what is known of it too.
 */
export class ListView extends OtherView {
  readonly resources: readonly Resource[];
  readonly places: ReadonlyMap<string, number>;
  sums: Sums | undefined;

  /** Of those with one name the last counts. */
  constructor(resources: readonly Resource[], before?: View) {
    super();
    if (before instanceof ListView && haveSameNames(before.resources, resources)) {
      this.resources = resources;
      this.places = before.places;
      if (before.sums !== undefined) this.sums = exchanged(before.sums, before.resources, resources);
      return;
    }
    const places = new Map(resources.map(({ name }, i) => [name, i]));
    this.resources = places.size === resources.length ? resources : [...places.values()].flatMap((i) => resources[i] ?? []);
    this.places = places.size === resources.length ? places : new Map(this.resources.map(({ name }, i) => [name, i]));
  }

  get size(): number {
    return this.resources.length;
  }

  get(name: string): Resource | undefined {
    const place = this.places.get(name);
    return place === undefined ? undefined : this.resources[place];
  }

  values(): MapIterator<Resource> {
    return this.resources.values();
  }
}

function haveSameNames(old: readonly Resource[], now: readonly Resource[]): boolean {
  if (old.length !== now.length) return false;
  for (let i = 0; i < now.length; i += 1) if (old[i]?.name !== now[i]?.name) return false;
  return true;
}

/** Several maps seen as one; the first that has a name gives it. Shares what many proxies have in common. */
export class LayeredView extends OtherView {
  readonly layers: readonly View[];
  readonly size: number;

  /** The last layer should be the big one. */
  constructor(layers: readonly View[]) {
    super();
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

  *values(): MapIterator<Resource> {
    for (const [i, layer] of this.layers.entries()) for (const resource of layer.values()) if (!this.#above(i, resource.name)) yield resource;
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

/** But for the last: it is asked for three times in a row. */
let latest: { from: View; to: View; diff: ViewDiff } = { from: EMPTY_VIEW, to: EMPTY_VIEW, diff: NO_DIFF };

/** What changed from one view to another; of big views worked out once per pair. */
export function diffViews(from: View, to: View): ViewDiff {
  if (from === to) return NO_DIFF;
  // One with layers is one proxy's own too, and its first difference from none has all names there are: of its big layer it is remembered.
  const layered = from instanceof LayeredView || to instanceof LayeredView;
  if (layered || (from.size < SMALL && to.size < SMALL)) {
    if (latest.from !== from || latest.to !== to) latest = { from, to, diff: layered ? layeredDiff(from, to) : plainDiff(from, to) };
    return latest.diff;
  }
  let known = diffs.get(from);
  if (known === undefined) diffs.set(from, (known = new WeakMap()));
  let diff = known.get(to);
  if (diff === undefined) known.set(to, (diff = plainDiff(from, to)));
  return diff;
}

function plainDiff(from: View, to: View): ViewDiff {
  const changed: string[] = [];
  const removed: string[] = [];
  if (from instanceof ListView && to instanceof ListView && from.places === to.places) {
    const [old, now] = [from.resources, to.resources];
    // Compared for every proxy with every edit.
    for (let i = 0; i < now.length; i += 1) {
      const resource = now[i];
      if (resource !== undefined && old[i]?.version !== resource.version) changed.push(resource.name);
    }
    return { changed, removed };
  }
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
  if (view instanceof ListView) return (view.sums ??= sumsOf(view.resources));
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

/** Of `now`, when those of `old` are `sums`. */
function exchanged(sums: Sums, old: readonly Resource[], now: readonly Resource[]): Sums {
  let [a, b] = sums;
  for (let i = 0; i < now.length; i += 1) {
    const [lost, gained] = [old[i], now[i]];
    if (lost === undefined || gained === undefined || lost.version === gained.version) continue;
    const [minus, plus] = [sumsOf([lost]), sumsOf([gained])];
    a = (a - minus[0] + plus[0]) >>> 0;
    b = (b - minus[1] + plus[1]) >>> 0;
  }
  return [a, b];
}

function add(a: Sums, b: Sums): Sums {
  return [(a[0] + b[0]) >>> 0, (a[1] + b[1]) >>> 0];
}

function print([a, b]: Sums): string {
  return a.toString(16).padStart(8, '0') + b.toString(16).padStart(8, '0');
}

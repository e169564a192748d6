// Remembers what was worked out from a mesh until something it was worked out from changes, so that an edit costs what it
// touches and not what there is. What a result reads is noticed while it is made; nobody has to list it.

import { isSameList } from '../model/index.ts';

/** One thing a result was made from: how to look it up in a later mesh, and what it was. Results of one mesh share it. */
interface Fact<M> {
  key: string;
  read: (mesh: M) => unknown;
  value: unknown;
  /** Bits of the sources it was read from in the mesh it was last found the same in, and the sources of that mesh. */
  sources: number;
  seen: Sources;
}

/** A result. Who asks for it again and again may hold on to it and ask whether it is {@link still} so. */
export interface Entry<M, T = unknown> {
  key: string;
  value: T;
  facts: readonly Fact<M>[];
  /** Bits of the sources that it and its facts were read from. */
  sources: number;
  /** Sources of the mesh for which it was last found to hold. */
  seen: Sources;
  /** Of the memo when it was last asked for: what is not asked for is forgotten. */
  rotation: number;
}

/** By the number of a source what its content is numbered; in the meshes of a memo equal numbers are equal contents. */
export type Sources = readonly (number | undefined)[];

/** What was looked up in a mesh, and the bits of the sources it came from. */
interface Looked {
  value: unknown;
  sources: number;
}

/** A look-up under way: the facts read so far, where they count, and the bits of the sources. */
interface Reading<M> {
  facts: Map<string, Fact<M>> | undefined;
  sources: number;
}

/** What {@link once} and its like need of a mesh. */
export interface Remembering {
  readonly memo: Memo<this>;
  /** Look-ups of this mesh. */
  readonly facts: Map<string, Looked>;
  /** What everything is read from in the end, see {@link source}: results are not even compared where none of theirs has changed. */
  readonly sources: Sources;
}

/** Meshes until what none of them used is forgotten (twice as many at most): proxies that reconnect find their results again. */
const ROTATE_AFTER = 200;

const NO_FACTS: readonly never[] = [];

/** Shared by a mesh and those that follow it. Also keeps apart meshes that are only tried: facts tell which results hold in which. */
export class Memo<M> {
  #entries = new Map<string, Entry<M>>();
  #older = new Map<string, Entry<M>>();
  #latest: Remembering['facts'] | undefined;
  #meshes = 0;
  rotation = 0;
  #contents = 0;
  readonly #sources = new Map<string, number>();
  #compared: { from: Sources; to: Sources; changed: number } = { from: [], to: [], changed: 0 };
  /** Look-ups under way, innermost last. */
  readonly reading: Reading<M>[] = [];
  /** Noted since the last mesh began. */
  readonly noted = new Map<string, Fact<M>>();
  /** Properties of the subject that {@link onceFor} saw read, by key; only ever more. */
  readonly reads = new Map<string, Set<string>>();

  /** A new mesh, with its look-ups. `same` tells sources whose content is that of `previous`, the mesh it follows. */
  begin(facts: Remembering['facts'], names: Iterable<string>, previous: Sources, same: (name: string) => boolean): Sources {
    this.#meshes += 1;
    this.noted.clear();
    // Results may keep the mesh they were made from alive; a mesh that is asked again looks again.
    this.#latest?.clear();
    this.#latest = facts;
    if (this.#meshes % ROTATE_AFTER === 0) {
      this.#older = this.#entries;
      this.#entries = new Map();
      this.rotation += 1;
    }
    const sources: (number | undefined)[] = [];
    for (const name of names) {
      const source = this.numberOf(name);
      sources[source] = same(name) ? previous[source] : (this.#contents += 1);
    }
    return sources;
  }

  numberOf(source: string): number {
    const number = this.#sources.get(source) ?? this.#sources.size;
    this.#sources.set(source, number);
    return number;
  }

  /** Bits of the sources that differ. */
  changed(from: Sources, to: Sources): number {
    if (from === to) return 0;
    if (this.#compared.from !== from || this.#compared.to !== to) {
      let changed = 0;
      for (const number of this.#sources.values()) if (from[number] !== to[number]) changed |= bitOf(number);
      this.#compared = { from, to, changed };
    }
    return this.#compared.changed;
  }

  /** The look-up under way has read from these. */
  touch(sources: number): void {
    const reading = this.reading.at(-1);
    if (reading !== undefined) reading.sources |= sources;
  }

  get(key: string): Entry<M> | undefined {
    const entry = this.#entries.get(key) ?? this.#older.get(key);
    if (entry !== undefined) this.keep(entry);
    return entry;
  }

  /** Not to be forgotten, nor what it was made of, which is not looked at as long as it holds. */
  keep(entry: Entry<M>): void {
    if (entry.rotation >= this.rotation) return;
    entry.rotation = this.rotation;
    if (!this.#entries.has(entry.key)) this.#entries.set(entry.key, entry);
    for (const { key } of entry.facts) if (key.startsWith('=')) this.get(key.slice(1));
  }

  set(entry: Entry<M>): void {
    this.#entries.set(entry.key, entry);
  }

  /** A value whose key says all it depends on, or that its user compares himself. */
  recall<T>(key: string): T | undefined {
    return this.get(key)?.value as T | undefined;
  }

  remember(key: string, value: unknown): void {
    this.set({ ...constant<M, unknown>(value), key, rotation: this.rotation });
  }

  get size(): number {
    return this.#entries.size;
  }
}

/** A result that always holds, for who holds on to it. */
export function constant<M, T>(value: T): Entry<M, T> {
  return { key: '', value, facts: NO_FACTS, sources: 0, seen: NO_FACTS, rotation: Number.POSITIVE_INFINITY };
}

/** Several may share a bit. */
const bitOf = (source: number): number => 1 << (source % 31);

const STALE = Symbol('stale');

/** `make()` once per key and as long as everything it read through the mesh is the same. The key names what else it depends on. */
export function once<M extends Remembering, T>(mesh: M, key: string, make: () => T): T {
  return onceEntry(mesh, key, make).value;
}

/** {@link once} for who holds on to the result. */
export function onceEntry<M extends Remembering, T>(mesh: M, key: string, make: () => T): Entry<M, T> {
  const entry = (holding(mesh, key) as Entry<M, T> | undefined) ?? made(mesh, key, make);
  noteEntry(mesh, entry);
  return entry;
}

/**
 * Like {@link once}, for a `make` that reads everything through its parameter: it is made again in a later mesh before what
 * depends on it is, and when it is the old one nothing else is made again: `same` gives the old value where the new equals it.
 */
export function derived<M extends Remembering, T>(mesh: M, key: string, make: (mesh: M) => T, same: (old: T, now: T) => T = (_, now) => now): T {
  let entry = holding(mesh, key);
  if (entry === undefined) {
    const old = (mesh.memo as Memo<M>).get(key);
    entry = made(mesh, key, () => (old === undefined ? make(mesh) : same(old.value as T, make(mesh))));
  }
  if (isRead(mesh)) note(mesh, `=${key}`, derivedAgain(key, make, same), entry);
  return entry.value as T;
}

/** Not written where it is used: results live long, and it would keep the mesh they were made from alive. */
function derivedAgain<M extends Remembering, T>(key: string, make: (mesh: M) => T, same: (old: T, now: T) => T): (later: M) => T {
  return (later) => derived(later, key, make, same);
}

/** A look-up whose answer, not its way there, is what a result depends on. `read` reads everything through its parameter. */
export function fact<M extends Remembering, T>(mesh: M, key: string, read: (mesh: M) => T): T {
  const looked = look(mesh, key, read);
  note(mesh, key, read, looked);
  return looked.value as T;
}

/** A fact that is read from nothing else. Its content changes with the number the mesh has for it, and only then. */
export function source<M extends Remembering, T>(mesh: M, name: string, read: (mesh: M) => T): T {
  return fact(mesh, `source|${name}`, (m) => {
    m.memo.touch(bitOf(m.memo.numberOf(name)));
    return read(m);
  });
}

/**
 * {@link once} for what depends on some properties of `subject`: `make` gets it and the properties it reads are noticed, so
 * that all subjects that agree in these share one result. Properties are compared as JSON.
 */
export function onceFor<M extends Remembering, S extends object, T>(mesh: M, key: string, subject: S, make: (subject: S) => T): T {
  return onceEntryFor(mesh, key, subject, make).value;
}

/** {@link onceFor} for who holds on to the result. */
export function onceEntryFor<M extends Remembering, S extends object, T>(mesh: M, key: string, subject: S, make: (subject: S) => T): Entry<M, T> {
  const memo = mesh.memo as Memo<M>;
  let names = memo.reads.get(key);
  if (names === undefined) memo.reads.set(key, (names = new Set()));
  let entry = holding(mesh, keyFor(key, names, subject)) as Entry<M, T> | undefined;
  if (entry === undefined) {
    const read = names;
    const watched = new Proxy(subject, {
      get: (target, property) => {
        if (typeof property === 'string') read.add(property);
        return target[property as keyof S];
      },
    });
    // Kept under what was read in the end: under less it would be given to subjects that differ.
    entry = made(
      mesh,
      () => keyFor(key, read, subject),
      () => make(watched),
    );
  }
  noteEntry(mesh, entry);
  return entry;
}

/** By subject, which does not change, and key; made of the first `count` of `names`. */
const keys = new WeakMap<object, Map<string, { names: ReadonlySet<string>; count: number; full: string }>>();

function keyFor<S extends object>(key: string, names: ReadonlySet<string>, subject: S): string {
  let known = keys.get(subject);
  if (known === undefined) keys.set(subject, (known = new Map()));
  const before = known.get(key);
  if (before?.names === names && before.count === names.size) return before.full;
  let full = key;
  for (const name of names) {
    const value = subject[name as keyof S];
    full += typeof value === 'string' ? `|${name}=${value}` : `|${name}:${JSON.stringify(value)}`;
  }
  known.set(key, { names, count: names.size, full });
  return full;
}

function made<M extends Remembering, T>(mesh: M, key: string | (() => string), make: () => T): Entry<M, T> {
  const memo = mesh.memo as Memo<M>;
  const facts = new Map<string, Fact<M>>();
  const reading: Reading<M> = { facts, sources: 0 };
  const value = under(mesh, reading, make);
  const entry: Entry<M, T> = {
    key: typeof key === 'string' ? key : key(),
    value,
    facts: [...facts.values()],
    sources: reading.sources,
    seen: mesh.sources,
    rotation: memo.rotation,
  };
  memo.set(entry);
  return entry;
}

function holding<M extends Remembering>(mesh: M, key: string): Entry<M> | undefined {
  const entry = (mesh.memo as Memo<M>).get(key);
  return entry !== undefined && isSame(mesh, entry) ? entry : undefined;
}

/** A result that was held on to, when it is that of this mesh: as if it had been asked for by its key, but not looked for. */
export function still<M extends Remembering, T>(mesh: M, entry: Entry<M, T> | undefined): Entry<M, T> | undefined {
  if (entry === undefined || !isSame(mesh, entry)) return undefined;
  (mesh.memo as Memo<M>).keep(entry);
  noteEntry(mesh, entry);
  return entry;
}

/** Whether all that the entry was made from is the same in this mesh. */
function isSame<M extends Remembering>(mesh: M, entry: Entry<M>): boolean {
  const { memo, sources } = mesh;
  if (entry.seen !== sources) {
    if (entry.sources !== 0 && (memo.changed(entry.seen, sources) & entry.sources) !== 0) {
      // What a fact is read from may be other sources than before.
      let from = 0;
      for (const known of entry.facts) {
        if (!isSameFact(mesh, known)) return false;
        from |= known.sources;
      }
      entry.sources = from;
    }
    entry.seen = sources;
  }
  memo.touch(entry.sources);
  return true;
}

/** A fact is shared by many results, and looked up for the first of them. */
function isSameFact<M extends Remembering>(mesh: M, known: Fact<M>): boolean {
  const { memo, sources } = mesh;
  if ((memo.changed(known.seen, sources) & known.sources) !== 0) {
    const now = look(mesh, known.key, known.read);
    if (now.value !== known.value) return false;
    known.sources = now.sources;
  }
  known.seen = sources;
  return true;
}

/** What is read on the way, or only to compare, is not read by the result under way. */
function look<M extends Remembering>(mesh: M, key: string, read: (mesh: M) => unknown): Looked {
  const { facts, memo } = mesh;
  let looked = facts.get(key);
  if (looked === undefined) {
    const reading: Reading<M> = { facts: undefined, sources: 0 };
    const value = under(mesh, reading, read);
    facts.set(key, (looked = { value, sources: reading.sources }));
  } else memo.touch(looked.sources);
  return looked;
}

/** What `work` reads from, so does who asked for it. */
function under<M extends Remembering, T>(mesh: M, reading: Reading<M>, work: (mesh: M) => T): T {
  const memo = mesh.memo as Memo<M>;
  memo.reading.push(reading);
  try {
    return work(mesh);
  } finally {
    memo.reading.pop();
    memo.touch(reading.sources);
  }
}

/** A result of its own key was read: it is the same as long as it holds. */
function noteEntry<M extends Remembering>(mesh: M, entry: Entry<M>): void {
  if (isRead(mesh)) note(mesh, `=${entry.key}`, heldAgain(entry.key), entry);
}

/** Not written where it is used, which is asked by every proxy: what a function there may refer to is made before it is known whether. */
function heldAgain<M extends Remembering>(key: string): (later: M) => unknown {
  return (later) => (holding(later, key) ?? { value: STALE }).value;
}

/** Whether a result under way depends on what is looked up now. */
function isRead({ memo }: Remembering): boolean {
  return memo.reading.at(-1)?.facts !== undefined;
}

function note<M extends Remembering>(mesh: M, key: string, read: (mesh: M) => unknown, { value, sources }: Looked): void {
  const { reading, noted } = mesh.memo as Memo<M>;
  const facts = reading.at(-1)?.facts;
  if (facts === undefined) return;
  let known = noted.get(key);
  if (known === undefined || known.value !== value) noted.set(key, (known = { key, read, value, sources, seen: mesh.sources }));
  facts.set(key, known);
}

/** Elements that are equal in content keep their identity; when all do, so does the list. */
export function sameElements<T>(old: readonly T[], now: readonly T[]): readonly T[] {
  return sameList(
    old,
    now.map((value, i) => sameContent(old[i], value)),
  );
}

/** The old list where both have the same elements. */
export function sameList<T>(old: readonly T[], now: readonly T[]): readonly T[] {
  return isSameList(old, now) ? old : now;
}

/** Entries that are equal in content keep their identity; when all do, so does the map. `same`: of two that are equal the first. */
export function sameEntries<T>(old: ReadonlyMap<string, T>, now: ReadonlyMap<string, T>, same: (old: T, now: T) => T = sameContent): ReadonlyMap<string, T> {
  const kept = new Map<string, T>();
  for (const [key, value] of now) {
    const before = old.get(key);
    kept.set(key, before === undefined ? value : same(before, value));
  }
  const names = [...old.keys()];
  return kept.size === old.size && [...kept].every(([key, value], i) => key === names[i] && old.get(key) === value) ? old : kept;
}

/** The old value when both have the same JSON. */
export function sameContent<T>(old: T | undefined, now: T): T {
  return old === now || (old !== undefined && JSON.stringify(old) === JSON.stringify(now)) ? (old as T) : now;
}

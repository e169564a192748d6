// Remembers what was worked out from a mesh until something it was worked out from changes, so that an edit costs what it
// touches and not what there is. What a result reads is noticed while it is made; nobody has to list it.

/** One thing a result was made from: how to look it up in a later mesh, and what it was. */
interface Fact<M> {
  read: (mesh: M) => unknown;
  value: unknown;
}

interface Entry<M> {
  value: unknown;
  facts: ReadonlyMap<string, Fact<M>>;
}

interface Remembering {
  memo: Memo<this>;
}

/** What is known of one mesh; entries of the mesh before are taken over when they still hold, older ones are forgotten. */
export class Memo<M> {
  readonly entries = new Map<string, Entry<M>>();
  readonly facts = new Map<string, unknown>();
  /** Facts read so far by the results under way, innermost last. */
  readonly reading: Map<string, Fact<M>>[] = [];
  readonly previous: ReadonlyMap<string, Entry<M>>;
  /** Properties of the subject that {@link onceFor} saw read, by key; only ever more. */
  readonly reads: Map<string, Set<string>>;

  constructor(before?: Memo<M>) {
    this.previous = before?.entries ?? new Map();
    this.reads = before?.reads ?? new Map();
  }
}

const STALE = Symbol('stale');

/** `make()` once per key and as long as everything it read through the mesh is the same. The key names what else it depends on. */
export function once<M extends Remembering, T>(mesh: M, key: string, make: () => T): T {
  const entry = holding(mesh, key) ?? enter(mesh, key, make);
  note(mesh, `=${key}`, (later) => (holding(later, key) ?? { value: STALE }).value, entry.value);
  return entry.value as T;
}

/**
 * Like {@link once}, for a `make` that reads everything through its parameter: it is made again in a later mesh before what
 * depends on it is, and when `same` finds the new value equal to the old, the old stays and nothing else is made again.
 */
export function derived<M extends Remembering, T>(mesh: M, key: string, make: (mesh: M) => T, same: (old: T, now: T) => T = (_, now) => now): T {
  let entry = holding(mesh, key);
  if (entry === undefined) {
    const old = mesh.memo.previous.get(key);
    entry = enter(mesh, key, () => (old === undefined ? make(mesh) : same(old.value as T, make(mesh))));
  }
  note(mesh, `=${key}`, (later) => derived(later, key, make, same), entry.value);
  return entry.value as T;
}

/** A look-up whose answer, not its way there, is what a result depends on. `read` reads everything through its parameter. */
export function fact<M extends Remembering, T>(mesh: M, key: string, read: (mesh: M) => T): T {
  const { facts, reading } = mesh.memo;
  if (!facts.has(key)) {
    reading.push(new Map());
    try {
      facts.set(key, read(mesh));
    } finally {
      reading.pop();
    }
  }
  const value = facts.get(key) as T;
  note(mesh, key, read, value);
  return value;
}

/** Elements that are equal in content keep their identity; when all do, so does the list. */
export function sameElements<T>(old: readonly T[], now: readonly T[]): readonly T[] {
  const kept = now.map((value, i) => sameContent(old[i], value));
  return kept.length === old.length && kept.every((value, i) => value === old[i]) ? old : kept;
}

/** Entries that are equal in content keep their identity; when all do, so does the map. */
export function sameEntries<T>(old: ReadonlyMap<string, T>, now: ReadonlyMap<string, T>): ReadonlyMap<string, T> {
  const kept = new Map([...now].map(([key, value]) => [key, sameContent(old.get(key), value)]));
  const names = [...old.keys()];
  return kept.size === old.size && [...kept].every(([key, value], i) => key === names[i] && old.get(key) === value) ? old : kept;
}

/** The old value when both have the same JSON. */
export function sameContent<T>(old: T | undefined, now: T): T {
  return old === now || (old !== undefined && JSON.stringify(old) === JSON.stringify(now)) ? (old as T) : now;
}

function enter<M extends Remembering>(mesh: M, key: string, make: () => unknown): Entry<M> {
  const facts = new Map<string, Fact<M>>();
  const { reading, entries } = mesh.memo as Memo<M>;
  reading.push(facts);
  try {
    const entry = { value: make(), facts };
    entries.set(key, entry);
    return entry;
  } finally {
    reading.pop();
  }
}

/** The entry of this mesh, or the one of the mesh before when it still holds. */
function holding<M extends Remembering>(mesh: M, key: string): Entry<M> | undefined {
  const memo = mesh.memo as Memo<M>;
  const known = memo.entries.get(key);
  if (known !== undefined) return known;
  const old = memo.previous.get(key);
  if (old === undefined) return undefined;
  // What is read only to compare is not read by the result under way.
  memo.reading.push(new Map());
  try {
    for (const [name, { read, value }] of old.facts) if (fact(mesh, name, read) !== value) return undefined;
  } finally {
    memo.reading.pop();
  }
  memo.entries.set(key, old);
  return old;
}

function note<M extends Remembering>(mesh: M, key: string, read: (mesh: M) => unknown, value: unknown): void {
  (mesh.memo as Memo<M>).reading.at(-1)?.set(key, { read, value });
}

/**
 * {@link once} for what depends on some properties of `subject`: `make` gets it and the properties it reads are noticed, so
 * that all subjects that agree in these share one result. Properties are compared as JSON.
 */
export function onceFor<M extends Remembering, S extends object, T>(mesh: M, key: string, subject: S, make: (subject: S) => T): T {
  const { reads } = mesh.memo as Memo<M>;
  let names = reads.get(key);
  if (names === undefined) reads.set(key, (names = new Set()));
  const keyOf = (properties: Iterable<string>): string => JSON.stringify([key, ...[...properties].map((p) => [p, subject[p as keyof S]])]);
  const known = keyOf(names);
  if (mesh.memo.entries.has(known) || mesh.memo.previous.has(known)) {
    const entry = holding(mesh, known);
    if (entry !== undefined) return once(mesh, known, () => entry.value as T);
  }
  const watched = new Proxy(subject, {
    get: (target, property) => {
      if (typeof property === 'string') names.add(property);
      return target[property as keyof S];
    },
  });
  const value = enter(mesh, known, () => make(watched)).value as T;
  const now = keyOf(names);
  // It read more than was known: what is kept under the narrower key would be given to subjects that differ.
  if (now !== known) {
    const entry = mesh.memo.entries.get(known);
    mesh.memo.entries.delete(known);
    if (entry !== undefined) mesh.memo.entries.set(now, entry);
  }
  return once(mesh, now, () => value);
}

// Attributes of spans, stored once per distinct set. Keys with many values (request ids) are kept out of the sets, so that
// a few hundred sets describe thousands of spans.

import type { Span } from '@weft/mesh-core/api';

type Attributes = Span['attributes'];
type Value = Attributes[string];

/** A key with more distinct values than this goes beside the set. */
const SET_VALUES = 64;
const PAIR_BYTES = 160;
const SET_BYTES = 120;

export class AttributeTable {
  readonly #pairIds = new Map<string, number>();
  readonly #keys: string[] = [];
  readonly #values: Value[] = [];
  readonly #distinct = new Map<string, number>();
  readonly #setIds = new Map<string, number>();
  readonly #sets: Uint32Array[] = [];
  /** Rough size, bytes. */
  bytes = 0;

  /** Answers the id of the set, and the pairs that are too varied for one. */
  intern(attributes: Attributes): { set: number; extra: number[] } {
    const common: number[] = [];
    const extra: number[] = [];
    for (const [key, value] of Object.entries(attributes)) {
      const pair = this.#pair(key, value);
      ((this.#distinct.get(key) ?? 0) > SET_VALUES ? extra : common).push(pair);
    }
    const name = common.join();
    let set = this.#setIds.get(name);
    if (set === undefined) {
      set = this.#sets.length;
      this.#setIds.set(name, set);
      this.#sets.push(Uint32Array.from(common));
      this.bytes += SET_BYTES + name.length + common.length * 4;
    }
    return { set, extra };
  }

  #pair(key: string, value: Value): number {
    const name = `${key}=${typeof value}:${value}`;
    const known = this.#pairIds.get(name);
    if (known !== undefined) return known;
    const pair = this.#keys.length;
    this.#pairIds.set(name, pair);
    this.#keys.push(key);
    this.#values.push(value);
    this.#distinct.set(key, (this.#distinct.get(key) ?? 0) + 1);
    this.bytes += PAIR_BYTES + name.length * 2;
    return pair;
  }

  /** The attributes again. */
  read(set: number, extra: Iterable<number>): Attributes {
    const attributes: Attributes = {};
    for (const pair of [...(this.#sets[set] ?? []), ...extra]) {
      const key = this.#keys[pair];
      const value = this.#values[pair];
      if (key !== undefined && value !== undefined) attributes[key] = value;
    }
    return attributes;
  }

  /** Pairs a `key=value` of a search means, whatever the value's type. */
  pairsOf(key: string, value: string): number[] {
    return ['string', 'number', 'boolean'].map((type) => this.#pairIds.get(`${key}=${type}:${value}`)).filter((pair) => pair !== undefined);
  }

  /** One flag per set: does it have one of the pairs? */
  setsWith(pairs: readonly number[]): Uint8Array {
    return Uint8Array.from(this.#sets, (set) => (pairs.some((pair) => set.includes(pair)) ? 1 : 0));
  }
}

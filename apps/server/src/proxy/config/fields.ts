// Reads one JSON form of a protobuf message field by field; what is left unread is something this proxy would have ignored,
// and ignoring is refused: it becomes a problem with its path, and the whole update a NACK.

import type { JsonObject, JsonValue } from '@weft/mesh-core/wire';

const nothing: readonly never[] = [];

export class Fields {
  readonly path: string;
  readonly problems: string[];
  readonly #json: JsonObject;
  readonly #read = new Set<string>();

  constructor(json: JsonObject, path: string, problems: string[]) {
    this.#json = json;
    this.path = path;
    this.problems = problems;
  }

  #take(key: string): JsonValue | undefined {
    this.#read.add(key);
    return this.#json[key];
  }

  has(key: string): boolean {
    return this.#json[key] !== undefined;
  }

  /** Keys of a map; its values are read by `object` and count as read by this. */
  keys(): string[] {
    return Object.keys(this.#json).filter((key) => key !== '@type');
  }

  problem(key: string, message: string): void {
    this.problems.push(`${this.path}.${key}: ${message}`);
  }

  text(key: string, fallback = ''): string {
    const value = this.#take(key);
    return typeof value === 'string' ? value : fallback;
  }

  /** A text as it stands in a message: its UTF-8, as latin1. */
  octets(key: string, fallback = ''): string {
    return Buffer.from(this.text(key, fallback)).toString('latin1');
  }

  /** Also 64-bit numbers, which JSON carries as text. */
  number(key: string, fallback = 0): number {
    const value = this.#take(key);
    return typeof value === 'number' ? value : typeof value === 'string' ? Number(value) : fallback;
  }

  flag(key: string, fallback = false): boolean {
    const value = this.#take(key);
    return typeof value === 'boolean' ? value : fallback;
  }

  /** Milliseconds of a duration. */
  ms(key: string, fallback = 0): number {
    const value = this.#take(key);
    return typeof value === 'string' ? Number.parseFloat(value) * 1_000 : fallback;
  }

  object(key: string): Fields | undefined {
    const value = this.#take(key);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? new Fields(value, `${this.path}.${key}`, this.problems) : undefined;
  }

  raw(key: string): JsonObject {
    const value = this.#take(key);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {};
  }

  list(key: string): Fields[] {
    const value = this.#take(key);
    return Array.isArray(value)
      ? value.map(
          (item, i) => new Fields(typeof item === 'object' && item !== null && !Array.isArray(item) ? item : {}, `${this.path}.${key}[${i}]`, this.problems),
        )
      : [];
  }

  /** What the messages of a list say; one array for all that say nothing. */
  each<T>(key: string, decode: (fields: Fields) => T): readonly T[] {
    const list = this.list(key);
    return list.length === 0 ? nothing : list.map(decode);
  }

  texts(key: string): string[] {
    const value = this.#take(key);
    return Array.isArray(value) ? value.map(String) : [];
  }

  /** Fields that change nothing this proxy does. */
  ignore(...keys: string[]): void {
    for (const key of keys) this.#read.add(key);
  }

  /** Type name of an Any. */
  type(): string {
    return this.text('@type').split('/').at(-1) ?? '';
  }

  /** Reports what was not read. */
  end(): void {
    for (const key of Object.keys(this.#json)) if (!this.#read.has(key)) this.problem(key, 'this proxy cannot do it');
  }
}

// HPACK tables (RFC 7541 §2.3). An entry knows how it looks as an HTTP/1 line and whether its field may be passed on at all, so
// that this is found out once per entry and not once per request.

import { nameByte, valueByte } from '../codec-h1/chars.ts';
import { Field, fieldKind } from '../codec-h1/field-kinds.ts';

export class HeaderEntry {
  readonly name: string;
  readonly value: string;
  /** `name: value\r\n` */
  readonly line: string;
  /** `Field.*` */
  readonly kind: number;
  /** Allowed in a message (RFC 9113 §8.2.1); pseudo-header fields too. */
  readonly valid: boolean;

  constructor(name: string, value: string, kind: number, validName: boolean) {
    this.name = name;
    // White space around a value means nothing, and HTTP/1 has no way to say it.
    const first = value.charCodeAt(0);
    const last = value.charCodeAt(value.length - 1);
    this.value = first === 0x20 || first === 0x09 || last === 0x20 || last === 0x09 ? value.trim() : value;
    this.line = `${name}: ${this.value}\r\n`;
    this.kind = kind;
    // Of a pseudo-header field it is part of the value, and none of them may have it.
    this.valid = validName && isValue(value) && (this.value === value || name.charCodeAt(0) !== 0x3a);
  }

  /** What it counts in tables and lists. */
  get size(): number {
    return this.name.length + this.value.length + 32;
  }
}

/** The entry of a field with a new name. */
export function makeEntry(name: string, value: string): HeaderEntry {
  return new HeaderEntry(name, value, fieldKind(name), isName(name));
}

/** The entry of a field whose name is that of another entry. */
export function withValue(entry: HeaderEntry, value: string): HeaderEntry {
  return new HeaderEntry(entry.name, value, entry.kind, entry.kind !== Field.other || isName(entry.name));
}

function isName(name: string): boolean {
  const start = name.charCodeAt(0) === 0x3a ? 1 : 0;
  if (name.length === start) return false;
  // Upper case is not allowed: it would not be its own lower case.
  for (let i = start; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code > 0x7f || nameByte[code] !== code) return false;
  }
  return true;
}

function isValue(value: string): boolean {
  for (let i = 0; i < value.length; i++) if (valueByte[value.charCodeAt(i)] !== 1) return false;
  return true;
}

// prettier-ignore
export const staticFields: readonly (readonly [name: string, value: string])[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ['accept-language', ''],
  ['accept-ranges', ''],
  ['accept', ''],
  ['access-control-allow-origin', ''],
  ['age', ''],
  ['allow', ''],
  ['authorization', ''],
  ['cache-control', ''],
  ['content-disposition', ''],
  ['content-encoding', ''],
  ['content-language', ''],
  ['content-length', ''],
  ['content-location', ''],
  ['content-range', ''],
  ['content-type', ''],
  ['cookie', ''],
  ['date', ''],
  ['etag', ''],
  ['expect', ''],
  ['expires', ''],
  ['from', ''],
  ['host', ''],
  ['if-match', ''],
  ['if-modified-since', ''],
  ['if-none-match', ''],
  ['if-range', ''],
  ['if-unmodified-since', ''],
  ['last-modified', ''],
  ['link', ''],
  ['location', ''],
  ['max-forwards', ''],
  ['proxy-authenticate', ''],
  ['proxy-authorization', ''],
  ['range', ''],
  ['referer', ''],
  ['refresh', ''],
  ['retry-after', ''],
  ['server', ''],
  ['set-cookie', ''],
  ['strict-transport-security', ''],
  ['transfer-encoding', ''],
  ['user-agent', ''],
  ['vary', ''],
  ['via', ''],
  ['www-authenticate', ''],
];

const staticEntries = staticFields.map(([name, value]) => makeEntry(name, value));
export const staticCount: number = staticEntries.length;

/** The dynamic table: a ring of the last entries, newest first by index. */
export class DynamicTable {
  /** Entries ever inserted: the n-th has number n, counted from 1. */
  inserted = 0;
  count = 0;
  size = 0;
  maxSize: number;
  /** Grows with what is in it, which is a handful for a connection with one long stream, as a thousand proxies have. */
  private ring = ringOf(16);

  constructor(maxSize: number) {
    this.maxSize = maxSize;
  }

  /** By HPACK index, static table included; undefined = no such entry. */
  at(index: number): HeaderEntry | undefined {
    if (index <= staticCount) return staticEntries[index - 1];
    const age = index - staticCount - 1;
    return age < this.count ? this.ring[(this.inserted - age) % this.ring.length] : undefined;
  }

  insert(entry: HeaderEntry): void {
    const { size } = entry;
    while (this.count > 0 && this.size + size > this.maxSize) this.evict();
    if (size > this.maxSize) return;
    if (this.count === this.ring.length) this.grow();
    this.ring[++this.inserted % this.ring.length] = entry;
    this.count++;
    this.size += size;
  }

  resize(maxSize: number): void {
    this.maxSize = maxSize;
    while (this.size > maxSize) this.evict();
  }

  /** Whether entry number `number` is still in. */
  holds(number: number): boolean {
    return number > this.inserted - this.count;
  }

  private grow(): void {
    const larger = ringOf(2 * this.ring.length);
    for (let number = this.inserted - this.count + 1; number <= this.inserted; number++) larger[number % larger.length] = this.ring[number % this.ring.length];
    this.ring = larger;
  }

  private evict(): void {
    const slot = (this.inserted - this.count + 1) % this.ring.length;
    this.size -= this.ring[slot]?.size ?? 0;
    this.ring[slot] = undefined;
    this.count--;
  }
}

function ringOf(length: number): (HeaderEntry | undefined)[] {
  return Array.from({ length }, () => undefined);
}

// Header blocks out, as latin1. Fields come as HTTP/1 lines. A line seen a second time goes into the dynamic table and is one or two
// bytes from then on; a line that never comes again (ids, paths with numbers) never displaces one that does.

import { DynamicTable, makeEntry, staticCount, staticFields } from './hpack-table.ts';
import { huffmanEncode, huffmanLength } from './huffman.ts';
import { encodeShaped, shapeOf, type LineCode, type LineShape } from './line-shape.ts';

/** Never worth an entry, or not to be kept in a table others can probe (RFC 7541 §7.1.3). */
const unique: ReadonlySet<string> = new Set([
  'x-request-id',
  'traceparent',
  'tracestate',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'content-length',
  'x-envoy-upstream-service-time',
  'x-envoy-expected-rq-timeout-ms',
  'grpc-timeout',
  'etag',
  'if-none-match',
  'location',
]);
const secret: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'set-cookie']);

/** What is known of a field name, as it is written. */
interface NameFacts {
  lower: string;
  /** Index in the static table, 0 = none. */
  fixed: number;
  /** Number of the last dynamic entry with the name, 0 = none. */
  number: number;
  unique: boolean;
  secret: boolean;
}

/** A line or a value, and the number of its entry as in `known`. */
interface Known {
  text: string;
  number: number;
}

/** Lines that are in the static table, by their index as a negative number. */
const staticLines: (readonly [line: string, index: number])[] = [];
const staticNames = new Map<string, number>();
for (const [i, [name, value]] of staticFields.entries()) {
  if (!staticNames.has(name)) staticNames.set(name, i + 1);
  if (value !== '') staticLines.push([`${name}: ${value}`, -1 - i]);
}

const seenLimit = 256;
const knownLimit = 400;
const recentSlots = 128;
const shapeSlots = 32;
/** A shape that fits no more makes room. */
const mostMisses = 16;
/** Above this peers may offer more; ours stays small enough for the table's ring. */
const maxTableSize = 4096;

export class HpackEncoder {
  private readonly table = new DynamicTable(maxTableSize);
  /** Number of the dynamic entry of a line, or of a static one as a negative index. */
  private readonly known = new Map<string, number>(staticLines);
  private readonly names = new Map<string, NameFacts>();
  private readonly seen = new Set<string>();
  /** Lines of `known`, by a few of their characters: comparing with one costs less than hashing. */
  private readonly recent: (Known | undefined)[] = Array.from({ length: recentSlots }, () => undefined);
  /** The value each field had last, by name: nothing is put together for one that comes again. */
  private readonly last = new Map<string, Known>();
  private readonly lastLength = { text: '', block: '' };
  /** By the length of the lines. */
  private readonly shapes: (LineShape | undefined)[] = Array.from({ length: shapeSlots }, () => undefined);
  private sizeUpdate = '';

  /** The peer's SETTINGS_HEADER_TABLE_SIZE; the next block says what is used of it. */
  limit(size: number): void {
    const used = Math.min(size, maxTableSize);
    if (used === this.table.maxSize) return;
    this.table.resize(used);
    this.shapes.fill(undefined);
    this.sizeUpdate += integer(0x20, 0x1f, used);
  }

  /** To be put before the first field of a block. */
  begin(): string {
    const { sizeUpdate } = this;
    this.sizeUpdate = '';
    return sizeUpdate;
  }

  /** Fields of `name: value\r\n` lines. */
  lines(lines: string): string {
    const slot = lines.length % shapeSlots;
    const shape = this.shapes[slot];
    const fits = shape !== undefined && shape.length === lines.length && shape.inserted === this.table.inserted;
    if (fits && (shape.parts !== undefined || shape.misses > 0)) {
      const block = shape.parts === undefined ? undefined : encodeShaped(shape.parts, lines, plainString);
      if (block !== undefined) return block;
      if (++shape.misses < mostMisses) return this.eachLine(lines);
    }
    const block = this.eachLine(lines);
    const { inserted } = this.table;
    const again = fits && shape.inserted === inserted;
    const parts = again ? shapeOf(lines, (line) => this.codeOf(line)) : undefined;
    this.shapes[slot] = { length: lines.length, inserted, parts, misses: again && parts === undefined ? 1 : 0 };
    return block;
  }

  private eachLine(lines: string): string {
    let block = '';
    for (let start = 0; start < lines.length;) {
      const end = lines.indexOf('\r\n', start);
      block += this.line(lines.slice(start, end));
      start = end + 2;
    }
    return block;
  }

  field(name: string, value: string): string {
    const last = this.last.get(name);
    if (last?.text === value && this.isCurrent(last.number)) return this.indexed(last.number);
    if (name === 'content-length') return this.contentLength(value);
    const line = `${name}: ${value}`;
    const block = this.line(line);
    const number = this.known.get(line);
    if (number !== undefined) this.last.set(name, { text: value, number });
    return block;
  }

  /** Never put into the table, and so always the same. */
  private contentLength(value: string): string {
    const { lastLength } = this;
    if (lastLength.text !== value) {
      lastLength.text = value;
      lastLength.block = this.line(`content-length: ${value}`);
    }
    return lastLength.block;
  }

  private isCurrent(number: number): boolean {
    return number < 0 || this.table.holds(number);
  }

  private indexed(number: number): string {
    return number < 0 ? String.fromCharCode(0x80 - number) : integer(0x80, 0x7f, staticCount + 1 + this.table.inserted - number);
  }

  private line(line: string): string {
    const { table } = this;
    const slot = (line.length * 37 + line.charCodeAt(line.length >> 1) * 17 + line.charCodeAt(line.length - 1)) % recentSlots;
    const recent = this.recent[slot];
    if (recent?.text === line && this.isCurrent(recent.number)) return this.indexed(recent.number);
    const number = this.known.get(line);
    if (number !== undefined && this.isCurrent(number)) {
      this.recent[slot] = { text: line, number };
      return this.indexed(number);
    }
    // From 1: the name of a pseudo-header field begins with the colon.
    const colon = line.indexOf(':', 1);
    const facts = this.factsOf(line.slice(0, colon));
    const value = valueAfter(line, colon);
    const index = this.indexOf(facts);
    if (facts.secret) return literal(0x10, 0x0f, index, facts.lower, value);
    // The first of its kind is put into the table for the sake of its name.
    const insert = facts.unique ? index === 0 : this.seenBefore(line);
    if (!insert || line.length + 32 > table.maxSize) return literal(0, 0x0f, index, facts.lower, value);
    table.insert(makeEntry(facts.lower, value));
    if (this.known.size >= knownLimit) this.forget();
    this.known.set(line, table.inserted);
    facts.number = table.inserted;
    return literal(0x40, 0x3f, index, facts.lower, value);
  }

  /** Of the entry with the name, 0 = none. */
  private indexOf({ fixed, number }: NameFacts): number {
    if (fixed > 0) return fixed;
    return number > 0 && this.table.holds(number) ? staticCount + 1 + this.table.inserted - number : 0;
  }

  /** Of a line that will be encoded the same the next time, whatever its value if it is one of those that never come again. */
  private codeOf(line: string): LineCode {
    const number = this.known.get(line);
    if (number !== undefined && this.isCurrent(number)) return { code: this.indexed(number), open: false };
    const colon = line.indexOf(': ');
    const facts = this.factsOf(line.slice(0, colon));
    const index = this.indexOf(facts);
    if (colon < 0 || !(facts.secret || (facts.unique && index > 0))) return undefined;
    return { code: literalHead(facts.secret ? 0x10 : 0, 0x0f, index, facts.lower), open: true };
  }

  private factsOf(written: string): NameFacts {
    let facts = this.names.get(written);
    if (facts !== undefined) return facts;
    const lower = written.toLowerCase();
    facts = { lower, fixed: staticNames.get(lower) ?? 0, number: 0, unique: unique.has(lower), secret: secret.has(lower) };
    if (this.names.size >= knownLimit) this.names.clear();
    this.names.set(written, facts);
    return facts;
  }

  private seenBefore(line: string): boolean {
    if (this.seen.delete(line)) return true;
    if (this.seen.size >= seenLimit) this.seen.clear();
    this.seen.add(line);
    return false;
  }

  private forget(): void {
    for (const [line, number] of this.known) if (number > 0 && !this.table.holds(number)) this.known.delete(line);
  }
}

/** Fields (lower-case names) as a block that needs no table and puts nothing into one: it is the same on every connection. */
export function plainBlock(fields: readonly (readonly [name: string, value: string])[]): string {
  const code = ([name, value]: readonly [string, string]): string => {
    const whole = staticFields.findIndex(([n, v]) => n === name && v === value) + 1;
    return whole > 0 ? String.fromCharCode(0x80 | whole) : literal(0, 0x0f, staticNames.get(name) ?? 0, name, value);
  };
  return fields.map(code).join('');
}

/** Without the white space around it. */
function valueAfter(line: string, colon: number): string {
  let start = colon + 1;
  let end = line.length;
  while (start < end && isSpace(line.charCodeAt(start))) start++;
  while (end > start && isSpace(line.charCodeAt(end - 1))) end--;
  return line.slice(start, end);
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function integer(pattern: number, mask: number, value: number): string {
  if (value < mask) return String.fromCharCode(pattern | value);
  let text = String.fromCharCode(pattern | mask);
  let rest = value - mask;
  while (rest >= 0x80) {
    text += String.fromCharCode((rest & 0x7f) | 0x80);
    rest >>= 7;
  }
  return text + String.fromCharCode(rest);
}

function literal(pattern: number, mask: number, index: number, name: string, value: string): string {
  // What goes into the table is worth coding once; the rest is sent as it is, which costs the least time.
  return literalHead(pattern, mask, index, name) + string(value, pattern === 0x40);
}

function literalHead(pattern: number, mask: number, index: number, name: string): string {
  const head = integer(pattern, mask, index);
  return index === 0 ? head + string(name, true) : head;
}

function plainString(text: string): string {
  return string(text, false);
}

function string(text: string, code: boolean): string {
  if (code) {
    const length = huffmanLength(text);
    if (length < text.length) return integer(0x80, 0x7f, length) + huffmanEncode(text);
  }
  return integer(0, 0x7f, text.length) + text;
}

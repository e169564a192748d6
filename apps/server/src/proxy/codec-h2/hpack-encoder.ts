// Header blocks out, as latin1. Fields come as HTTP/1 lines. A line seen a second time goes into the dynamic table and is one or two
// bytes from then on; a line that never comes again (ids, paths with numbers) never displaces one that does.

import { DynamicTable, makeEntry, staticCount, staticFields } from './hpack-table.ts';
import { huffmanEncode, huffmanLength } from './huffman.ts';

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

const staticLines = new Map<string, string>();
const staticNames = new Map<string, number>();
for (const [i, [name, value]] of staticFields.entries()) {
  if (!staticNames.has(name)) staticNames.set(name, i + 1);
  if (value !== '') staticLines.set(`${name}: ${value}`, String.fromCharCode(0x80 | (i + 1)));
}

const seenLimit = 256;
const knownLimit = 256;
/** Above this peers may offer more; ours stays small enough for the table's ring. */
const maxTableSize = 4096;

export class HpackEncoder {
  private readonly table = new DynamicTable(maxTableSize);
  /** Number of the dynamic entry of a line, and of one with a name. */
  private readonly lineNumbers = new Map<string, number>();
  private readonly nameNumbers = new Map<string, number>();
  private readonly seen = new Set<string>();
  private sizeUpdate = '';

  /** The peer's SETTINGS_HEADER_TABLE_SIZE; the next block says what is used of it. */
  limit(size: number): void {
    const used = Math.min(size, maxTableSize);
    if (used === this.table.maxSize) return;
    this.table.resize(used);
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
    let block = '';
    for (let start = 0; start < lines.length;) {
      const end = lines.indexOf('\r\n', start);
      block += this.line(lines.slice(start, end));
      start = end + 2;
    }
    return block;
  }

  field(name: string, value: string): string {
    return this.line(`${name}: ${value}`);
  }

  private line(line: string): string {
    const fixed = staticLines.get(line);
    if (fixed !== undefined) return fixed;
    const { table } = this;
    const number = this.lineNumbers.get(line);
    if (number !== undefined && table.holds(number)) return integer(0x80, 0x7f, staticCount + 1 + table.inserted - number);
    // From 1: the name of a pseudo-header field begins with the colon.
    const colon = line.indexOf(':', 1);
    const written = line.slice(0, colon);
    const name = written.toLowerCase();
    const value = line.slice(colon + 1).trim();
    const index = this.nameIndex(name);
    if (secret.has(name)) return literal(0x10, 0x0f, index, name, value);
    // The first of its kind is put into the table for the sake of its name.
    const insert = unique.has(name) ? index === 0 : this.seenBefore(line);
    if (!insert || line.length + 32 > table.maxSize) return literal(0, 0x0f, index, name, value);
    table.insert(makeEntry(name, value));
    if (this.lineNumbers.size >= knownLimit) this.forget();
    this.lineNumbers.set(line, table.inserted);
    this.nameNumbers.set(name, table.inserted);
    return literal(0x40, 0x3f, index, name, value);
  }

  private nameIndex(name: string): number {
    const fixed = staticNames.get(name);
    if (fixed !== undefined) return fixed;
    const number = this.nameNumbers.get(name);
    return number !== undefined && this.table.holds(number) ? staticCount + 1 + this.table.inserted - number : 0;
  }

  private seenBefore(line: string): boolean {
    if (this.seen.delete(line)) return true;
    if (this.seen.size >= seenLimit) this.seen.clear();
    this.seen.add(line);
    return false;
  }

  private forget(): void {
    for (const numbers of [this.lineNumbers, this.nameNumbers]) {
      for (const [key, number] of numbers) if (!this.table.holds(number)) numbers.delete(key);
    }
  }
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
  const code = pattern === 0x40;
  const head = integer(pattern, mask, index);
  return (index === 0 ? head + string(name, true) : head) + string(value, code);
}

function string(text: string, code: boolean): string {
  if (code) {
    const length = huffmanLength(text);
    if (length < text.length) return integer(0x80, 0x7f, length) + huffmanEncode(text);
  }
  return integer(0, 0x7f, text.length) + text;
}

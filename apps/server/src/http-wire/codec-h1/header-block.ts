// Fields of one message as offsets into its head: nothing is copied until somebody asks for a value.

import { nameByte, valueByte } from './chars.ts';
import { Field, fieldSlot, slotKinds, slotNames } from './field-kinds.ts';

export const maxHeadBytes = 60 * 1024;
export const maxFields = 100;
/** How many filters may add on top of those. */
const maxAdded = 28;

/** Results of a parse besides a position: not all bytes are here yet, or a refusal with its status as a negative number. */
export const incomplete = 0;

/** Details of a refusal nothing more is said about. */
export const codecError = 'http1.codec_error';

export class HeaderBlock {
  /** The head as latin1; offsets point into it. */
  text = '';
  /** Why the message is refused, in the words of Envoy's response code details. */
  refusal: string = codecError;
  count = 0;
  /** Where the field lines end, before the empty line. */
  end = 0;
  /** Per field: start and end of the name, start and end of the value. */
  readonly at: Uint16Array = new Uint16Array(4 * (maxFields + maxAdded));
  readonly kinds: Uint8Array = new Uint8Array(maxFields + maxAdded);

  /** What Envoy counts of the lines: its parser leaves one byte of each out. */
  get lineBytes(): number {
    return this.count === 0 ? 0 : this.end - (this.at[0] as number) - this.count;
  }

  value(index: number): string {
    return this.text.slice(this.at[index * 4 + 2], this.at[index * 4 + 3]);
  }

  lowerName(index: number): string {
    return this.text.slice(this.at[index * 4], this.at[index * 4 + 1]).toLowerCase();
  }

  nameLength(index: number): number {
    return (this.at[index * 4 + 1] as number) - (this.at[index * 4] as number);
  }

  /** Index of the first field of a kind, -1 when absent. */
  indexOf(kind: number): number {
    for (let i = 0; i < this.count; i++) if (this.kinds[i] === kind) return i;
    return -1;
  }

  /** First value of a kind of field. */
  known(kind: number): string | undefined {
    const index = this.indexOf(kind);
    return index < 0 ? undefined : this.value(index);
  }

  /** Whether there is more than one field of a kind. */
  repeats(kind: number): boolean {
    return this.kinds.lastIndexOf(kind, this.count - 1) !== this.indexOf(kind);
  }

  /** Whether field `index` has this lower-case name. */
  isNamed(index: number, name: string): boolean {
    const start = this.at[index * 4] ?? 0;
    if ((this.at[index * 4 + 1] ?? 0) - start !== name.length) return false;
    const lower = nameByte;
    for (let i = 0; i < name.length; i++) if (lower[this.text.charCodeAt(start + i)] !== name.charCodeAt(i)) return false;
    return true;
  }

  /** Whether this is the value of field `index`. */
  says(index: number, value: string): boolean {
    const start = this.at[index * 4 + 2] as number;
    if ((this.at[index * 4 + 3] as number) - start !== value.length) return false;
    const { text } = this;
    for (let i = 0; i < value.length; i++) if (text.charCodeAt(start + i) !== value.charCodeAt(i)) return false;
    return true;
  }

  /** Whether this lower-case token is all that field `index` says. */
  hasValue(index: number, token: string): boolean {
    const start = this.at[index * 4 + 2] ?? 0;
    if ((this.at[index * 4 + 3] ?? 0) - start !== token.length) return false;
    for (let i = 0; i < token.length; i++) if (nameByte[this.text.charCodeAt(start + i)] !== token.charCodeAt(i)) return false;
    return true;
  }

  /** First value of a field by its lower-case name. */
  get(name: string): string | undefined {
    for (let i = 0; i < this.count; i++) if (this.isNamed(i, name)) return this.value(i);
    return undefined;
  }

  /** Whether any value of the field with this lower-case name passes; undefined when the field is absent. */
  some(name: string, test: (value: string) => boolean): boolean | undefined {
    let found: boolean | undefined;
    for (let i = 0; i < this.count; i++) {
      if (!this.isNamed(i, name)) continue;
      if (test(this.value(i))) return true;
      found = false;
    }
    return found;
  }

  /** Takes the fields with these lower-case names away: they have no name any more, and are not passed on. */
  hide(names: ReadonlySet<string>): void {
    for (let i = 0; i < this.count; i++) {
      if (!names.has(this.lowerName(i))) continue;
      this.kinds[i] = Field.stripped;
      this.at[i * 4 + 1] = this.at[i * 4] as number;
    }
  }

  /** Adds a field behind the others, as if it had come with them. False = there is no more room. */
  append(name: string, value: string): boolean {
    const line = `${name}: ${value}\r\n`;
    const { count, end } = this;
    if (count === this.kinds.length || end + line.length > 0xffff) return false;
    const valueStart = end + name.length + 2;
    this.at.set([end, end + name.length, valueStart, valueStart + value.length], count * 4);
    this.kinds[count] = kindOf(Buffer.from(name, 'latin1'), 0, name.length);
    this.text = `${this.text.slice(0, end)}${line}${this.text.slice(end)}`;
    this.count++;
    this.end = end + line.length;
    return true;
  }

  /** Start of the line of field `index`; of `count`, the end of all lines. */
  lineStart(index: number): number {
    return index >= this.count ? this.end : (this.at[index * 4] ?? 0);
  }
}

export const headersTooLarge = 'http1.headers_too_large';

export function refuse(block: HeaderBlock, status: number, refusal: string): number {
  block.refusal = refusal;
  return -status;
}

/**
 * Reads field lines up to and including the empty line. `start` is the first byte of the first line, `base` that of the message
 * (offsets are kept relative to it). Returns the position after the empty line, `incomplete`, or -status.
 */
export function parseFields(bytes: Uint8Array, start: number, limit: number, base: number, block: HeaderBlock): number {
  const { at, kinds } = block;
  // V8 looks an import up at every use.
  const inName = nameByte;
  const inValue = valueByte;
  let count = 0;
  let i = start;
  for (;;) {
    if (i >= limit) return incomplete;
    if (bytes[i] === 0x0d) {
      if (i + 1 >= limit) return incomplete;
      if (bytes[i + 1] !== 0x0a) return -400;
      block.count = count;
      block.end = i - base;
      return i + 2;
    }
    if (count === maxFields) return refuse(block, 431, 'http1.too_many_headers');
    const nameStart = i;
    while (i < limit && inName[bytes[i] as number] !== 0) i++;
    if (i >= limit) return incomplete;
    // Also refuses obs-fold (a line that begins with a space), a missing colon and white space before it.
    if (bytes[i] !== 0x3a || i === nameStart) return -400;
    const nameEnd = i++;
    while (i < limit && (bytes[i] === 0x20 || bytes[i] === 0x09)) i++;
    const valueStart = i;
    while (i < limit && inValue[bytes[i] as number] === 1) i++;
    if (i < limit && bytes[i] !== 0x0d) return refuse(block, 400, bytes[i] === 0x0a ? codecError : 'http1.invalid_characters');
    if (i + 1 >= limit) return incomplete;
    if (bytes[i + 1] !== 0x0a) return -400;
    let valueEnd = i;
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === 0x20 || bytes[valueEnd - 1] === 0x09)) valueEnd--;
    i += 2;
    if (i - base > maxHeadBytes) return refuse(block, 431, headersTooLarge);
    const slot = count * 4;
    at[slot] = nameStart - base;
    at[slot + 1] = nameEnd - base;
    at[slot + 2] = valueStart - base;
    at[slot + 3] = valueEnd - base;
    kinds[count] = kindOf(bytes, nameStart, nameEnd);
    count++;
  }
}

function kindOf(bytes: Uint8Array, start: number, end: number): number {
  const lower = nameByte;
  const length = end - start;
  const middle = start + (length >> 1);
  const slot = fieldSlot(length, lower[bytes[start] as number] as number, lower[bytes[middle] as number] as number, lower[bytes[end - 1] as number] as number);
  const kind = slotKinds[slot] as number;
  if (kind === Field.other) return kind;
  const name = slotNames[slot];
  if (name?.length !== length) return Field.other;
  for (let i = 0; i < length; i++) if (lower[bytes[start + i] as number] !== name[i]) return Field.other;
  return kind;
}

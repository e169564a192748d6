// Decoded fields written into the same form HTTP/1 heads have, so that what follows need not know where they came from.

import { Field, forbiddenTrailers } from '../codec-h1/field-kinds.ts';
import type { HeaderBlock } from '../codec-h1/header-block.ts';
import { maxFields, maxHeadBytes } from '../codec-h1/header-block.ts';
import type { HeaderEntry } from './hpack-table.ts';

/** What is wrong with a block: nothing, it is malformed (a stream error), or larger than this side takes. */
export const Fault = { none: 0, malformed: 1, tooLarge: 2 } as const;

/** Fields that belong to one connection (RFC 9113 §8.2.2). */
const connectionKinds = new Uint8Array(32);
for (const kind of [Field.connection, Field.keepAlive, Field.proxyConnection, Field.transferEncoding, Field.upgrade]) connectionKinds[kind] = 1;

export abstract class FieldBlock {
  fault: number = Fault.none;
  private block: HeaderBlock | undefined;
  private text = '';
  private count = 0;
  private pseudo = 0;
  private size = 0;
  private cookie = '';
  /** There was a field that is no pseudo-header field. */
  private begun = false;

  protected start(block: HeaderBlock): void {
    this.block = block;
    this.fault = Fault.none;
    this.text = this.cookie = '';
    this.begun = false;
    this.count = this.pseudo = this.size = 0;
  }

  /** True when it is a pseudo-header field of this kind of message, seen once. */
  protected abstract onPseudo(name: string, value: string): boolean;

  onField(entry: HeaderEntry): void {
    if (this.fault !== Fault.none) return;
    if (!entry.valid) return this.fail(Fault.malformed);
    const { name, kind } = entry;
    if (name.charCodeAt(0) === 0x3a) {
      // Before all other fields (§8.3).
      if (this.begun || !this.onPseudo(name, entry.value)) this.fail(Fault.malformed);
      this.pseudo++;
      this.size += entry.value.length + 32;
      if (this.size > maxHeadBytes) this.fail(Fault.tooLarge);
      return;
    }
    this.begun = true;
    if (connectionKinds[kind] === 1 || (kind === Field.te && entry.value.toLowerCase() !== 'trailers')) return this.fail(Fault.malformed);
    this.size += entry.size;
    if (this.size > maxHeadBytes) return this.fail(Fault.tooLarge);
    if (name === 'cookie') {
      // Split in HTTP/2, one line elsewhere (§8.2.3).
      this.cookie = this.cookie === '' ? entry.value : `${this.cookie}; ${entry.value}`;
      return;
    }
    this.add(name, kind, entry.line);
  }

  protected finishFields(): void {
    const { block, cookie } = this;
    if (cookie !== '') this.add('cookie', Field.other, `cookie: ${cookie}\r\n`);
    if (block === undefined) return;
    block.text = this.text;
    block.count = this.count;
    block.end = this.text.length;
    this.text = '';
  }

  private add(name: string, kind: number, line: string): void {
    const { block, count } = this;
    if (block === undefined) return;
    if (count + this.pseudo === maxFields) return this.fail(Fault.tooLarge);
    const slot = count * 4;
    const start = this.text.length;
    block.at[slot] = start;
    block.at[slot + 1] = start + name.length;
    block.at[slot + 2] = start + name.length + 2;
    block.at[slot + 3] = start + line.length - 2;
    block.kinds[count] = kind;
    this.count = count + 1;
    this.text += line;
  }

  private fail(fault: number): void {
    if (this.fault !== Fault.malformed) this.fault = fault;
  }
}

/** Trailer fields as lines; those that must not be trailers are left out. */
export class TrailerBlock {
  lines = '';
  fault: number = Fault.none;
  private count = 0;
  private size = 0;

  start(): void {
    this.lines = '';
    this.count = this.size = 0;
    this.fault = Fault.none;
  }

  onField(entry: HeaderEntry): void {
    if (!entry.valid || entry.name.charCodeAt(0) === 0x3a || connectionKinds[entry.kind] === 1) this.fault = Fault.malformed;
    if (this.fault !== Fault.none) return;
    this.size += entry.size;
    if (this.size > maxHeadBytes || ++this.count > maxFields) this.fault = Fault.tooLarge;
    else if (!forbiddenTrailers.has(entry.name)) this.lines += entry.line;
  }
}

// Protobuf's binary form, written value by value into one growing array; of a message inside another the length is put before it at its end.

import { encodeText } from './text.ts';

export class WireWriter {
  private bytesOut = new Uint8Array(256);
  private view = new DataView(this.bytesOut.buffer);
  private length = 0;
  /** Where messages that are not complete begin. */
  private readonly open: number[] = [];

  tag(field: number, wireType: number): this {
    return this.uint32((field << 3) | wireType);
  }

  /** Begins a message whose length comes before it. */
  fork(): this {
    this.open.push(this.length);
    return this;
  }

  /** Ends it. */
  join(): this {
    const start = this.open.pop() ?? 0;
    const length = this.length - start;
    this.uint32(length);
    const head = this.bytesOut.slice(start + length, this.length);
    this.bytesOut.copyWithin(start + head.length, start, start + length);
    this.bytesOut.set(head, start);
    return this;
  }

  uint32(value: number): this {
    this.room(5);
    let rest = value >>> 0;
    for (; rest > 0x7f; rest >>>= 7) this.bytesOut[this.length++] = (rest & 0x7f) | 0x80;
    this.bytesOut[this.length++] = rest;
    return this;
  }

  /** Of a safe integer. */
  int64(value: number): this {
    if (value >= 0 && value <= 0xffffffff) return this.uint32(value);
    this.room(10);
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 0x7fn; rest >>= 7n) this.bytesOut[this.length++] = Number(rest & 0x7fn) | 0x80;
    this.bytesOut[this.length++] = Number(rest);
    return this;
  }

  int32(value: number): this {
    return this.int64(value);
  }

  bool(value: boolean): this {
    return this.uint32(value ? 1 : 0);
  }

  fixed64(value: bigint): this {
    this.room(8);
    this.view.setBigUint64(this.length, value, true);
    this.length += 8;
    return this;
  }

  double(value: number): this {
    this.room(8);
    this.view.setFloat64(this.length, value, true);
    this.length += 8;
    return this;
  }

  bytes(value: Uint8Array): this {
    return this.uint32(value.length).raw(value);
  }

  /** Fields as they are encoded already. */
  raw(fields: Uint8Array): this {
    this.room(fields.length);
    this.bytesOut.set(fields, this.length);
    this.length += fields.length;
    return this;
  }

  string(value: string): this {
    return this.bytes(encodeText(value));
  }

  finish(): Uint8Array {
    return this.bytesOut.slice(0, this.length);
  }

  private room(more: number): this {
    if (this.length + more > this.bytesOut.length) {
      const larger = new Uint8Array(2 * (this.length + more));
      larger.set(this.bytesOut);
      this.bytesOut = larger;
      this.view = new DataView(larger.buffer);
    }
    return this;
  }
}

export function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}

// Protobuf's binary form, read value by value. As protobuf-es' BinaryReader, whose package brings along all of reflection.

import { decodeText } from './text.ts';

export const WireType = { varint: 0, bit64: 1, bytes: 2, startGroup: 3, endGroup: 4, bit32: 5 } as const;

export class WireReader {
  pos = 0;
  readonly len: number;
  private readonly buf: Uint8Array;
  private made: DataView | undefined;

  constructor(buf: Uint8Array) {
    this.buf = buf;
    this.len = buf.length;
  }

  /** Most messages have nothing in them it is needed for. */
  private get view(): DataView {
    return (this.made ??= new DataView(this.buf.buffer, this.buf.byteOffset, this.buf.byteLength));
  }

  tag(): [field: number, wireType: number] {
    const tag = this.uint32();
    if (tag < 8 || (tag & 7) > 5) throw new RangeError(`illegal tag ${tag}`);
    return [tag >>> 3, tag & 7];
  }

  /** The low 32 bits of a varint. */
  uint32(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.pos >= this.len) break;
      const byte = this.buf[this.pos++] as number;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new RangeError('a number does not end');
  }

  int32(): number {
    return this.uint32() | 0;
  }

  sint32(): number {
    const value = this.uint32();
    return (value >>> 1) ^ -(value & 1);
  }

  uint64(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (this.pos >= this.len) break;
      const byte = this.buf[this.pos++] as number;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new RangeError('a number does not end');
  }

  int64(): bigint {
    return BigInt.asIntN(64, this.uint64());
  }

  sint64(): bigint {
    const value = this.uint64();
    return (value >> 1n) ^ -(value & 1n);
  }

  bool(): boolean {
    return this.uint64() !== 0n;
  }

  fixed32(): number {
    return this.view.getUint32(this.advance(4), true);
  }

  sfixed32(): number {
    return this.view.getInt32(this.advance(4), true);
  }

  fixed64(): bigint {
    return this.view.getBigUint64(this.advance(8), true);
  }

  sfixed64(): bigint {
    return this.view.getBigInt64(this.advance(8), true);
  }

  float(): number {
    return this.view.getFloat32(this.advance(4), true);
  }

  double(): number {
    return this.view.getFloat64(this.advance(8), true);
  }

  /** Not copied. */
  bytes(): Uint8Array {
    const length = this.uint32();
    const start = this.advance(length);
    return this.buf.subarray(start, start + length);
  }

  string(): string {
    return decodeText(this.bytes());
  }

  /** Passes over a value, groups included. */
  skip(wireType: number, field: number): void {
    if (wireType === WireType.varint) this.uint32();
    else if (wireType === WireType.bit64) this.advance(8);
    else if (wireType === WireType.bit32) this.advance(4);
    else if (wireType === WireType.bytes) this.bytes();
    else if (wireType === WireType.startGroup) {
      for (;;) {
        const [inner, type] = this.tag();
        if (type === WireType.endGroup && inner === field) return;
        this.skip(type, inner);
      }
    } else throw new RangeError(`field ${field} ends a group that has not begun`);
  }

  private advance(length: number): number {
    const start = this.pos;
    if (start + length > this.len) throw new RangeError('a value ends beyond its message');
    this.pos = start + length;
    return start;
  }
}

// Header blocks in (RFC 7541 §3, §6): each field is handed over as an entry; nothing is kept but the dynamic table.

import { huffmanDecode } from './huffman.ts';
import { DynamicTable, makeEntry, withValue, type HeaderEntry } from './hpack-table.ts';

export interface FieldSink {
  onField(entry: HeaderEntry): void;
}

/** What this side allows the peer's table to be (SETTINGS_HEADER_TABLE_SIZE). */
const ownTableSize = 4096;
const nothing = Buffer.alloc(0);

export class HpackDecoder {
  private readonly table = new DynamicTable(ownTableSize);
  private position = 0;
  private bytes: Buffer = nothing;
  private end = 0;
  private failed = false;

  /** False = the block cannot be decoded, and the table no longer matches the peer's. */
  decode(bytes: Buffer, start: number, end: number, sink: FieldSink): boolean {
    this.bytes = bytes;
    const decoded = this.fields(start, end, sink);
    // Kept, it is one read (16 KB) a connection, until the next block comes.
    this.bytes = nothing;
    return decoded;
  }

  private fields(start: number, end: number, sink: FieldSink): boolean {
    const { bytes } = this;
    this.position = start;
    this.end = end;
    this.failed = false;
    let fields = 0;
    while (this.position < end && !this.failed) {
      const byte = bytes[this.position] as number;
      if (byte >= 0x80) {
        const entry = this.table.at(this.integer(0x7f));
        if (entry === undefined) return false;
        sink.onField(entry);
        fields++;
      } else if (byte >= 0x40) {
        const entry = this.literal(0x3f);
        if (entry === undefined) return false;
        this.table.insert(entry);
        sink.onField(entry);
        fields++;
      } else if (byte >= 0x20) {
        // Only before the first field (§4.2).
        const size = this.integer(0x1f);
        if (fields > 0 || size > ownTableSize) return false;
        this.table.resize(size);
      } else {
        const entry = this.literal(0x0f);
        if (entry === undefined) return false;
        sink.onField(entry);
        fields++;
      }
    }
    return !this.failed;
  }

  private literal(mask: number): HeaderEntry | undefined {
    const index = this.integer(mask);
    if (index > 0) {
      const named = this.table.at(index);
      const value = this.string();
      return named === undefined || value === undefined ? undefined : withValue(named, value);
    }
    const name = this.string();
    const value = this.string();
    return name === undefined || value === undefined ? undefined : makeEntry(name, value);
  }

  private integer(mask: number): number {
    const { bytes, end } = this;
    let value = (bytes[this.position++] as number) & mask;
    if (value < mask) return value;
    for (let shift = 0; shift < 28; shift += 7) {
      if (this.position >= end) break;
      const byte = bytes[this.position++] as number;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    this.failed = true;
    return Number.MAX_SAFE_INTEGER;
  }

  private string(): string | undefined {
    if (this.position >= this.end) return undefined;
    const coded = (this.bytes[this.position] as number) >= 0x80;
    const length = this.integer(0x7f);
    const start = this.position;
    if (this.failed || start + length > this.end) return undefined;
    this.position = start + length;
    if (coded) return huffmanDecode(this.bytes, start, this.position);
    return this.bytes.toString('latin1', start, this.position);
  }
}

// Header blocks of one side of a connection, over as many frames as they span.

import { Flag, FrameType } from '../../src/http-wire/codec-h2/frames.ts';
import { HpackDecoder } from '../../src/http-wire/codec-h2/hpack-decoder.ts';

export class BlockReader {
  private readonly decoder = new HpackDecoder();
  private block = Buffer.alloc(0);
  private ends = false;

  /** Takes a HEADERS or CONTINUATION frame; the fields, and whether they end their stream, once the block is whole. */
  read(type: number, flags: number, fragment: Buffer): { fields: [string, string][]; ends: boolean } | undefined {
    if (type === FrameType.headers) this.ends = (flags & Flag.endStream) !== 0;
    this.block = Buffer.concat([this.block, fragment]);
    if ((flags & Flag.endHeaders) === 0) return undefined;
    const fields: [string, string][] = [];
    this.decoder.decode(this.block, 0, this.block.length, { onField: ({ name, value }) => void fields.push([name, value]) });
    this.block = Buffer.alloc(0);
    return { fields, ends: this.ends };
  }
}

// Bodies: bytes in, data slices out. Chunk extensions are dropped, trailers are checked and handed on as field lines.

import { nameByte } from './chars.ts';
import { forbiddenTrailers } from './field-kinds.ts';
import { Body } from './framing.ts';
import { HeaderBlock, maxFields, parseFields } from './header-block.ts';

export interface BodySink {
  /** Data is `bytes[start, end)`, valid during the call only. */
  onBodyData(bytes: Buffer, start: number, end: number): void;
}

const maxExtensionBytes = 256;
const maxTrailerBytes = 8 * 1024;
const maxSizeDigits = 12;

const Step = { size: 0, extension: 1, sizeLf: 2, data: 3, dataCr: 4, dataLf: 5, trailers: 6 } as const;
/** Inside `;name=value;name="value"` (RFC 9112 §7.1.1): what comes next. */
const Extension = { name: 0, restOfName: 1, value: 2, restOfValue: 3, quoted: 4, end: 5 } as const;

export class BodyReader {
  done = true;
  /** A framing error: the message must not be passed on as complete. */
  failed = false;
  /** Trailer field lines with their line ends, '' = none. */
  trailers = '';
  private mode: number = Body.none;
  private left = 0;
  private step: number = Step.size;
  private digits = 0;
  private extensionBytes = 0;
  private extension: number = Extension.name;
  private trailerBytes: Buffer | undefined;

  start(mode: number, length: number): void {
    this.mode = mode;
    this.left = mode === Body.length ? length : 0;
    this.done = mode === Body.none || (mode === Body.length && length === 0);
    this.failed = false;
    this.trailers = '';
    this.step = Step.size;
    this.digits = 0;
    this.trailerBytes = undefined;
  }

  /** The peer closed: completes a body that ends so, breaks any other. */
  finish(): void {
    if (this.mode === Body.untilClose) this.done = true;
    else if (!this.done) this.failed = true;
  }

  /** Consumes from `bytes[start, end)`; returns the position of the first byte that is not of this body. */
  feed(bytes: Buffer, start: number, end: number, sink: BodySink): number {
    if (this.done) return start;
    if (this.mode === Body.chunked) return this.feedChunked(bytes, start, end, sink);
    if (this.mode === Body.untilClose) {
      sink.onBodyData(bytes, start, end);
      return end;
    }
    const stop = Math.min(end, start + this.left);
    this.left -= stop - start;
    if (this.left === 0) this.done = true;
    if (stop > start) sink.onBodyData(bytes, start, stop);
    return stop;
  }

  private feedChunked(bytes: Buffer, start: number, end: number, sink: BodySink): number {
    let i = start;
    while (i < end) {
      const byte = bytes[i] as number;
      switch (this.step) {
        case Step.size: {
          const digit = hexDigit(byte);
          if (digit >= 0) {
            if (++this.digits > maxSizeDigits) return this.fail(i);
            this.left = this.left * 16 + digit;
          } else if (this.digits === 0) return this.fail(i);
          else if (byte === 0x0d) this.step = Step.sizeLf;
          else if (byte === 0x3b) {
            this.step = Step.extension;
            this.extension = Extension.name;
            this.extensionBytes = 0;
          } else return this.fail(i);
          i++;
          break;
        }
        case Step.extension:
          if (++this.extensionBytes > maxExtensionBytes) return this.fail(i);
          if (byte === 0x0d && (this.extension & 1) === 1) this.step = Step.sizeLf;
          else if ((this.extension = nextInExtension(this.extension, byte)) < 0) return this.fail(i);
          i++;
          break;
        case Step.sizeLf:
          if (byte !== 0x0a) return this.fail(i);
          i++;
          this.step = this.left === 0 ? Step.trailers : Step.data;
          break;
        case Step.data: {
          const stop = Math.min(end, i + this.left);
          this.left -= stop - i;
          if (this.left === 0) this.step = Step.dataCr;
          sink.onBodyData(bytes, i, stop);
          i = stop;
          break;
        }
        case Step.dataCr:
          if (byte !== 0x0d) return this.fail(i);
          i++;
          this.step = Step.dataLf;
          break;
        case Step.dataLf:
          if (byte !== 0x0a) return this.fail(i);
          i++;
          this.step = Step.size;
          this.digits = 0;
          break;
        default:
          return this.feedTrailers(bytes, i, end);
      }
    }
    return i;
  }

  private feedTrailers(bytes: Buffer, start: number, end: number): number {
    if (this.trailerBytes === undefined && end - start >= 2 && bytes[start] === 0x0d && bytes[start + 1] === 0x0a) {
      this.done = true;
      return start + 2;
    }
    const before = this.trailerBytes?.length ?? 0;
    const all = before === 0 ? Buffer.from(bytes.subarray(start, end)) : Buffer.concat([this.trailerBytes ?? Buffer.alloc(0), bytes.subarray(start, end)]);
    const block = new HeaderBlock();
    const stop = parseFields(all, 0, Math.min(all.length, maxTrailerBytes), 0, block);
    if (stop < 0 || (stop === 0 && all.length >= maxTrailerBytes)) return this.fail(start);
    if (stop === 0) {
      this.trailerBytes = all;
      return end;
    }
    block.text = all.toString('latin1', 0, stop);
    for (let i = 0; i < block.count && i < maxFields; i++) if (forbiddenTrailers.has(block.lowerName(i))) return this.fail(start);
    this.trailers = block.text.slice(0, block.end);
    this.done = true;
    return start + stop - before;
  }

  private fail(position: number): number {
    this.failed = true;
    return position;
  }
}

/** -1 = not allowed here. What is dropped must still be what it seems: no parser may see another end of the line in it. */
function nextInExtension(at: number, byte: number): number {
  if (at === Extension.quoted) {
    if (byte === 0x22) return Extension.end;
    return byte >= 0x20 && byte <= 0x7e && byte !== 0x5c ? at : -1;
  }
  if (at !== Extension.end && nameByte[byte] !== 0) return at | 1;
  if (byte === 0x3b && (at & 1) === 1) return Extension.name;
  if (byte === 0x3d && at === Extension.restOfName) return Extension.value;
  return byte === 0x22 && at === Extension.value ? Extension.quoted : -1;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

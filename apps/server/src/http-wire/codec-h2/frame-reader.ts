// Bytes to frames. DATA is handed on as it arrives; every other frame is whole before anybody sees it.

import { ErrorCode, Flag, frameHeadBytes, FrameType, largeFrameSize } from './frames.ts';

export interface FrameSink {
  /** A complete frame other than DATA: payload is `bytes[start, end)`, valid during the call only. */
  onFrame(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): void;
  /** Before the payload of a DATA frame; `length` counts padding too. */
  onDataFrame(id: number, length: number, payload: number, endStream: boolean): void;
  onDataBytes(id: number, bytes: Buffer, start: number, end: number): void;
  onDataFrameEnd(id: number, endStream: boolean): void;
  /** The bytes cannot be frames; nothing more is read. */
  onFrameError(code: number, reason: string): void;
  /** No longer interested in what follows. */
  readonly stopped: boolean;
}

export class FrameReader {
  private readonly sink: FrameSink;
  private readonly limit: number;
  private partial: Buffer | undefined;
  private dataLeft = 0;
  private paddingLeft = 0;
  private dataId = 0;
  private dataEnds = false;
  private inData = false;

  /** `limit`: what the peer was told. */
  constructor(sink: FrameSink, limit = largeFrameSize) {
    this.sink = sink;
    this.limit = limit;
  }

  /** Type of the frame that is not whole yet, -1 = none, or DATA. */
  get begun(): number {
    return this.partial === undefined || this.partial.length < frameHeadBytes ? -1 : (this.partial[3] as number);
  }

  read(chunk: Buffer, from: number, to: number): void {
    let bytes = chunk;
    let i = from;
    let end = to;
    if (this.partial !== undefined) {
      bytes = Buffer.concat([this.partial, chunk.subarray(from, to)]);
      this.partial = undefined;
      i = 0;
      end = bytes.length;
    }
    while (!this.sink.stopped) {
      if (this.inData) {
        i = this.readData(bytes, i, end);
        if (this.inData) return;
        continue;
      }
      if (end - i < frameHeadBytes) break;
      const length = ((bytes[i] as number) << 16) | ((bytes[i + 1] as number) << 8) | (bytes[i + 2] as number);
      const type = bytes[i + 3] as number;
      const flags = bytes[i + 4] as number;
      const id = bytes.readUInt32BE(i + 5) & 0x7fffffff;
      if (length > this.limit) return this.sink.onFrameError(ErrorCode.frameSize, 'frame too large');
      const start = i + frameHeadBytes;
      if (type === FrameType.data) {
        const padded = (flags & Flag.padded) !== 0;
        if (padded && end - start < 1) break;
        if (!this.beginData(id, flags, length, padded ? (bytes[start] as number) : -1)) return;
        i = padded ? start + 1 : start;
        continue;
      }
      if (end - start < length) break;
      this.sink.onFrame(type, flags, id, bytes, start, start + length);
      i = start + length;
    }
    if (i < end && !this.sink.stopped) this.partial = Buffer.from(bytes.subarray(i, end));
  }

  private beginData(id: number, flags: number, length: number, padding: number): boolean {
    const payload = length - (padding < 0 ? 0 : padding + 1);
    if (payload < 0) {
      this.sink.onFrameError(ErrorCode.protocol, 'padding longer than the frame');
      return false;
    }
    this.inData = true;
    this.dataId = id;
    this.dataLeft = payload;
    this.paddingLeft = Math.max(padding, 0);
    this.dataEnds = (flags & Flag.endStream) !== 0;
    this.sink.onDataFrame(id, length, payload, this.dataEnds);
    return true;
  }

  private readData(bytes: Buffer, from: number, end: number): number {
    let i = from;
    if (this.dataLeft > 0 && i < end) {
      const stop = Math.min(end, i + this.dataLeft);
      this.dataLeft -= stop - i;
      this.sink.onDataBytes(this.dataId, bytes, i, stop);
      i = stop;
    }
    if (this.dataLeft === 0) {
      const skip = Math.min(end - i, this.paddingLeft);
      this.paddingLeft -= skip;
      i += skip;
      if (this.paddingLeft === 0) {
        this.inData = false;
        this.sink.onDataFrameEnd(this.dataId, this.dataEnds);
      }
    }
    return i;
  }
}

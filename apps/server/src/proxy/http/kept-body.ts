// What has come of a request's body and may be asked for again: by a try, a mirror, an authorization service.

import { StagePool } from '../../http-wire/socket/wire-writer.ts';
import type { UpstreamStream } from '../upstream/stream.ts';

/** Up to here it is text, as it is written; more is laid into memory that is used again, or keeping it is mostly garbage collection. */
const textLimit = 4 * 1024;
const stages = new StagePool(16 * 1024, 256);

export class KeptBody {
  /** Bytes. */
  length = 0;
  private text = '';
  private readonly filled: Buffer[] = [];
  /** Of the last stage. */
  private used = 0;

  /** The bytes are copied. */
  add(bytes: Buffer, start: number, end: number): void {
    this.length += end - start;
    if (this.length <= textLimit) {
      this.text += bytes.toString('latin1', start, end);
      return;
    }
    for (let at = start; at < end;) {
      let stage = this.filled.at(-1);
      if (stage === undefined || this.used === stage.length) {
        this.filled.push((stage = stages.take()));
        this.used = 0;
      }
      const copied = bytes.copy(stage, this.used, at, end);
      this.used += copied;
      at += copied;
    }
  }

  sendTo(stream: UpstreamStream): void {
    stream.text(this.text);
    this.filled.forEach((stage, i) => stream.data(stage, 0, this.bytesOf(i), true));
  }

  /** One character a byte. */
  toString(): string {
    return this.text + this.filled.map((stage, i) => stage.toString('latin1', 0, this.bytesOf(i))).join('');
  }

  clear(): void {
    if (this.length === 0) return;
    this.length = this.used = 0;
    this.text = '';
    for (const stage of this.filled.splice(0)) stages.give(stage);
  }

  private bytesOf(index: number): number {
    return index === this.filled.length - 1 ? this.used : stages.bytes;
  }
}

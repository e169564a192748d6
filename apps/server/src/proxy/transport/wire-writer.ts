// Output of one socket, gathered over one read event: heads and small bodies leave as a single latin1 string write, which costs
// one syscall and no buffer; larger pieces go as they are.

import type { Socket } from 'node:net';
import { flushSoon, type Flushable } from './flush-queue.ts';

const textLimit = 16 * 1024;
/** A larger piece that nothing waits in front of, or that is gathered anyway, is not worth turning into text. */
const pieceLimit = 4 * 1024;

/** Copies of what is read into a shared buffer: used again once written, or large bodies are mostly garbage collection. */
const copyBytes = 64 * 1024;
const keptCopies = 64;
const copies: Buffer[] = [];

export class WireWriter implements Flushable {
  /** Bytes handed over so far. */
  bytes = 0;
  private readonly socket: Socket;
  private readonly gather: boolean;
  private corked = false;
  private text = '';

  /** `gather`: larger pieces wait for `flush` too, and leave with the rest in one write. */
  constructor(socket: Socket, gather = false) {
    this.socket = socket;
    this.gather = gather;
  }

  add(text: string): void {
    this.text += text;
    this.bytes += text.length;
  }

  /** `shared`: the bytes change after the call, so they are copied. */
  data(bytes: Buffer, start: number, end: number, shared: boolean): void {
    this.bytes += end - start;
    const length = end - start;
    const asText = length <= pieceLimit || (!this.gather && this.text !== '');
    if (asText && length + this.text.length <= textLimit) {
      this.text += bytes.toString('latin1', start, end);
      return;
    }
    if (!this.corked) {
      this.corked = true;
      this.socket.cork();
      // What TLS hands over record by record leaves in one write.
      if (!this.gather) flushSoon(this);
    }
    this.writeText();
    if (!this.socket.writable) return;
    if (shared) writeCopy(this.socket, bytes, start, end);
    else this.socket.write(bytes.subarray(start, end));
  }

  /** Writes what was gathered, at the latest at the end of this turn. False = wait for `drain` before adding more. */
  flush(): boolean {
    if (this.gather) this.flushNow();
    else this.writeText();
    return !this.socket.writableNeedDrain;
  }

  flushNow(): void {
    this.writeText();
    if (!this.corked) return;
    this.corked = false;
    this.socket.uncork();
  }

  private writeText(): void {
    const { text } = this;
    if (text === '') return;
    this.text = '';
    if (this.socket.writable) this.socket.write(text, 'latin1');
  }
}

function writeCopy(socket: Socket, bytes: Buffer, start: number, end: number): void {
  if (end - start > copyBytes || end - start < copyBytes / 4) {
    socket.write(Buffer.from(bytes.subarray(start, end)));
    return;
  }
  const copy = copies.pop() ?? Buffer.allocUnsafeSlow(copyBytes);
  bytes.copy(copy, 0, start, end);
  socket.write(copy.subarray(0, end - start), () => {
    if (copies.length < keptCopies) copies.push(copy);
  });
}

/** One chunk of chunked coding. */
export function writeChunk(out: WireWriter, bytes: Buffer, start: number, end: number, shared: boolean): void {
  if (end === start) return;
  out.add(`${(end - start).toString(16)}\r\n`);
  out.data(bytes, start, end, shared);
  out.add('\r\n');
}

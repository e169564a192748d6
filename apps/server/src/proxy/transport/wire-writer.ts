// Output of one socket, gathered over one read event: heads and small bodies leave as a single latin1 string write, which costs
// one syscall and no buffer; larger pieces go as they are.

import type { Socket } from 'node:net';

const textLimit = 16 * 1024;

export class WireWriter {
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
    if (end - start + this.text.length <= textLimit) {
      this.text += bytes.toString('latin1', start, end);
      return;
    }
    if (this.gather && !this.corked) {
      this.corked = true;
      this.socket.cork();
    }
    this.writeText();
    const slice = bytes.subarray(start, end);
    if (this.socket.writable) this.socket.write(shared ? Buffer.from(slice) : slice);
  }

  /** Writes what was gathered. False = wait for `drain` before adding more. */
  flush(): boolean {
    this.writeText();
    if (this.corked) {
      this.corked = false;
      this.socket.uncork();
    }
    return !this.socket.writableNeedDrain;
  }

  private writeText(): void {
    const { text } = this;
    if (text === '') return;
    this.text = '';
    if (this.socket.writable) this.socket.write(text, 'latin1');
  }
}

/** One chunk of chunked coding. */
export function writeChunk(out: WireWriter, bytes: Buffer, start: number, end: number, shared: boolean): void {
  if (end === start) return;
  out.add(`${(end - start).toString(16)}\r\n`);
  out.data(bytes, start, end, shared);
  out.add('\r\n');
}

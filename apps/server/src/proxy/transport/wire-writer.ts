// Output of one socket, gathered over one read event: heads and small bodies leave as a single latin1 string write, which costs
// one syscall and no buffer; larger pieces go as they are.

import type { Socket } from 'node:net';

const textLimit = 16 * 1024;

export class WireWriter {
  /** Bytes handed over so far. */
  bytes = 0;
  private readonly socket: Socket;
  private text = '';

  constructor(socket: Socket) {
    this.socket = socket;
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
    this.flush();
    const slice = bytes.subarray(start, end);
    if (this.socket.writable) this.socket.write(shared ? Buffer.from(slice) : slice);
  }

  /** Writes what was gathered. False = wait for `drain` before adding more. */
  flush(): boolean {
    if (this.text !== '') {
      const { text } = this;
      this.text = '';
      if (this.socket.writable) this.socket.write(text, 'latin1');
    }
    return !this.socket.writableNeedDrain;
  }
}

/** One chunk of chunked coding. */
export function writeChunk(out: WireWriter, bytes: Buffer, start: number, end: number, shared: boolean): void {
  if (end === start) return;
  out.add(`${(end - start).toString(16)}\r\n`);
  out.data(bytes, start, end, shared);
  out.add('\r\n');
}

// A connection without a socket: what is fed comes out at Node's side, what Node writes is kept.

import { Duplex } from 'node:stream';

export class Pipe extends Duplex {
  received = '';

  constructor() {
    super();
    this.on('error', () => undefined);
  }

  feed(bytes: string): void {
    this.push(Buffer.from(bytes, 'latin1'));
  }

  override _read(): void {}

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.received += chunk.toString('latin1');
    done();
  }
}

// Output of one socket, gathered over one turn of the event loop: heads and small bodies leave as a single latin1 string write, which
// costs one syscall and no buffer; larger pieces are laid one behind the other and leave in one write.

import type { Socket } from 'node:net';
import { DirectWrites } from './direct-writes.ts';
import { flushSoon, type Flushable } from './flush-queue.ts';

const textLimit = 16 * 1024;
/** A larger piece that nothing waits in front of, or that is gathered anyway, is not worth turning into text. */
const pieceLimit = 4 * 1024;

/** Where larger pieces are laid: used again once written, or large bodies are mostly garbage collection. */
export class StagePool {
  readonly bytes: number;
  private readonly most: number;
  private readonly free: Buffer[] = [];

  /** Stages of so many bytes; at most `most` that nobody uses are kept. */
  constructor(bytes: number, most: number) {
    this.bytes = bytes;
    this.most = most;
  }

  take(): Buffer {
    return this.free.pop() ?? Buffer.allocUnsafeSlow(this.bytes);
  }

  give(stage: Buffer): void {
    if (this.free.length < this.most) this.free.push(stage);
  }
}

const largeBodies = new StagePool(128 * 1024, 32);

export class WireWriter implements Flushable {
  /** Bytes handed over so far. */
  bytes = 0;
  /** Hears of each stage that has been written. */
  onStageWritten: () => void = () => undefined;
  private readonly socket: Socket;
  private readonly direct: DirectWrites;
  private readonly gather: boolean;
  private readonly stages: StagePool;
  private text = '';
  private stage: Buffer | undefined;
  private staged = 0;
  private scheduled = false;
  /** Stages being written, oldest first. */
  private readonly writing: Buffer[] = [];
  private readonly onWritten = (error?: Error | null): void => {
    const stage = this.writing.shift();
    if (stage === undefined || error != null) return;
    this.stages.give(stage);
    this.onStageWritten();
  };

  /** `gather`: small pieces behind a head need not leave with it as text. */
  constructor(socket: Socket, gather = false, stages: StagePool = largeBodies) {
    // Said once: an encoding that comes with each write is looked up for each.
    this.socket = socket.setDefaultEncoding('latin1');
    this.direct = new DirectWrites(socket);
    this.gather = gather;
    this.stages = stages;
  }

  /** A stage is on its way. */
  get busy(): boolean {
    return this.writing.length > 0;
  }

  /** Bytes written that the system has yet to take. */
  get unsent(): number {
    return this.socket.writableLength + this.direct.waiting;
  }

  add(text: string): void {
    this.text += text;
    this.bytes += text.length;
  }

  /** The bytes are copied. */
  data(bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    this.bytes += length;
    const asText = length <= pieceLimit || (!this.gather && this.text !== '' && this.stage === undefined);
    if (asText && length + this.text.length <= textLimit) {
      this.text += bytes.toString('latin1', start, end);
      return;
    }
    this.stageText();
    for (let at = start; at < end;) {
      const stage = (this.stage ??= this.stages.take());
      const stop = Math.min(end, at + stage.length - this.staged);
      bytes.copy(stage, this.staged, at, stop);
      this.staged += stop - at;
      at = stop;
      if (this.staged === stage.length) this.writeStage();
    }
  }

  /** All of it leaves at the end of this turn. False = wait for `drain` before adding more. */
  flush(): boolean {
    if (!this.scheduled) {
      this.scheduled = true;
      flushSoon(this);
    }
    return !this.socket.writableNeedDrain;
  }

  flushNow(): void {
    this.scheduled = false;
    if (this.stage === undefined) this.writeText();
    else {
      this.stageText();
      this.writeStage();
    }
  }

  end(): void {
    this.flushNow();
    this.socket.end();
  }

  private writeText(): void {
    const { text } = this;
    if (text === '') return;
    this.text = '';
    if (this.socket.writable && !(text.length <= textLimit && this.direct.write(text))) this.socket.write(text);
  }

  private stageText(): void {
    let { text } = this;
    this.text = '';
    while (text !== '') {
      const stage = (this.stage ??= this.stages.take());
      const length = stage.write(text, this.staged, 'latin1');
      this.staged += length;
      text = text.slice(length);
      if (this.staged === stage.length) this.writeStage();
    }
  }

  private writeStage(): void {
    const { stage } = this;
    if (stage === undefined) return;
    const { staged } = this;
    this.stage = undefined;
    this.staged = 0;
    const { socket } = this;
    const bytes = stage.subarray(0, staged);
    if (socket.writable && (staged > stage.length / 2 || this.unsent === 0)) {
      this.writing.push(stage);
      socket.write(bytes, this.onWritten);
      return;
    }
    // A reader that is behind must not hold a stage for every small piece.
    if (socket.writable) socket.write(Buffer.from(bytes));
    this.stages.give(stage);
  }
}

/** One chunk of chunked coding. */
export function writeChunk(out: WireWriter, bytes: Buffer, start: number, end: number): void {
  if (end === start) return;
  out.add(`${(end - start).toString(16)}\r\n`);
  out.data(bytes, start, end);
  out.add('\r\n');
}

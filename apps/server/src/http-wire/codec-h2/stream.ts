// One HTTP/2 stream, either role: its windows, what it still has to send, and how it ends.

import { defaultWindow, ErrorCode, Flag, frameHead, frameHeadBytes, FrameType, headersFrames } from './frames.ts';
import { WireMeter } from '../socket/wire-meter.ts';
import type { Http2Session } from './session.ts';

/** What a peer may send on a stream before it is read on; also what a stalled reader costs at most. */
export const streamWindow = 128 * 1024;
/** Small pieces are gathered into one frame of at most this; larger ones go as they are. */
const tailLimit = 16 * 1024;
const pieceLimit = 4 * 1024;

/** `remote-reset`: the peer ended it; `refused`: by GOAWAY it has not looked at it; `protocol`: it broke a rule; `connection`: it ended. */
export type StreamEnd = 'remote-reset' | 'refused' | 'protocol' | 'connection';

export abstract class Http2Stream {
  id = 0;
  sendWindow: number = defaultWindow;
  receiveWindow: number = streamWindow;
  localClosed = false;
  remoteClosed = false;
  /** Of this stream. */
  meter: WireMeter = new WireMeter();
  /** In the list of those the read at hand has touched. */
  touched = false;
  protected readonly session: Http2Session;
  private paused = false;
  private unacknowledged = 0;
  /** Body octets the peer announced and has not sent; -1 = it announced none. */
  private expected = -1;
  private tail = '';
  private queue: Buffer[] = [];
  private queued = 0;
  private endWaiting: string | undefined;
  private wantsDrain = false;

  constructor(session: Http2Session) {
    this.session = session;
  }

  protected abstract onData(bytes: Buffer, start: number, end: number): void;
  protected abstract onEnd(trailers: string): void;
  /** `code`: of a reset. */
  abstract onAborted(kind: StreamEnd, code: number): void;
  protected abstract onDrain(): void;
  /** All has been sent, and the peer is still sending. */
  protected abstract onLocalEnd(): void;
  /** Both sides are done; the stream is out of the session. */
  protected abstract onClosed(): void;
  /** The end of a read that touched the stream. */
  abstract onReadEnd(): void;

  protected open(id: number): void {
    this.id = id;
    this.sendWindow = this.session.peerWindow;
    this.receiveWindow = streamWindow;
    this.localClosed = this.remoteClosed = this.touched = this.paused = this.wantsDrain = false;
    this.unacknowledged = this.queued = 0;
    this.expected = -1;
    this.tail = '';
    this.queue = [];
    this.endWaiting = undefined;
  }

  protected expect(contentLength: number): void {
    this.expected = contentLength;
  }

  /** Frame `length` bytes long, padding included; false = beyond the window. */
  charge(length: number): boolean {
    this.receiveWindow -= length;
    this.unacknowledged += length;
    this.meter.received += length + frameHeadBytes;
    return this.receiveWindow >= 0;
  }

  /** A header block of so many bytes. */
  chargeHeaders(length: number): void {
    this.meter.received += length + frameHeadBytes;
    this.meter.headersReceived += length + frameHeadBytes;
  }

  receive(bytes: Buffer, start: number, end: number): void {
    if (end === start) return;
    if (this.expected >= 0 && (this.expected -= end - start) < 0) return this.breakOff();
    this.session.touch(this);
    this.onData(bytes, start, end);
  }

  receiveEnd(trailers: string): void {
    if (this.expected > 0) return this.breakOff();
    this.session.touch(this);
    this.remoteClosed = true;
    const { id } = this;
    this.onEnd(trailers);
    // Its owner may have closed it, and even begun anew.
    if (this.localClosed && this.id === id) this.close();
  }

  /** Lets the peer send on what it has sent, unless the reader is behind. */
  acknowledge(): void {
    if (this.paused || this.remoteClosed || this.unacknowledged * 2 < streamWindow) return;
    this.session.windowUpdate(this.id, this.unacknowledged);
    this.receiveWindow += this.unacknowledged;
    this.unacknowledged = 0;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.acknowledge();
  }

  protected sendHeaders(block: string, endStream: boolean): void {
    if (this.localClosed) return;
    const frames = headersFrames(this.id, block, endStream, this.session.peerMaxFrame);
    this.meter.headersSent += frames.length;
    this.write(frames);
    if (endStream) this.closeLocal();
  }

  data(bytes: Buffer, start: number, end: number, shared: boolean): void {
    if (this.localClosed || end === start) return;
    if (this.queued === 0 && end - start <= pieceLimit && end - start + this.tail.length <= tailLimit) {
      this.tail += bytes.toString('latin1', start, end);
      return;
    }
    this.sendTail();
    let from = start;
    while (from < end) {
      const room = this.room();
      if (room <= 0) break;
      const length = Math.min(room, end - from);
      this.take(length);
      this.write(frameHead(length, FrameType.data, 0, this.id));
      this.session.out.data(bytes, from, from + length);
      this.meter.sent += length;
      from += length;
    }
    if (from < end) this.enqueue(shared ? Buffer.from(bytes.subarray(from, end)) : bytes.subarray(from, end));
  }

  text(body: string): void {
    if (body === '' || this.localClosed) return;
    if (this.queued > 0 || body.length + this.tail.length > tailLimit) {
      const bytes = Buffer.from(body, 'latin1');
      this.data(bytes, 0, bytes.length, false);
    } else this.tail += body;
  }

  /** `trailers`: encoded, '' = none. */
  protected sendEnd(trailers: string): void {
    if (this.localClosed || this.endWaiting !== undefined) return;
    if (trailers !== '') this.sendTail();
    if (this.queued > 0 || (trailers === '' && this.tail.length > this.room())) {
      this.sendTail();
      if (this.queued > 0) {
        this.endWaiting = trailers;
        return;
      }
    }
    this.writeEnd(trailers);
  }

  /** False = wait for `onDrain`. */
  flush(): boolean {
    this.sendTail();
    this.session.flushSoon();
    if (this.queued === 0 && !this.session.choked) return true;
    this.wantsDrain = true;
    return false;
  }

  get isBlocked(): boolean {
    return this.queued > 0;
  }

  /** More room: windows have grown or the socket has drained. */
  pump(): void {
    while (this.queued > 0) {
      const first = this.queue[0] as Buffer;
      const length = Math.min(this.room(), first.length);
      if (length <= 0) return;
      this.take(length);
      this.write(frameHead(length, FrameType.data, 0, this.id));
      this.session.out.data(first, 0, length);
      this.meter.sent += length;
      this.queued -= length;
      if (length === first.length) this.queue.shift();
      else this.queue[0] = first.subarray(length);
    }
    if (this.endWaiting !== undefined) {
      const trailers = this.endWaiting;
      this.endWaiting = undefined;
      return this.writeEnd(trailers);
    }
    if (!this.wantsDrain || this.session.choked) return;
    this.wantsDrain = false;
    this.onDrain();
  }

  /** Ends a tunnel from this side, without telling its owner: with an end where windows keep back what is on its way, or it would be lost. */
  protected cancelTunnel(code: number): void {
    if (this.id !== 0) this.flush();
    if (this.isBlocked) this.sendEnd('');
    else this.cancel(code);
  }

  /** Ends the stream from this side, without telling its owner. */
  cancel(code: number): void {
    if (this.id === 0) return;
    this.session.sendReset(this.id, code);
    this.localClosed = this.remoteClosed = true;
    this.close();
  }

  /** The peer ended it, or is gone. */
  drop(kind: StreamEnd, code: number = ErrorCode.none): void {
    this.localClosed = this.remoteClosed = true;
    this.onAborted(kind, code);
    this.close();
  }

  /** The peer broke a rule that concerns this stream only. */
  breakOff(code: number = ErrorCode.protocol, kind: 'protocol' | 'remote-reset' = 'protocol'): void {
    this.session.sendReset(this.id, code);
    this.localClosed = this.remoteClosed = true;
    this.onAborted(kind, code);
    this.close();
  }

  private room(): number {
    return Math.min(this.sendWindow, this.session.sendWindow, this.session.peerMaxFrame);
  }

  private take(length: number): void {
    this.sendWindow -= length;
    this.session.sendWindow -= length;
    this.session.guard.earn(4);
  }

  private sendTail(): void {
    const { tail } = this;
    if (tail === '') return;
    this.tail = '';
    const length = Math.max(0, Math.min(this.room(), tail.length));
    if (length > 0) {
      this.take(length);
      this.write(frameHead(length, FrameType.data, 0, this.id) + (length === tail.length ? tail : tail.slice(0, length)));
    }
    if (length < tail.length) this.enqueue(Buffer.from(tail.slice(length), 'latin1'));
  }

  private writeEnd(trailers: string): void {
    const { tail } = this;
    this.tail = '';
    if (trailers !== '') return this.sendHeaders(trailers, true);
    if (tail !== '') this.take(tail.length);
    this.write(frameHead(tail.length, FrameType.data, Flag.endStream, this.id) + tail);
    this.closeLocal();
  }

  private enqueue(bytes: Buffer): void {
    this.queue.push(bytes);
    this.queued += bytes.length;
    this.session.markBlocked(this);
  }

  private write(frames: string): void {
    this.meter.sent += frames.length;
    this.session.out.add(frames);
    this.session.schedule();
  }

  private closeLocal(): void {
    this.localClosed = true;
    if (this.remoteClosed) this.close();
    else this.onLocalEnd();
  }

  private close(): void {
    if (this.id === 0) return;
    const { id } = this;
    this.id = 0;
    this.queue = [];
    this.queued = 0;
    this.tail = '';
    this.session.forget(id, this);
    this.onClosed();
  }
}

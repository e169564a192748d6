// An HTTP/2 connection from a client, whatever is served on it: preface, stream ids, requests read and checked, GOAWAY.

import type { RequestHead } from '../codec-h1/request-head.ts';
import { readDirectly, readShared } from '../socket/direct-reads.ts';
import { Fault, TrailerBlock } from './field-block.ts';
import { defaultFrameSize, ErrorCode, goawayFrame, largestWindow, preface } from './frames.ts';
import { RequestFields } from './request-fields.ts';
import { Http2Session, type SessionOptions } from './session.ts';
import type { Http2Stream } from './stream.ts';

export interface ServerSessionOptions extends SessionOptions {
  /** What a client may have open. */
  maxStreams: number;
  /** Extended CONNECT (RFC 8441) is offered. */
  allowConnect?: boolean;
  /** Nobody keeps bytes of a body beyond the call that hands them over. */
  sharedReads?: boolean;
}

/** Blocks are read one at a time, whole. */
const requestFields = new RequestFields();
const trailerFields = new TrailerBlock();

export abstract class Http2ServerSession extends Http2Session {
  protected draining: 'no' | 'announced' | 'acknowledged' = 'no';
  protected closed = false;
  private readonly maxStreams: number;
  private readonly connectAllowed: boolean;
  private prefaceLeft: string = preface;

  constructor(options: ServerSessionOptions) {
    super(options, defaultFrameSize);
    const { socket, maxStreams, allowConnect = false, sharedReads = false } = options;
    this.maxStreams = maxStreams;
    this.connectAllowed = allowConnect;
    this.sendSettings(true, maxStreams, allowConnect);
    (sharedReads ? readShared : readDirectly)(socket, (chunk) => this.onChunk(chunk));
    socket.on('error', () => socket.destroy());
  }

  /** What the next request is read into; it may turn out to be none. */
  protected abstract get nextHead(): RequestHead;
  /** The head is complete. `refused`: 0, or the status of a request that is to go no further. */
  protected abstract onRequest(id: number, endStream: boolean, refused: number): void;
  /** There was a head, but no request. */
  protected onMalformed(): void {}

  /** Tells the client to go elsewhere; what it has sent by the time it hears of it is still served. */
  drain(): void {
    if (this.draining !== 'no' || this.stopped) return;
    this.draining = 'announced';
    this.out.add(goawayFrame(largestWindow, ErrorCode.none));
    this.sendPing();
  }

  close(): void {
    if (this.closed) return;
    if (!this.stopped) this.out.add(goawayFrame(this.lastId, ErrorCode.none));
    this.out.flushNow();
    this.stopped = true;
    this.socket.destroySoon();
  }

  protected get lastPeerId(): number {
    return this.lastId;
  }

  protected isIdle(id: number): boolean {
    return id > this.lastId || (id & 1) === 0;
  }

  protected onHeaders(id: number, endStream: boolean, bytes: Buffer, start: number, end: number): void {
    const existing = this.streams.get(id);
    if (existing !== undefined) return this.onTrailers(existing, endStream, bytes, start, end);
    if ((id & 1) === 0) return this.onFrameError(ErrorCode.protocol, 'a client opens odd streams');
    if (id <= this.lastId) {
      if (!this.discardBlock(bytes, start, end) || this.wasReset(id)) return;
      return this.onFrameError(ErrorCode.streamClosed, 'HEADERS on a closed stream');
    }
    this.lastId = id;
    this.guard.earn(10);
    if (this.streams.size >= this.maxStreams) {
      if (!this.discardBlock(bytes, start, end)) return;
      if (!this.guard.spend(20)) return this.onFrameError(ErrorCode.enhanceYourCalm, 'more streams than allowed');
      return this.sendReset(id, ErrorCode.refusedStream);
    }
    requestFields.begin(this.nextHead);
    if (!this.decode(bytes, start, end, requestFields)) return this.onMalformed();
    const refused = requestFields.finish(end - start, endStream, this.connectAllowed);
    if (refused >= 0) return this.onRequest(id, endStream, refused);
    if (!this.guard.spend(15)) return this.onFrameError(ErrorCode.enhanceYourCalm, 'malformed requests');
    this.sendReset(id, ErrorCode.protocol);
    this.onMalformed();
  }

  private onTrailers(stream: Http2Stream, endStream: boolean, bytes: Buffer, start: number, end: number): void {
    trailerFields.start();
    if (!this.decode(bytes, start, end, trailerFields)) return;
    if (stream.remoteClosed) return stream.breakOff(ErrorCode.streamClosed);
    stream.chargeHeaders(end - start);
    if (!endStream || trailerFields.fault !== Fault.none) return stream.breakOff();
    stream.receiveEnd(trailerFields.lines);
  }

  private onChunk(chunk: Buffer): void {
    if (this.stopped) return;
    let start = 0;
    if (this.prefaceLeft !== '') {
      const length = Math.min(this.prefaceLeft.length, chunk.length);
      if (chunk.toString('latin1', 0, length) !== this.prefaceLeft.slice(0, length)) return this.onFrameError(ErrorCode.protocol, 'not the preface of HTTP/2');
      this.prefaceLeft = this.prefaceLeft.slice(length);
      start = length;
    }
    if (start < chunk.length) this.read(chunk, start, chunk.length);
  }
}

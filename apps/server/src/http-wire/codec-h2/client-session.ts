// An HTTP/2 connection to a server, whatever is asked on it: preface, stream ids, responses read and checked.

import type { ResponseHead } from '../codec-h1/response-head.ts';
import { Fault, TrailerBlock } from './field-block.ts';
import { ErrorCode, largeFrameSize, preface } from './frames.ts';
import { ResponseFields } from './response-fields.ts';
import { Http2Session, type SessionOptions } from './session.ts';
import type { Http2Stream } from './stream.ts';

/** A stream of this side. */
export interface RequestStream extends Http2Stream {
  /** What its response's head is read into. */
  readonly response: ResponseHead;
  /** The final head has come: what follows are trailers. */
  readonly headRead: boolean;
  /** The request was a HEAD. */
  readonly toHead: boolean;
  /** A checked head, in `response`. */
  onHead(endStream: boolean): void;
}

/** Blocks are read one at a time, whole. */
const responseFields = new ResponseFields();
const trailerFields = new TrailerBlock();

export abstract class Http2ClientSession extends Http2Session {
  constructor(options: SessionOptions) {
    super(options, largeFrameSize);
    this.lastId = -1;
    this.out.add(preface);
    this.sendSettings(false, 0, false);
  }

  /** The next id, for a stream whose head is sent now. */
  add(stream: RequestStream): number {
    this.lastId += 2;
    this.streams.set(this.lastId, stream);
    return this.lastId;
  }

  protected get lastPeerId(): number {
    return 0;
  }

  protected isIdle(id: number): boolean {
    return id > this.lastId || (id & 1) === 0;
  }

  /** A body without a head would reach the client as bytes of no message. */
  override onDataFrame(id: number, length: number, payload: number, endStream: boolean): void {
    super.onDataFrame(id, length, payload, endStream);
    const stream = this.dataStream as RequestStream | undefined;
    if (stream?.headRead === false) stream.breakOff();
  }

  protected onHeaders(id: number, endStream: boolean, bytes: Buffer, start: number, end: number): void {
    const stream = this.streams.get(id) as RequestStream | undefined;
    if (stream === undefined) {
      if (this.isIdle(id)) return this.onFrameError(ErrorCode.protocol, 'HEADERS on an idle stream');
      if (this.discardBlock(bytes, start, end) && !this.wasReset(id)) this.onFrameError(ErrorCode.streamClosed, 'HEADERS on a closed stream');
      return;
    }
    stream.chargeHeaders(end - start);
    if (stream.headRead) {
      trailerFields.start();
      if (!this.decode(bytes, start, end, trailerFields)) return;
      if (trailerFields.fault === Fault.tooLarge) return stream.breakOff(ErrorCode.internal, 'remote-reset');
      if (!endStream || trailerFields.fault !== Fault.none || stream.remoteClosed) return stream.breakOff();
      return stream.receiveEnd(trailerFields.lines);
    }
    responseFields.begin(stream.response);
    if (!this.decode(bytes, start, end, responseFields)) return;
    if (!responseFields.finish(end - start, endStream, stream.toHead))
      // Of a head beyond the limits Envoy tells as if the peer had reset the stream.
      return responseFields.fault === Fault.tooLarge ? stream.breakOff(ErrorCode.internal, 'remote-reset') : stream.breakOff();
    // Interim responses without end bring nothing forward.
    if (stream.response.status < 200 && !this.guard.spend(5)) return this.onFrameError(ErrorCode.enhanceYourCalm, '1xx flood');
    stream.onHead(endStream);
  }
}

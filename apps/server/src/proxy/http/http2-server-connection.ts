// An HTTP/2 connection from a client: opens streams, keeps its limits, drains.

import type { Socket } from 'node:net';
import { ErrorCode, frameHead, FrameType, goawayFrame, largestWindow, preface } from '../../http-wire/codec-h2/frames.ts';
import { TrailerBlock } from '../../http-wire/codec-h2/field-block.ts';
import { RequestFields } from '../../http-wire/codec-h2/request-fields.ts';
import { Http2Session } from '../../http-wire/codec-h2/session.ts';
import { readDirectly } from '../../http-wire/socket/direct-reads.ts';
import { WheelTimer, type TimerTarget } from '../transport/timer-wheel.ts';
import { defaultIdleMs, type ConnectionContext } from './downstream.ts';
import { Http2ServerStream } from './http2-server-stream.ts';

/** What a client may have open where the configuration does not say. */
const defaultMaxStreams = 100;
/** The preface and the first SETTINGS must be here by then. */
const prefaceTimeoutMs = 15_000;
const keptStreams = 100;

export class Http2ServerConnection extends Http2Session implements TimerTarget {
  private readonly context: ConnectionContext;
  private readonly maxStreams: number;
  private readonly connectAllowed: boolean;
  private readonly fields = new RequestFields();
  private readonly trailers = new TrailerBlock();
  private readonly free: Http2ServerStream[] = [];
  private readonly timer: WheelTimer = new WheelTimer(this);
  private readonly onRequest: () => void;
  private prefaceLeft: string = preface;
  private draining: 'no' | 'announced' | 'acknowledged' = 'no';
  private closed = false;

  constructor(socket: Socket, context: ConnectionContext, onRequest: () => void) {
    const options = context.manager.http2;
    super({ socket, clock: () => context.deps.clock() });
    this.context = context;
    this.onRequest = onRequest;
    this.maxStreams = options?.maxConcurrentStreams ?? defaultMaxStreams;
    this.connectAllowed = options?.allowConnect === true;
    this.sendSettings(true, this.maxStreams, this.connectAllowed);
    readDirectly(socket, (chunk) => this.onChunk(chunk));
    socket.on('end', () => this.shut());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.onClose());
    context.wheel.set(this.timer, prefaceTimeoutMs);
  }

  get idle(): boolean {
    return this.streams.size === 0 && this.draining !== 'announced';
  }

  /** Tells the client to go elsewhere; what it has sent by the time it hears of it is still served. */
  drain(): void {
    if (this.draining !== 'no' || this.stopped) return;
    this.draining = 'announced';
    this.out.add(goawayFrame(largestWindow, ErrorCode.none) + frameHead(8, FrameType.ping, 0, 0) + '\0\0\0\0weft');
    this.schedule();
  }

  close(): void {
    if (this.closed) return;
    if (!this.stopped) this.out.add(goawayFrame(this.lastId, ErrorCode.none));
    this.out.flushNow();
    this.stopped = true;
    this.socket.destroySoon();
  }

  onTimer(): void {
    if (this.stopped || this.closed) this.socket.destroy();
    else if (this.streams.size > 0) return;
    else if (this.draining === 'no' && this.settingsSeen) this.expire();
    else this.shut();
  }

  /** Idle or old: closes when the client has heard of it and nothing runs, without a word from it after the drain timeout. */
  expire(): void {
    this.drain();
    if (this.streams.size === 0) this.waitIdle();
  }

  protected get lastPeerId(): number {
    return this.lastId;
  }

  protected isIdle(id: number): boolean {
    return id > this.lastId || (id & 1) === 0;
  }

  protected onHeaders(id: number, endStream: boolean, bytes: Buffer, start: number, end: number): void {
    const existing = this.streams.get(id);
    if (existing !== undefined) return this.onTrailers(existing as Http2ServerStream, endStream, bytes, start, end);
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
    const stream = this.free.pop() ?? new Http2ServerStream(this, this.context, (freed) => this.release(freed));
    this.fields.begin(stream.request);
    if (!this.decode(bytes, start, end, this.fields)) return;
    const refused = this.fields.finish(end - start, endStream, this.connectAllowed);
    if (refused < 0) {
      this.free.push(stream);
      if (!this.guard.spend(15)) return this.onFrameError(ErrorCode.enhanceYourCalm, 'malformed requests');
      return this.sendReset(id, ErrorCode.protocol);
    }
    this.onRequest();
    if (this.streams.size === 0) this.context.wheel.clear(this.timer);
    stream.begin(id);
    this.streams.set(id, stream);
    if (refused === 0) return stream.start(endStream);
    stream.remoteClosed = endStream;
    stream.head(refused, '', `date: ${new Date().toUTCString()}\r\n`, 0, false);
    stream.finished();
  }

  private onTrailers(stream: Http2ServerStream, endStream: boolean, bytes: Buffer, start: number, end: number): void {
    this.trailers.start();
    if (!this.decode(bytes, start, end, this.trailers)) return;
    if (stream.remoteClosed) return stream.breakOff(ErrorCode.streamClosed);
    if (!endStream || this.trailers.malformed) return stream.breakOff();
    stream.receiveEnd(this.trailers.lines);
  }

  protected onGoaway(): void {
    // The client opens no more streams; those it has go on.
    this.drain();
  }

  protected onSettings(): void {
    if (this.streams.size === 0) this.waitIdle();
  }

  protected onPingAck(): void {
    if (this.draining !== 'announced') return;
    this.draining = 'acknowledged';
    if (this.streams.size === 0) this.shut();
  }

  protected onStreamGone(): void {
    if (this.streams.size === 0 && !this.stopped) this.waitIdle();
  }

  protected onBroken(): void {
    this.linger();
  }

  private release(stream: Http2ServerStream): void {
    if (this.free.length < keptStreams) this.free.push(stream);
  }

  private waitIdle(): void {
    const { drainTimeoutMs, idleTimeoutMs } = this.context.manager;
    if (this.draining === 'acknowledged') return this.shut();
    this.context.wheel.set(this.timer, this.draining === 'no' ? idleTimeoutMs || defaultIdleMs : drainTimeoutMs);
  }

  private linger(): void {
    this.context.wheel.set(this.timer, this.context.manager.delayedCloseTimeoutMs);
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

  /** Nothing more to come from this side once what runs has ended. */
  private shut(): void {
    if (this.closed) return;
    this.close();
    this.failAll('connection');
    this.linger();
  }

  private onClose(): void {
    this.closed = this.stopped = true;
    this.context.wheel.clear(this.timer);
    this.failAll('connection');
  }
}

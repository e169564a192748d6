// One HTTP/2 connection, either role: settings, windows, header blocks, streams, limits, and how it ends.

import type { Socket } from 'node:net';
import { flushSoon, type Flushable } from '../socket/flush-queue.ts';
import { type StagePool, WireWriter } from '../socket/wire-writer.ts';
import { FloodGuard } from './flood-guard.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import {
  defaultFrameSize,
  defaultWindow,
  ErrorCode,
  Flag,
  frameHead,
  FrameType,
  goawayFrame,
  largeFrameSize,
  largestWindow,
  rstFrame,
  Setting,
  settingsFrame,
  windowUpdateFrame,
} from './frames.ts';
import { HpackDecoder, type FieldSink } from './hpack-decoder.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { streamWindow, type Http2Stream, type StreamEnd } from './stream.ts';

/** Streams bound what is kept, so the connection as a whole need not hold anybody up. */
const connectionWindow = 16 * 1024 * 1024;
const maxBlockBytes = 64 * 1024;
const maxContinuations = 32;
/** Streams reset from here whose late frames are still expected. */
const rememberedResets = 1024;
/** As much as Envoy buffers per connection. */
const defaultUnsentBytes = 1024 * 1024;
/** A peer that lets so much wait unread, and asks for more answers to control frames, is cut off. */
const maxUnreadBytes = 4 * 1024 * 1024;

export interface SessionOptions {
  socket: Socket;
  clock: () => number;
  /** Unsent output above which streams are told to wait for `drain`. */
  unsentBytes?: number;
  stages?: StagePool;
}

export abstract class Http2Session implements FrameSink, Flushable {
  readonly out: WireWriter;
  readonly guard: FloodGuard;
  sendWindow: number = defaultWindow;
  peerWindow: number = defaultWindow;
  peerMaxFrame: number = defaultFrameSize;
  stopped = false;
  /** The rule of the connection its peer has broken, '' = none. */
  error = '';
  readonly socket: Socket;
  protected readonly streams: Map<number, Http2Stream> = new Map();
  protected readonly decoder: HpackDecoder = new HpackDecoder();
  protected peerMaxStreams: number = largestWindow;
  protected peerEnablesConnect = false;
  protected settingsSeen = false;
  /** Highest stream id the peer has opened (server) or we have (client). */
  protected lastId = 0;
  private readonly unsentBytes: number;
  private madeEncoder: HpackEncoder | undefined;
  private peerTableSize: number | undefined;
  private readonly reader: FrameReader;
  private readonly blocked: Set<Http2Stream> = new Set();
  private readonly resets: Set<number> = new Set();
  private touchedStreams: Http2Stream[] = [];
  private unacknowledged = 0;
  private receiveWindow = connectionWindow;
  protected dataStream: Http2Stream | undefined;
  private block: Buffer[] = [];
  private blockBytes = 0;
  private blockId = 0;
  private blockFlags = 0;
  private scheduled = false;
  private unansweredSettings = 0;
  private largestPush = 0;

  /** `frameSize`: the largest frame of the peer. */
  constructor(options: SessionOptions, frameSize: number) {
    this.socket = options.socket;
    this.out = new WireWriter(options.socket, true, options.stages);
    this.unsentBytes = options.unsentBytes ?? defaultUnsentBytes;
    this.guard = new FloodGuard(options.clock);
    this.reader = new FrameReader(this, frameSize);
    this.socket.on('drain', () => this.onSocketDrain());
  }

  /** Made when something is to be encoded with it: its tables take 8 KB. */
  get encoder(): HpackEncoder {
    if (this.madeEncoder === undefined) {
      this.madeEncoder = new HpackEncoder();
      if (this.peerTableSize !== undefined) this.madeEncoder.limit(this.peerTableSize);
    }
    return this.madeEncoder;
  }

  /** A request or response head, or trailers, in `bytes[start, end)`. Must be decoded in any case. */
  protected abstract onHeaders(id: number, endStream: boolean, bytes: Buffer, start: number, end: number): void;
  protected abstract onGoaway(lastId: number, code: number): void;
  protected abstract onSettings(): void;
  protected abstract onPingAck(): void;
  /** Last stream of the peer that was looked at. */
  protected abstract get lastPeerId(): number;
  /** Nobody has opened it yet. */
  protected abstract isIdle(id: number): boolean;

  protected sendSettings(server: boolean, maxConcurrentStreams: number, enableConnect: boolean): void {
    const settings: [number, number][] = [[Setting.initialWindowSize, streamWindow]];
    if (server) settings.push([Setting.maxConcurrentStreams, maxConcurrentStreams], [Setting.maxHeaderListSize, 60 * 1024]);
    else settings.push([Setting.enablePush, 0], [Setting.maxFrameSize, largeFrameSize]);
    if (server && enableConnect) settings.push([Setting.enableConnectProtocol, 1]);
    this.unansweredSettings++;
    this.largestPush = server ? 1 : 0;
    this.out.add(settingsFrame(settings) + windowUpdateFrame(0, connectionWindow - defaultWindow));
    this.schedule();
  }

  read(bytes: Buffer, start: number, end: number): void {
    this.reader.read(bytes, start, end);
    const touched = this.touchedStreams;
    if (touched.length > 0) {
      this.touchedStreams = [];
      for (const stream of touched) {
        stream.touched = false;
        stream.onReadEnd();
        if (stream.id !== 0) stream.acknowledge();
      }
    }
    if (this.unacknowledged * 2 >= connectionWindow) {
      this.windowUpdate(0, this.unacknowledged);
      this.receiveWindow += this.unacknowledged;
      this.unacknowledged = 0;
    }
  }

  /** A request or response has begun, but its head is not whole. */
  protected get headBegun(): boolean {
    return this.blockId !== 0 || this.reader.begun === FrameType.headers;
  }

  touch(stream: Http2Stream): void {
    if (stream.touched) return;
    stream.touched = true;
    this.touchedStreams.push(stream);
  }

  get choked(): boolean {
    return this.socket.writableNeedDrain && this.out.unsent >= this.unsentBytes;
  }

  schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    flushSoon(this);
  }

  /** With nobody else to wait for, at once. */
  flushSoon(): void {
    if (this.streams.size <= 1) this.flushNow();
    else this.schedule();
  }

  flushNow(): void {
    this.scheduled = false;
    this.out.flushNow();
  }

  protected sendPing(): void {
    this.out.add(`${frameHead(8, FrameType.ping, 0, 0)}\0\0\0\0weft`);
    this.schedule();
  }

  windowUpdate(id: number, increment: number): void {
    this.out.add(windowUpdateFrame(id, increment));
    this.schedule();
  }

  sendReset(id: number, code: number): void {
    if (this.resets.size >= rememberedResets) this.resets.clear();
    this.resets.add(id);
    this.out.add(rstFrame(id, code));
    this.schedule();
  }

  markBlocked(stream: Http2Stream): void {
    this.blocked.add(stream);
  }

  forget(id: number, stream: Http2Stream): void {
    this.streams.delete(id);
    this.blocked.delete(stream);
    this.onStreamGone();
  }

  protected abstract onStreamGone(): void;

  /** Decodes a block nobody wants, so that the table stays right. */
  protected discardBlock(bytes: Buffer, start: number, end: number): boolean {
    return this.decode(bytes, start, end, nobody);
  }

  protected decode(bytes: Buffer, start: number, end: number, sink: FieldSink): boolean {
    if (this.decoder.decode(bytes, start, end, sink)) return true;
    this.onFrameError(ErrorCode.compression, 'header block cannot be decoded');
    return false;
  }

  /** Whether late frames of a stream are to be ignored. */
  protected wasReset(id: number): boolean {
    return this.resets.has(id);
  }

  onFrameError(code: number, reason: string): void {
    if (this.stopped) return;
    this.stopped = true;
    this.error = reason;
    this.out.add(goawayFrame(this.lastPeerId, code));
    this.out.flushNow();
    this.socket.end();
    this.failAll('protocol');
    // What is still in flight is read to nothing, or the GOAWAY could be lost with a reset of the connection.
    this.socket.resume();
    this.onBroken();
  }

  protected abstract onBroken(): void;

  protected failAll(kind: StreamEnd, above = 0): void {
    for (const [id, stream] of this.streams) if (id > above) stream.drop(kind);
  }

  onDataFrame(id: number, length: number, payload: number, endStream: boolean): void {
    if (this.blockId !== 0) return this.onFrameError(ErrorCode.protocol, 'DATA inside a header block');
    this.dataStream = undefined;
    const stream = this.streams.get(id);
    if (stream === undefined && (id === 0 || this.isIdle(id))) return this.onFrameError(ErrorCode.protocol, 'DATA on an idle stream');
    this.receiveWindow -= length;
    this.unacknowledged += length;
    if (this.receiveWindow < 0) return this.onFrameError(ErrorCode.flowControl, 'connection window exceeded');
    if (payload > 0) this.guard.earn(1);
    else if (!endStream && !this.guard.spend(20)) return this.onFrameError(ErrorCode.enhanceYourCalm, 'empty DATA flood');
    if (stream === undefined) {
      if (!this.wasReset(id)) this.onFrameError(ErrorCode.streamClosed, 'DATA on a closed stream');
      return;
    }
    if (stream.remoteClosed) return stream.breakOff(ErrorCode.streamClosed);
    if (!stream.charge(length)) return stream.breakOff(ErrorCode.flowControl);
    this.dataStream = stream;
  }

  onDataBytes(id: number, bytes: Buffer, start: number, end: number): void {
    const stream = this.dataStream;
    if (stream !== undefined && stream.id === id) stream.receive(bytes, start, end);
  }

  onDataFrameEnd(id: number, endStream: boolean): void {
    const stream = this.dataStream;
    this.dataStream = undefined;
    if (endStream && stream !== undefined && stream.id === id) stream.receiveEnd('');
  }

  onFrame(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (this.blockId !== 0 && (type !== FrameType.continuation || id !== this.blockId))
      return this.onFrameError(ErrorCode.protocol, 'a header block was interrupted');
    if (!this.settingsSeen && (type !== FrameType.settings || (flags & Flag.ack) !== 0))
      return this.onFrameError(ErrorCode.protocol, 'SETTINGS must come first');
    switch (type) {
      case FrameType.headers:
        return this.headersFrame(flags, id, bytes, start, end);
      case FrameType.continuation:
        return this.continuationFrame(flags, id, bytes, start, end);
      case FrameType.priority:
        return this.priorityFrame(id, bytes, start, end);
      case FrameType.rstStream:
        return this.rstStreamFrame(id, bytes, start, end);
      case FrameType.settings:
        return this.settingsFrame(flags, id, bytes, start, end);
      case FrameType.pushPromise:
        return this.onFrameError(ErrorCode.protocol, 'push is off');
      case FrameType.ping:
        return this.pingFrame(flags, id, bytes, start, end);
      case FrameType.goaway:
        if (id !== 0) return this.onFrameError(ErrorCode.protocol, 'GOAWAY on a stream');
        if (end - start < 8) return this.onFrameError(ErrorCode.frameSize, 'GOAWAY');
        return this.onGoaway(bytes.readUInt32BE(start) & 0x7fffffff, bytes.readUInt32BE(start + 4));
      case FrameType.windowUpdate:
        return this.windowUpdateFrame(id, bytes, start, end);
      default:
        // Unknown frames mean nothing (§5.5), but cost.
        if (!this.guard.spend(1)) this.onFrameError(ErrorCode.enhanceYourCalm, 'frame flood');
    }
  }

  private headersFrame(flags: number, id: number, bytes: Buffer, from: number, to: number): void {
    let start = from;
    let end = to;
    if (id === 0) return this.onFrameError(ErrorCode.protocol, 'HEADERS on stream 0');
    if ((flags & Flag.padded) !== 0) {
      if (start >= end) return this.onFrameError(ErrorCode.frameSize, 'HEADERS');
      end -= bytes[start++] as number;
    }
    if ((flags & Flag.priority) !== 0) {
      if (end - start < 5) return this.onFrameError(ErrorCode.protocol, 'HEADERS too short for its flags');
      if ((bytes.readUInt32BE(start) & 0x7fffffff) === id) return this.onFrameError(ErrorCode.protocol, 'a stream cannot depend on itself');
      start += 5;
    }
    if (end < start) return this.onFrameError(ErrorCode.protocol, 'padding longer than the frame');
    if ((flags & Flag.endHeaders) !== 0) return this.onHeaders(id, (flags & Flag.endStream) !== 0, bytes, start, end);
    this.blockId = id;
    this.blockFlags = flags;
    this.block = [Buffer.from(bytes.subarray(start, end))];
    this.blockBytes = end - start;
  }

  private continuationFrame(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (this.blockId === 0) return this.onFrameError(ErrorCode.protocol, 'CONTINUATION without HEADERS');
    this.block.push(Buffer.from(bytes.subarray(start, end)));
    this.blockBytes += end - start;
    if (this.block.length > maxContinuations || this.blockBytes > maxBlockBytes) return this.onFrameError(ErrorCode.enhanceYourCalm, 'header block too large');
    if ((flags & Flag.endHeaders) === 0) return;
    const whole = Buffer.concat(this.block);
    this.block = [];
    this.blockId = 0;
    this.onHeaders(id, (this.blockFlags & Flag.endStream) !== 0, whole, 0, whole.length);
  }

  private priorityFrame(id: number, bytes: Buffer, start: number, end: number): void {
    if (id === 0) return this.onFrameError(ErrorCode.protocol, 'PRIORITY on stream 0');
    if (!this.guard.spend(1)) return this.onFrameError(ErrorCode.enhanceYourCalm, 'PRIORITY flood');
    const stream = this.streams.get(id);
    const code = end - start !== 5 ? ErrorCode.frameSize : (bytes.readUInt32BE(start) & 0x7fffffff) === id ? ErrorCode.protocol : ErrorCode.none;
    if (code === ErrorCode.none) return;
    if (stream === undefined) this.onFrameError(code, 'PRIORITY');
    else stream.breakOff(code);
  }

  private rstStreamFrame(id: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) return this.onFrameError(ErrorCode.frameSize, 'RST_STREAM');
    if (id === 0 || this.isIdle(id)) return this.onFrameError(ErrorCode.protocol, 'RST_STREAM on an idle stream');
    // A request begun and dropped costs more than it brings: rapid reset (CVE-2023-44487).
    if (!this.guard.spend(15)) return this.onFrameError(ErrorCode.enhanceYourCalm, 'RST_STREAM flood');
    const code = bytes.readUInt32BE(start);
    this.streams.get(id)?.drop('remote-reset', code);
  }

  private settingsFrame(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) return this.onFrameError(ErrorCode.protocol, 'SETTINGS on a stream');
    if ((flags & Flag.ack) !== 0) {
      if (end > start) this.onFrameError(ErrorCode.frameSize, 'SETTINGS acknowledgement with settings');
      else if (--this.unansweredSettings < 0) this.onFrameError(ErrorCode.protocol, 'SETTINGS acknowledged that were not sent');
      return;
    }
    if ((end - start) % 6 !== 0) return this.onFrameError(ErrorCode.frameSize, 'SETTINGS');
    if (!this.guard.spend(5) || !this.maySendControl()) return this.onFrameError(ErrorCode.enhanceYourCalm, 'SETTINGS flood');
    const window = this.peerWindow;
    for (let i = start; i < end; i += 6) {
      const code = this.applySetting(bytes.readUInt16BE(i), bytes.readUInt32BE(i + 2));
      if (code !== ErrorCode.none) return this.onFrameError(code, 'SETTINGS value');
    }
    this.settingsSeen = true;
    this.out.add(frameHead(0, FrameType.settings, Flag.ack, 0));
    this.schedule();
    // Behind the acknowledgement: a peer may not expect what its settings allow before that.
    if (this.peerWindow > window) for (const stream of [...this.blocked]) this.pump(stream);
    this.onSettings();
  }

  private applySetting(id: number, value: number): number {
    switch (id) {
      case Setting.headerTableSize:
        this.peerTableSize = value;
        this.madeEncoder?.limit(value);
        return ErrorCode.none;
      case Setting.enablePush:
        // Only a client may be pushed to.
        return value > this.largestPush ? ErrorCode.protocol : ErrorCode.none;
      case Setting.maxConcurrentStreams:
        this.peerMaxStreams = value;
        return ErrorCode.none;
      case Setting.initialWindowSize: {
        if (value > largestWindow) return ErrorCode.flowControl;
        const change = value - this.peerWindow;
        this.peerWindow = value;
        for (const stream of this.streams.values()) {
          stream.sendWindow += change;
          if (stream.sendWindow > largestWindow) return ErrorCode.flowControl;
        }
        return ErrorCode.none;
      }
      case Setting.maxFrameSize:
        if (value < defaultFrameSize || value > 2 ** 24 - 1) return ErrorCode.protocol;
        this.peerMaxFrame = Math.min(value, largeFrameSize);
        return ErrorCode.none;
      case Setting.enableConnectProtocol:
        this.peerEnablesConnect = value === 1;
        return value > 1 ? ErrorCode.protocol : ErrorCode.none;
      default:
        return ErrorCode.none;
    }
  }

  private pingFrame(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) return this.onFrameError(ErrorCode.protocol, 'PING on a stream');
    if (end - start !== 8) return this.onFrameError(ErrorCode.frameSize, 'PING');
    if ((flags & Flag.ack) !== 0) return this.onPingAck();
    if (!this.guard.spend(2) || !this.maySendControl()) return this.onFrameError(ErrorCode.enhanceYourCalm, 'PING flood');
    this.out.add(frameHead(8, FrameType.ping, Flag.ack, 0) + bytes.toString('latin1', start, end));
    this.schedule();
  }

  private windowUpdateFrame(id: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) return this.onFrameError(ErrorCode.frameSize, 'WINDOW_UPDATE');
    const increment = bytes.readUInt32BE(start) & 0x7fffffff;
    if (!this.guard.spend(1)) return this.onFrameError(ErrorCode.enhanceYourCalm, 'WINDOW_UPDATE flood');
    if (id === 0) {
      this.sendWindow += increment;
      if (increment === 0) return this.onFrameError(ErrorCode.protocol, 'WINDOW_UPDATE of 0');
      if (this.sendWindow > largestWindow) return this.onFrameError(ErrorCode.flowControl, 'connection window overflow');
      for (const stream of [...this.blocked]) this.pump(stream);
      return;
    }
    const stream = this.streams.get(id);
    if (stream === undefined) {
      if (this.isIdle(id)) this.onFrameError(ErrorCode.protocol, 'WINDOW_UPDATE on an idle stream');
      return;
    }
    if (increment === 0) return stream.breakOff();
    stream.sendWindow += increment;
    if (stream.sendWindow > largestWindow) return stream.breakOff(ErrorCode.flowControl);
    this.pump(stream);
  }

  private pump(stream: Http2Stream): void {
    this.blocked.delete(stream);
    stream.pump();
    if (stream.id !== 0 && stream.isBlocked) this.blocked.add(stream);
  }

  private maySendControl(): boolean {
    return this.out.unsent < maxUnreadBytes;
  }

  protected onSocketDrain(): void {
    for (const stream of [...this.streams.values()]) stream.pump();
  }
}

const nobody: FieldSink = { onField: () => undefined };

// A connection of gRPC clients on our own HTTP/2 codec, and the streams on it. Node's would cost a quarter more CPU for a push and its
// answer and 30 KB more per connection, and a thousand proxies have one each.

import type { Socket } from 'node:net';
import { RequestHead } from '../../http-wire/codec-h1/request-head.ts';
import { ErrorCode } from '../../http-wire/codec-h2/frames.ts';
import { plainBlock } from '../../http-wire/codec-h2/hpack-encoder.ts';
import { Http2ServerSession } from '../../http-wire/codec-h2/server-session.ts';
import { Http2Stream } from '../../http-wire/codec-h2/stream.ts';
import { StagePool } from '../../http-wire/socket/wire-writer.ts';

const MAX_CONCURRENT_STREAMS = 100;
const UNSENT_BYTES = 16_384;
/** A frame of a chunk, and a header block in front of it; at most 1 MB. From a write of 16,384 on TLS keeps a write buffer of twice that, as long as the connection lives. */
const stages = new StagePool(16_383, 64);
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
const HANG_UP_MS = 1_000;
/** For a client to read why its connection ends. */
const LINGER_MS = 1_000;

/** Lower-case names; the first of several values. */
export type Fields = Readonly<Record<string, string>>;

/** What comes of a stream. None of these is called after `closed`. */
export interface StreamListener {
  data(bytes: Uint8Array): void;
  /** The client sends no more. */
  ended(): void;
  /** What {@link GrpcStream.send} answered false for has left. */
  drained(): void;
  /** Both sides are done, or the stream was reset, or the connection is gone. */
  closed(): void;
}

export interface SessionHandler {
  /** A request, and the stream to answer it on; undefined = nobody listens to what follows. */
  request(stream: GrpcStream, request: { method: string; path: string; fields: Fields }): StreamListener | undefined;
  /** The connection is gone. */
  closed(): void;
}

/** Blocks are read one at a time, whole. */
const head = new RequestHead();

export class GrpcSession extends Http2ServerSession {
  readonly #handler: SessionHandler;
  /** When the next ping is due, or the answer to the last one (performance.now). */
  #due = performance.now() + KEEPALIVE_MS;
  #waiting = false;

  constructor(socket: Socket, handler: SessionHandler) {
    super({ socket, clock: () => performance.now(), maxStreams: MAX_CONCURRENT_STREAMS, unsentBytes: UNSENT_BYTES, stages });
    this.#handler = handler;
    this.out.onStageWritten = () => this.onSocketDrain();
    socket.on('end', () => this.close());
    socket.on('close', () => {
      this.closed = this.stopped = true;
      this.failAll('connection');
      handler.closed();
    });
    // It may have waited for its turn.
    socket.resume();
  }

  /** To be called about once a second. A peer that does not answer is gone, though its connection may look alive for many minutes. */
  keepAlive(now: number): void {
    if (now < this.#due) return;
    // Not before everything that has come is read: it may have been us who had no time.
    if (this.#waiting) return void setImmediate(() => this.#waiting && this.destroy());
    this.#waiting = true;
    this.#due = now + KEEPALIVE_TIMEOUT_MS;
    this.sendPing();
  }

  /** At once: what has not left is lost. */
  destroy(): void {
    this.socket.destroy();
  }

  /** One chunk at a time: two that wait would leave in one write. */
  override get choked(): boolean {
    return this.out.busy || super.choked;
  }

  protected get nextHead(): RequestHead {
    return head;
  }

  protected onRequest(id: number, endStream: boolean, refused: number): void {
    const stream = new GrpcStream(this, id);
    this.streams.set(id, stream);
    if (refused > 0) stream.refuse(refused);
    else stream.begin(this.#handler, head, endStream);
  }

  protected onPingAck(): void {
    this.#waiting = false;
    this.#due = performance.now() + KEEPALIVE_MS;
  }

  protected onBroken(): void {
    setTimeout(() => this.destroy(), LINGER_MS).unref();
  }

  protected onGoaway(): void {
    // The client opens no more streams; those it has go on.
  }

  protected onSettings(): void {
    // Nothing waits for them.
  }

  protected onStreamGone(): void {
    // A connection without calls stays.
  }
}

export class GrpcStream extends Http2Stream {
  #listener: StreamListener | undefined;
  #hangUp: NodeJS.Timeout | undefined;

  constructor(session: GrpcSession, id: number) {
    super(session);
    this.open(id);
  }

  begin(handler: SessionHandler, { method, path, fields: block, framing }: RequestHead, endStream: boolean): void {
    const fields: Record<string, string> = {};
    for (let i = 0; i < block.count; i += 1) fields[block.lowerName(i)] ??= block.value(i);
    this.expect(framing.contentLength);
    this.remoteClosed = endStream;
    this.#listener = handler.request(this, { method, path, fields });
    if (endStream) this.#listener?.ended();
  }

  /** Answers with a status of HTTP and nothing else. */
  refuse(status: number): void {
    this.respond(plainBlock([[':status', String(status)]]), true);
  }

  /** `block`: {@link plainBlock} */
  respond(block: string, endStream: boolean): void {
    this.sendHeaders(block, endStream);
    this.flush();
  }

  /** `bytes` may be used again. False = the next ones wait for `drained`. */
  send(bytes: Buffer): boolean {
    this.data(bytes, 0, bytes.length, true);
    return this.flush();
  }

  finish(trailers: string): void {
    this.sendEnd(trailers);
    this.flush();
  }

  protected onData(bytes: Buffer, start: number, end: number): void {
    this.#listener?.data(bytes.subarray(start, end));
  }

  protected onEnd(): void {
    this.#listener?.ended();
  }

  onAborted(): void {
    // `onClosed` follows.
  }

  onReadEnd(): void {
    // Messages are taken as they come.
  }

  protected onDrain(): void {
    this.#listener?.drained();
  }

  /** After our last frame the client ends its side too; one that does not is cut off. Not at once: some take a reset for the end of what they have not read yet. */
  protected onLocalEnd(): void {
    this.#hangUp = setTimeout(() => this.cancel(ErrorCode.none), HANG_UP_MS).unref();
  }

  protected onClosed(): void {
    clearTimeout(this.#hangUp);
    const listener = this.#listener;
    this.#listener = undefined;
    listener?.closed();
  }
}

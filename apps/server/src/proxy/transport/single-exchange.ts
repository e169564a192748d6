// One request on an HTTP/2 connection of its own: what a call to the control plane is, and a health check.

import type { Socket } from 'node:net';
import { ResponseHead } from '../../http-wire/codec-h1/response-head.ts';
import { Http2ClientSession, type RequestStream } from '../../http-wire/codec-h2/client-session.ts';
import { ErrorCode, goawayFrame } from '../../http-wire/codec-h2/frames.ts';
import { plainBlock } from '../../http-wire/codec-h2/hpack-encoder.ts';
import { Http2Stream, type StreamEnd } from '../../http-wire/codec-h2/stream.ts';
import { readDirectly } from '../../http-wire/socket/direct-reads.ts';

/** A peer that does not take the last words is cut off. */
const lingerMs = 1000;

export interface ExchangeListener {
  /** The final head. */
  head(response: ResponseHead): void;
  data(bytes: Uint8Array): void;
  /** The response is complete; `trailers` are lines. The last thing heard, as `failed` is. */
  end(trailers: string): void;
  failed(error: Error): void;
}

export class SingleExchange extends Http2ClientSession {
  private readonly stream: ExchangeStream;
  private readonly listener: ExchangeListener;
  private over = false;
  private answered: (() => void) | undefined;

  /** `fields`: pseudo-header fields first, names in lower case. The socket may still be connecting. */
  constructor(socket: Socket, fields: readonly (readonly [name: string, value: string])[], listener: ExchangeListener) {
    super({ socket, clock: () => performance.now() });
    this.listener = listener;
    this.stream = new ExchangeStream(this, plainBlock(fields));
    readDirectly(socket, (chunk) => this.stopped || this.read(chunk, 0, chunk.length));
    socket.on('error', (error) => this.fail(error));
    socket.on('close', () => this.fail(new Error('the connection was closed')));
  }

  write(bytes: Buffer): void {
    this.stream.data(bytes, 0, bytes.length, false);
    this.stream.flush();
  }

  /** Nothing more to send. */
  finish(): void {
    this.stream.finish();
  }

  ping(answered: () => void): void {
    this.answered = answered;
    this.sendPing();
  }

  /** Nothing more is heard. */
  close(): void {
    if (this.stopped) return;
    this.over = true;
    this.stream.cancel(ErrorCode.cancel);
    this.out.add(goawayFrame(0, ErrorCode.none));
    this.out.flushNow();
    this.stopped = true;
    this.socket.destroySoon();
    setTimeout(() => this.socket.destroy(), lingerMs).unref();
  }

  /** As `heardData` and `heardEnd`, of the stream. */
  heardHead(): void {
    if (!this.over) this.listener.head(this.stream.response);
  }

  heardEnd(trailers: string): void {
    if (this.over) return;
    this.over = true;
    this.listener.end(trailers);
    this.close();
  }

  heardData(bytes: Uint8Array): void {
    if (!this.over) this.listener.data(bytes);
  }

  fail(error: Error): void {
    this.stopped = true;
    this.socket.destroy();
    if (this.over) return;
    this.over = true;
    this.listener.failed(error);
  }

  protected onGoaway(lastId: number, code: number): void {
    // Said before a connection ends: what runs may go on until then.
    if (lastId < this.lastId || code !== ErrorCode.none) this.fail(new Error(`the server ended the connection (GOAWAY ${code})`));
  }

  protected onPingAck(): void {
    this.answered?.();
  }

  protected onSettings(): void {}

  protected onStreamGone(): void {}

  protected onBroken(): void {
    setTimeout(() => this.socket.destroy(), lingerMs).unref();
  }
}

class ExchangeStream extends Http2Stream implements RequestStream {
  readonly response: ResponseHead = new ResponseHead();
  headRead = false;
  readonly toHead = false;
  private readonly exchange: SingleExchange;

  constructor(exchange: SingleExchange, block: string) {
    super(exchange);
    this.exchange = exchange;
    this.open(exchange.add(this));
    this.sendHeaders(block, false);
  }

  finish(): void {
    this.sendEnd('');
    this.flush();
  }

  onHead(endStream: boolean): void {
    if (this.response.status < 200) return;
    this.headRead = true;
    this.exchange.heardHead();
    if (endStream && this.id !== 0) this.receiveEnd('');
  }

  protected onData(bytes: Buffer, start: number, end: number): void {
    if (this.headRead) this.exchange.heardData(bytes.subarray(start, end));
    else this.breakOff();
  }

  protected onEnd(trailers: string): void {
    this.exchange.heardEnd(trailers);
  }

  onAborted(kind: StreamEnd): void {
    this.exchange.fail(new Error(kind === 'protocol' ? 'the server does not speak HTTP/2 as it should' : 'the server ended the stream'));
  }

  onReadEnd(): void {}

  protected onDrain(): void {}

  protected onLocalEnd(): void {}

  protected onClosed(): void {}
}

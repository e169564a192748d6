// An HTTP/1.1 connection from a client: reads requests one after another, keeps what is pipelined until its turn.

import type { Socket } from 'node:net';
import { BodyReader, type BodySink } from '../../http-wire/codec-h1/body-reader.ts';
import { Body } from '../../http-wire/codec-h1/framing.ts';
import { codecError } from '../../http-wire/codec-h1/header-block.ts';
import { parseRequestHead, RequestHead } from '../../http-wire/codec-h1/request-head.ts';
import { readBuffer, readShared } from '../../http-wire/socket/direct-reads.ts';
import { WheelTimer, type TimerTarget } from '../transport/timer-wheel.ts';
import { WireMeter } from '../../http-wire/socket/wire-meter.ts';
import { WireWriter, writeChunk } from '../../http-wire/socket/wire-writer.ts';
import type { ConnectionContext, DownstreamStream } from './downstream.ts';
import type { Exchange } from './exchange.ts';
import { createExchange } from './grpc-web-exchange.ts';
import { noBodyStatus } from './heads.ts';
import { contentLengthLine, dateLine, reasonPhrase, serverLine, statusLine } from './kept-lines.ts';
import { tellRefused, tellUnrouted } from './record.ts';

/** A head that has begun must be complete by then where nothing else is configured. */
const headTimeoutMs = 60_000;

const httpsOnPlaintext = 'http1.https_url_on_plaintext_connection';

export class ServerConnection implements DownstreamStream, BodySink, TimerTarget {
  readonly meter: WireMeter = new WireMeter();
  private closing = false;
  private readonly socket: Socket;
  private readonly context: ConnectionContext;
  private readonly out: WireWriter;
  private readonly request = new RequestHead();
  private readonly body = new BodyReader();
  private readonly exchange: Exchange;
  private readonly timer = new WheelTimer(this);
  private state: 'head' | 'body' | 'waiting' | 'tunnel' | 'closed' = 'head';
  private rest: Buffer | undefined;
  private running = false;
  private headBegun = false;
  private chunkedOut = false;
  /** More of the response follows. */
  private paused = false;
  /** This response is the last of the connection. */
  private last = false;
  /** Of the last response, when it was last looked at. */
  private unsent = 0;
  private readonly onRequest: () => void;

  constructor(socket: Socket, context: ConnectionContext, onRequest: () => void) {
    this.socket = socket;
    this.context = context;
    this.onRequest = onRequest;
    this.out = new WireWriter(socket);
    this.exchange = createExchange(context, this);
    readShared(socket, (chunk) => this.onData(chunk));
    socket.on('drain', () => this.onDrain());
    socket.on('end', () => this.onEnd());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.onClose());
    this.waitIdle();
  }

  get bytesSent(): number {
    return this.out.bytes;
  }

  /** Nothing is running or half received. */
  get idle(): boolean {
    return this.state === 'head' && this.rest === undefined && !this.exchange.active;
  }

  /** The next response is the last. */
  drain(): void {
    this.closing = true;
  }

  close(): void {
    this.socket.destroy();
  }

  onTimer(): void {
    if (this.state === 'closed' && this.out.unsent < this.unsent) this.awaitClose();
    else if (this.state !== 'head') this.socket.destroy();
    else if (this.rest !== undefined) this.refuse(408, 'request_header_timeout', 'request header timeout');
    else this.expire();
  }

  /** Idle or old: who asks once more is answered and told; for who does not the connection closes when that has had its time. */
  expire(): void {
    const { drainTimeoutMs } = this.context.manager;
    const wasClosing = this.closing;
    this.closing = true;
    if (!this.idle) return;
    if (this.request.method === '') this.socket.destroy();
    else if (wasClosing || drainTimeoutMs === 0) this.linger();
    else this.context.wheel.set(this.timer, drainTimeoutMs);
  }

  interim(status: number, lines: string): void {
    if (this.request.minor === 0) return;
    this.out.add(`HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n${lines}\r\n`);
    this.out.flush();
  }

  head(status: number, lines: string, length: number, hasBody: boolean): void {
    const http11 = this.request.minor === 1;
    // An answer before the request is complete ends the connection: the rest of the request is not read.
    // So does an upgrade that was not taken: what follows it was not meant as HTTP. And a 400 of our own, as Envoy's.
    const { close, keepAlive } = this.request.framing;
    this.last = this.closing || !this.body.done || (http11 ? close : !keepAlive) || this.exchange.upgrading || this.exchange.badRequest;
    this.chunkedOut = hasBody && length < 0 && http11;
    let framing = '';
    if (length >= 0) framing = status === 204 ? '' : contentLengthLine(length);
    else if (this.chunkedOut) framing = 'transfer-encoding: chunked\r\n';
    else if (!hasBody && !noBodyStatus(status))
      framing = this.request.method !== 'HEAD' ? 'content-length: 0\r\n' : http11 ? 'transfer-encoding: chunked\r\n' : '';
    // What nobody has said the length of ends an HTTP/1.0 connection, even if it is nothing.
    if (!http11 && length < 0) this.last = true;
    const connection = this.last ? 'connection: close\r\n' : http11 ? '' : 'connection: keep-alive\r\n';
    this.meter.headersSent = lines.length + framing.length + connection.length;
    this.out.add(`${statusLine(this.request.minor, status)}${lines}${framing}${connection}\r\n`);
  }

  data(bytes: Buffer, start: number, end: number): void {
    if (this.chunkedOut) writeChunk(this.out, bytes, start, end);
    else this.out.data(bytes, start, end);
  }

  text(body: string): void {
    this.out.add(this.chunkedOut ? `${body.length.toString(16)}\r\n${body}\r\n` : body);
  }

  end(trailers: string): void {
    if (this.chunkedOut) this.out.add(`0\r\n${trailers}\r\n`);
  }

  flush(): boolean {
    return this.out.flush();
  }

  pause(): void {
    if (this.paused) return;
    this.paused = true;
    this.socket.pause();
  }

  private readOn(): void {
    if (!this.paused) return;
    this.paused = false;
    this.socket.resume();
  }

  resume(): void {
    // What is pipelined waits unread.
    if (this.state === 'body' || this.state === 'tunnel' || (this.state === 'waiting' && this.rest === undefined)) this.readOn();
  }

  reset(): void {
    // A tunnel has no end of its own that could be missed.
    if (this.state === 'tunnel') return this.linger();
    this.out.flushNow();
    this.socket.destroy();
  }

  tunnel(lines: string, upgrade: string): void {
    this.chunkedOut = false;
    this.out.add(`${statusLine(1, 101)}${lines}connection: upgrade\r\nupgrade: ${upgrade}\r\n\r\n`);
    this.state = 'tunnel';
    const early = this.rest;
    this.rest = undefined;
    if (early !== undefined) this.exchange.onTunnelData(early, 0, early.length);
    this.readOn();
  }

  tunnelEnd(): void {
    this.linger();
  }

  finished(): void {
    if (this.state === 'closed') return;
    // The end of the request may still be in the read being handed over.
    if (this.state === 'body' && this.exchange.reading && !this.last) return;
    if (this.last || this.state === 'body') return this.linger();
    this.state = 'head';
    this.proceed();
  }

  onBodyData(bytes: Buffer, start: number, end: number): void {
    this.exchange.onRequestData(bytes, start, end);
  }

  private waitIdle(): void {
    this.context.wheel.setUnlessZero(this.timer, this.context.manager.idleTimeoutMs);
  }

  /** After a response: what is pipelined, once the client has taken what it was sent. */
  private proceed(): void {
    if (this.running || this.socket.writableNeedDrain) return;
    if (this.rest !== undefined) {
      const { rest } = this;
      this.rest = undefined;
      // What is pipelined may be no more than a part: the rest of it is read, unless it has to wait for another reason.
      this.readOn();
      this.run(rest);
    }
    if (this.state === 'head') {
      if (this.rest === undefined) this.waitIdle();
      if (!this.socket.writableNeedDrain) this.readOn();
    }
  }

  private onDrain(): void {
    this.exchange.onDownstreamDrain();
    if (this.state === 'head') this.proceed();
  }

  private onData(chunk: Buffer): void {
    if (this.state === 'closed') return;
    if (this.state !== 'tunnel') return this.run(chunk);
    this.meter.received += chunk.length;
    this.exchange.onTunnelData(chunk, 0, chunk.length);
  }

  private run(chunk: Buffer): void {
    let bytes = chunk;
    if (this.rest !== undefined) {
      bytes = Buffer.concat([this.rest, chunk]);
      // Nothing can be complete without a line end.
      if (this.state === 'head' && !chunk.includes(0x0a) && bytes.length < 60 * 1024) {
        this.rest = bytes;
        return;
      }
      this.rest = undefined;
    }
    this.running = true;
    this.exchange.reading = true;
    let i = 0;
    while (i < bytes.length && this.state !== 'waiting' && this.state !== 'closed' && this.state !== 'tunnel') {
      if (this.state === 'head') {
        if (this.socket.writableNeedDrain) break;
        const next = parseRequestHead(bytes, i, bytes.length, this.request);
        if (next < 0) {
          this.refuse(-next, this.request.fields.refusal);
          break;
        }
        if (next === 0) {
          // Once a head: one line at a time must not buy more of it.
          if (!this.headBegun) this.context.wheel.set(this.timer, this.context.manager.requestHeadersTimeoutMs || headTimeoutMs);
          this.headBegun = true;
          break;
        }
        i = next;
        this.beginRequest();
        continue;
      }
      const before = i;
      i = this.body.feed(bytes, i, bytes.length, this);
      this.meter.received += i - before;
      if (this.body.failed) {
        this.refuse(400, codecError);
        break;
      }
      if (this.body.done) this.endRequest();
    }
    this.exchange.reading = false;
    this.running = false;
    this.afterRead(bytes, i);
  }

  private afterRead(bytes: Buffer, position: number): void {
    if (this.state === 'closed') return;
    if (position < bytes.length) {
      if (this.state === 'tunnel') return this.exchange.onTunnelData(bytes, position, bytes.length);
      this.rest = bytes.subarray(position);
      // What was read last is read over next; what was kept before is kept.
      if (bytes.buffer === readBuffer.buffer) this.rest = Buffer.from(this.rest);
      if (this.state === 'waiting' || this.socket.writableNeedDrain) this.pause();
    }
    if (this.exchange.active) this.exchange.onRequestFlush();
    // The answer came before the request was complete.
    else if (this.state === 'body') this.linger();
  }

  private beginRequest(): void {
    const { framing } = this.request;
    this.context.wheel.clear(this.timer);
    this.headBegun = false;
    this.meter.clear();
    this.meter.received = this.request.bytes;
    this.meter.headersReceived = this.request.fields.lineBytes;
    if (this.request.minor === 0 && !this.context.manager.acceptHttp10) return this.refuse(426, 'low_version');
    // As in Envoy, where the client is whoever connects.
    if (this.request.scheme === 'https' && !this.context.tls && this.context.manager.useRemoteAddress) return this.refuse(403, httpsOnPlaintext);
    this.onRequest();
    const mode = framing.chunked ? Body.chunked : framing.contentLength > 0 ? Body.length : Body.none;
    this.body.start(mode, framing.contentLength);
    this.state = 'body';
    const hidesLength = framing.named !== undefined && framing.named.includes('content-length');
    if (hidesLength) framing.contentLength = -1;
    this.exchange.begin(this.request, hidesLength && mode === Body.length ? Body.chunked : mode);
    if (this.body.done && this.isReading()) this.endRequest();
  }

  private isReading(): boolean {
    return this.state === 'body';
  }

  private endRequest(): void {
    // Answered already: the connection is free for the next one.
    this.state = this.exchange.active ? 'waiting' : 'head';
    this.exchange.onRequestEnd(this.body.trailers);
    if (!this.exchange.active) this.out.flush();
  }

  /** A message that cannot be trusted: say so if nothing was said, and never read on. */
  private refuse(status: number, details: string, words: string = reasonPhrase(status)): void {
    if (this.exchange.active) return this.exchange.onDownstreamBroken();
    const { serverName } = this.context.manager;
    // As Envoy: what its codec refuses is told in words; what has no route (CONNECT), or is too old, is not.
    const ofCodec = details.startsWith('http');
    const [type, body] = ofCodec || status === 408 ? ['content-type: text/plain\r\n', words] : ['', ''];
    const lines = `content-length: ${body.length}\r\n${type}${serverLine(serverName)}connection: close\r\n${dateLine()}`;
    this.out.add(`${statusLine(this.context.manager.acceptHttp10 ? this.request.minor : 1, status)}${lines}\r\n${body}`);
    if (status === 404) tellUnrouted(this.context, this.request, 'HTTP/1.1');
    else tellRefused(this.context, { status, responseFlags: ofCodec ? 'DPE' : '-', details, responseBodyBytes: body.length });
    this.linger();
  }

  private linger(): void {
    this.state = 'closed';
    this.out.end();
    this.readOn();
    this.rest = undefined;
    if (this.context.manager.delayedCloseTimeoutMs === 0) this.socket.destroySoon();
    else this.awaitClose();
  }

  /** Begins anew while the client takes what it is sent. */
  private awaitClose(): void {
    this.unsent = this.out.unsent;
    this.context.wheel.set(this.timer, this.context.manager.delayedCloseTimeoutMs);
  }

  private onEnd(): void {
    if (this.state === 'head' && !this.exchange.active) this.out.end();
    else if (this.state !== 'closed') this.socket.destroy();
  }

  private onClose(): void {
    this.context.wheel.clear(this.timer);
    if (this.state === 'head' && this.rest !== undefined) tellRefused(this.context, { responseFlags: 'DC', details: 'downstream_remote_disconnect' });
    this.state = 'closed';
    this.exchange.onDownstreamClosed();
  }
}

// One HTTP/1.1 connection to an endpoint: send, read, go back to the pool.

import type { Socket } from 'node:net';
import { BodyReader, type BodySink } from '../../http-wire/codec-h1/body-reader.ts';
import { Field } from '../../http-wire/codec-h1/field-kinds.ts';
import { Body } from '../../http-wire/codec-h1/framing.ts';
import { parseResponseHead, ResponseHead } from '../../http-wire/codec-h1/response-head.ts';
import { WheelTimer, type TimerTarget, type TimerWheel } from '../transport/timer-wheel.ts';
import { unread } from '../../http-wire/socket/wire-meter.ts';
import { WireWriter, writeChunk } from '../../http-wire/socket/wire-writer.ts';
import type { Reader } from './dial.ts';
import { discardLimit, discardMs, PLAIN_CONNECT, type StreamFailure, type UpstreamEvents, type UpstreamRequest, type UpstreamStream } from './stream.ts';

/** For the peer of a tunnel to take what is on its way after the client has gone. */
const lingerMs = 1000;
/** Interim responses to one request; more are a flood. */
const maxInterims = 100;

/** Methods whose requests have no body; of others an empty one is said to be empty, as Envoy does. */
const bodylessMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'TRACE', 'CONNECT']);

function noLength(method: string): string {
  return method === 'GET' || bodylessMethods.has(method) ? '' : 'content-length: 0\r\n';
}

type State = 'idle' | 'busy' | 'tunnel' | 'closed';

export interface ConnectionOwner {
  /** Free for the next request. */
  onReleased(connection: Http1Connection): void;
  onGone(connection: Http1Connection): void;
}

export class Http1Connection implements UpstreamStream, BodySink, Reader, TimerTarget {
  state: State = 'idle';
  served = 0;
  /** How long the peer says it keeps an idle connection, ms; 0 = unknown. */
  peerKeepAliveMs = 0;
  /** Clock from which on it takes no more requests; 0 = never. */
  expiresAt = 0;
  readonly timer: WheelTimer = new WheelTimer(this);
  private readonly owner: ConnectionOwner;
  private readonly wheel: TimerWheel;
  readonly socket: Socket;
  private readonly out: WireWriter;
  private readonly head = new ResponseHead();
  private readonly body = new BodyReader();
  private events: UpstreamEvents | undefined;
  private partial: Buffer | undefined;
  private headRead = false;
  private toHead = false;
  private chunked = false;
  /** A tunnel whose sides may end one after the other. */
  private halfCloses = false;
  private requestSent = false;
  private discarded = 0;
  private interims = 0;
  private counted = 0;
  private meter = unread;
  private shared = false;
  private paused = false;

  constructor(socket: Socket, owner: ConnectionOwner, wheel: TimerWheel) {
    this.socket = socket;
    this.owner = owner;
    this.wheel = wheel;
    this.out = new WireWriter(socket);
    socket.on('end', () => this.onEnd());
    socket.on('close', () => this.onClose());
    socket.on('drain', () => this.events?.onUpstreamDrain());
  }

  /** Told to close, or its peer has ended it: its owner hears of that only once the event loop has closed the socket. */
  get closing(): boolean {
    return this.socket.destroyed;
  }

  onTimer(): void {
    this.socket.destroy();
  }

  start(request: UpstreamRequest, events: UpstreamEvents): void {
    this.wheel.clear(this.timer);
    this.state = 'busy';
    this.events = events;
    this.served++;
    this.headRead = this.requestSent = false;
    this.partial = undefined;
    this.discarded = this.interims = 0;
    this.toHead = request.method === 'HEAD';
    this.chunked = request.body === Body.chunked;
    this.halfCloses = request.upgrade === PLAIN_CONNECT;
    const framing = this.chunked
      ? 'transfer-encoding: chunked\r\n'
      : request.length >= 0
        ? `content-length: ${request.length}\r\n`
        : request.upgrade === ''
          ? noLength(request.method)
          : '';
    const upgrade = request.upgrade === '' || request.upgrade === PLAIN_CONNECT ? '' : `connection: upgrade\r\nupgrade: ${request.upgrade}\r\n`;
    const fields = `host: ${request.authority}\r\n${request.lines}${framing}${upgrade}`;
    this.meter = events.meter ?? unread;
    this.meter.headersSent += fields.length;
    this.counted = this.out.bytes;
    this.out.add(`${request.method} ${request.path} HTTP/1.1\r\n${fields}\r\n`);
    this.count();
  }

  data(bytes: Buffer, start: number, end: number): void {
    if (this.chunked && this.state === 'busy') writeChunk(this.out, bytes, start, end);
    else this.out.data(bytes, start, end);
    this.count();
  }

  text(body: string): void {
    if (body !== '') this.out.add(this.chunked ? `${body.length.toString(16)}\r\n${body}\r\n` : body);
    this.count();
  }

  end(trailers: string): void {
    if (this.chunked) this.out.add(`0\r\n${trailers}\r\n`);
    this.requestSent = true;
    this.count();
  }

  private count(): void {
    this.meter.sent += this.out.bytes - this.counted;
    this.counted = this.out.bytes;
  }

  flush(): boolean {
    return this.out.flush();
  }

  pause(): void {
    this.paused = true;
    this.socket.pause();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.socket.resume();
  }

  abort(): void {
    this.events = undefined;
    if (this.state !== 'tunnel') return this.close();
    this.out.end();
    this.socket.resume();
    this.wheel.set(this.timer, lingerMs);
  }

  discard(): void {
    this.events = undefined;
    this.resume();
    if (this.state === 'busy' && !this.requestSent) this.close();
    else this.wheel.set(this.timer, discardMs);
  }

  tunnel(): void {
    this.state = 'tunnel';
    this.chunked = false;
  }

  tunnelEnd(): void {
    this.out.end();
  }

  close(): void {
    this.socket.destroy();
  }

  onBodyData(bytes: Buffer, start: number, end: number): void {
    if (this.events !== undefined) this.events.onUpstreamData(bytes, start, end, this.shared);
    else if ((this.discarded += end - start) > discardLimit) this.close();
  }

  read(bytes: Buffer, start: number, end: number, shared: boolean): void {
    if (this.events !== undefined) this.meter.received += end - start;
    this.readOn(bytes, start, end, shared);
  }

  private readOn(bytes: Buffer, start: number, end: number, shared: boolean): void {
    if (this.state === 'tunnel') {
      this.events?.onUpstreamData(bytes, start, end, shared);
      this.events?.onUpstreamFlush();
      return;
    }
    // Bytes nobody asked for: the connection cannot be trusted to be in step.
    if (this.state !== 'busy') return this.close();
    let source = bytes;
    let i = start;
    let limit = end;
    this.shared = shared;
    if (this.partial !== undefined) {
      source = Buffer.concat([this.partial, bytes.subarray(start, end)]);
      this.partial = undefined;
      this.shared = false;
      i = 0;
      limit = source.length;
    }
    while (!this.headRead) {
      if (i >= limit) return this.events?.onUpstreamFlush();
      const next = parseResponseHead(source, i, limit, this.head, this.toHead);
      if (next < 0) return this.fail('protocol');
      if (next === 0) {
        this.partial = Buffer.from(source.subarray(i, limit));
        return this.events?.onUpstreamFlush();
      }
      i = next;
      if (this.head.status >= 200) {
        this.headRead = true;
        this.meter.headersReceived += this.head.fields.lineBytes;
        this.body.start(this.head.body, this.head.framing.contentLength);
        this.events?.onUpstreamHead(this.head);
        if (this.inTunnel()) return i < limit ? this.readOn(source, i, limit, this.shared) : undefined;
      } else if (this.head.status === 101) {
        this.events?.onUpstreamHead(this.head);
        if (this.inTunnel()) return i < limit ? this.readOn(source, i, limit, this.shared) : undefined;
        return this.isOpen() ? this.fail('protocol') : undefined;
      } else if (++this.interims > maxInterims) {
        return this.fail('protocol');
      } else {
        this.events?.onUpstreamInterim(this.head);
      }
      if (!this.isOpen()) return;
    }
    i = this.body.feed(source, i, limit, this);
    if (!this.isOpen()) return;
    if (this.body.failed) return this.fail('protocol');
    if (this.body.done) return this.complete(i < limit);
    this.events?.onUpstreamFlush();
  }

  private inTunnel(): boolean {
    return this.state === 'tunnel';
  }

  private isOpen(): boolean {
    return this.state !== 'closed' && !this.socket.destroyed;
  }

  /** Bytes beyond the message: never pooled (RFC 9112 §9.2). */
  private complete(extra: boolean): void {
    const { events } = this;
    this.events = undefined;
    const hint = this.head.fields.known(Field.keepAlive);
    const seconds = hint === undefined ? undefined : /timeout=(\d{1,5})/.exec(hint)?.[1];
    this.peerKeepAliveMs = seconds === undefined ? 0 : Number(seconds) * 1000;
    this.resume();
    if (extra || !this.requestSent || !this.head.reusable) this.close();
    else {
      this.state = 'idle';
      this.owner.onReleased(this);
    }
    events?.onUpstreamEnd(this.body.trailers);
  }

  private fail(kind: StreamFailure): void {
    const { events } = this;
    this.events = undefined;
    this.close();
    events?.onUpstreamFailed(kind);
  }

  private onEnd(): void {
    if (this.state === 'tunnel') this.tunnelOver();
    else if (this.endsBody()) this.complete(true);
    else if (this.state === 'busy' && this.headRead) this.fail('protocol');
    else this.close();
  }

  /** Nothing but the end of the connection tells where the body ends; to Envoy a reset does as well. */
  private endsBody(): boolean {
    if (this.state !== 'busy' || !this.headRead) return false;
    this.body.finish();
    return this.body.done;
  }

  /** An application that ends an upgraded connection has left it, as Envoy sees it. */
  private tunnelOver(): void {
    if (this.halfCloses) this.events?.onTunnelEnd();
    else this.fail('connection');
  }

  private onClose(): void {
    const before = this.state;
    const whole = this.endsBody();
    this.state = 'closed';
    this.wheel.clear(this.timer);
    this.owner.onGone(this);
    if (before === 'tunnel') return this.tunnelOver();
    if (whole) return this.complete(true);
    const { events } = this;
    this.events = undefined;
    // A message that breaks off is no message (as Envoy's codec sees it).
    events?.onUpstreamFailed(before === 'busy' && (this.headRead || this.partial !== undefined) ? 'protocol' : 'connection');
  }
}

// An HTTP/2 connection from a client of the proxy: its streams, its idle times, how it drains.

import type { Socket } from 'node:net';
import type { RequestHead } from '../../http-wire/codec-h1/request-head.ts';
import { Http2ServerSession } from '../../http-wire/codec-h2/server-session.ts';
import { WheelTimer, type TimerTarget } from '../transport/timer-wheel.ts';
import type { ConnectionContext } from './downstream.ts';
import { dateLine, serverLine } from './kept-lines.ts';
import { tellRefused, tellUnrouted } from './record.ts';
import { Http2ServerStream } from './http2-server-stream.ts';

/** What a client may have open where the configuration does not say. */
const defaultMaxStreams = 100;
/** The preface and the first SETTINGS must be here by then. */
const prefaceTimeoutMs = 15_000;
const keptStreams = 100;

export class Http2ServerConnection extends Http2ServerSession implements TimerTarget {
  private readonly context: ConnectionContext;
  private readonly free: Http2ServerStream[] = [];
  private next: Http2ServerStream | undefined;
  private readonly timer: WheelTimer = new WheelTimer(this);
  private readonly countRequest: () => void;

  constructor(socket: Socket, context: ConnectionContext, countRequest: () => void) {
    const { http2 } = context.manager;
    super({
      socket,
      clock: () => context.deps.clock(),
      maxStreams: http2?.maxConcurrentStreams ?? defaultMaxStreams,
      allowConnect: http2?.allowConnect === true,
      sharedReads: true,
    });
    this.context = context;
    this.countRequest = countRequest;
    socket.on('end', () => this.shut());
    socket.on('close', () => this.onClose());
    context.wheel.set(this.timer, prefaceTimeoutMs);
  }

  get idle(): boolean {
    return this.streams.size === 0 && this.draining !== 'announced';
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

  protected get nextHead(): RequestHead {
    this.next ??= this.free.pop() ?? new Http2ServerStream(this, this.context, (freed) => this.release(freed));
    return this.next.request;
  }

  protected onRequest(id: number, endStream: boolean, refused: number): void {
    const stream = this.next as Http2ServerStream;
    this.next = undefined;
    this.countRequest();
    if (this.streams.size === 0) this.context.wheel.clear(this.timer);
    stream.begin(id);
    this.streams.set(id, stream);
    if (refused === 0) return stream.start(endStream);
    stream.remoteClosed = endStream;
    stream.head(refused, serverLine(this.context.manager.serverName) + dateLine(), -1, false);
    stream.finished();
    if (refused === 404) tellUnrouted(this.context, stream.request, 'HTTP/2');
    else tellRefused(this.context, { status: refused, responseFlags: 'DPE', details: 'http2.too_many_headers' });
  }

  protected override onMalformed(): void {
    tellRefused(this.context, { responseFlags: 'DPE', details: 'http2.violation.of.messaging.rule' });
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
    if (this.draining === 'no') this.context.wheel.setUnlessZero(this.timer, idleTimeoutMs);
    else this.context.wheel.set(this.timer, drainTimeoutMs);
  }

  private linger(): void {
    this.context.wheel.set(this.timer, this.context.manager.delayedCloseTimeoutMs);
  }

  /** Nothing more to come from this side once what runs has ended. */
  private shut(): void {
    if (this.closed) return;
    this.close();
    this.failAll('connection');
    this.linger();
  }

  private onClose(): void {
    if (this.error === '' && this.headBegun) tellRefused(this.context, { responseFlags: 'DC', details: 'downstream_remote_disconnect' });
    this.closed = this.stopped = true;
    this.context.wheel.clear(this.timer);
    this.failAll('connection');
  }
}

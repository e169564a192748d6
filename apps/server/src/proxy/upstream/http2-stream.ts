// One request on a multiplexed connection to an endpoint.

import type { Socket } from 'node:net';
import { Body } from '../../http-wire/codec-h1/framing.ts';
import { ResponseHead } from '../../http-wire/codec-h1/response-head.ts';
import { ErrorCode } from '../../http-wire/codec-h2/frames.ts';
import type { RequestStream } from '../../http-wire/codec-h2/client-session.ts';
import { Http2Stream, type StreamEnd } from '../../http-wire/codec-h2/stream.ts';
import { unread } from '../../http-wire/socket/wire-meter.ts';
import { type TimerTarget, WheelTimer } from '../transport/timer-wheel.ts';
import type { Http2ClientConnection } from './http2-connection.ts';
import { discardLimit, discardMs, PLAIN_CONNECT, type StreamFailure, type UpstreamEvents, type UpstreamRequest, type UpstreamStream } from './stream.ts';

function resetMeans(code: number): StreamFailure {
  if (code === ErrorCode.refusedStream) return 'refused';
  if (code === ErrorCode.connect) return 'connect-error';
  return code === ErrorCode.protocol ? 'protocol' : 'remote-reset';
}

export class Http2ClientStream extends Http2Stream implements UpstreamStream, RequestStream, TimerTarget {
  readonly response: ResponseHead = new ResponseHead();
  headRead = false;
  toHead = false;
  private readonly client: Http2ClientConnection;
  private events: UpstreamEvents | undefined;
  private upgrade = '';
  private tunneling = false;
  private discarded = 0;
  /** Made when an answer is first discarded. */
  private discardTimer: WheelTimer | undefined;

  constructor(client: Http2ClientConnection) {
    super(client);
    this.client = client;
  }

  get socket(): Socket {
    return this.client.socket;
  }

  /** Reserved for a request that is about to start. */
  reserve(): void {
    this.events = undefined;
  }

  start(request: UpstreamRequest, events: UpstreamEvents): void {
    this.meter = events.meter ?? unread;
    this.open(this.client.add(this));
    this.events = events;
    this.headRead = this.tunneling = false;
    this.discarded = 0;
    this.toHead = request.method === 'HEAD';
    this.upgrade = request.upgrade;
    const { encoder } = this.client;
    const tunnel = request.upgrade !== '';
    let block = encoder.begin() + encoder.field(':method', tunnel ? 'CONNECT' : request.method);
    if (request.upgrade !== PLAIN_CONNECT) block += encoder.field(':scheme', request.scheme) + encoder.field(':path', request.path);
    block += encoder.field(':authority', request.authority);
    if (tunnel && request.upgrade !== PLAIN_CONNECT) block += encoder.field(':protocol', request.upgrade);
    block += encoder.lines(request.lines);
    if (request.length >= 0 && !tunnel) block += encoder.field('content-length', String(request.length));
    this.sendHeaders(block, request.body === Body.none && !tunnel);
  }

  end(trailers: string): void {
    if (this.upgrade !== '') return;
    this.sendEnd(trailers === '' ? '' : this.client.encoder.begin() + this.client.encoder.lines(trailers));
  }

  abort(): void {
    this.events = undefined;
    if (this.tunneling) this.cancelTunnel(ErrorCode.cancel);
    else this.cancel(ErrorCode.cancel);
    // Before anything else this turn may bring about: the peer learns of it ahead of an answer that comes too late.
    this.session.flushNow();
  }

  discard(): void {
    this.events = undefined;
    this.meter = unread;
    this.resume();
    if (this.id === 0) return;
    if (!this.localClosed) return this.cancel(ErrorCode.cancel);
    this.client.wheel.set((this.discardTimer ??= new WheelTimer(this)), discardMs);
  }

  onTimer(): void {
    this.cancel(ErrorCode.cancel);
  }

  tunnel(): void {
    this.tunneling = true;
    this.upgrade = '';
  }

  tunnelEnd(): void {
    if (this.localClosed) return;
    // As Envoy, which hears no more of who has ended its side of an upgrade.
    if (this.remoteClosed) return this.cancelTunnel(ErrorCode.cancel);
    this.sendEnd('');
    this.flush();
  }

  /** A checked head, in `response`. */
  onHead(endStream: boolean): void {
    const { response, events } = this;
    this.session.touch(this);
    if (response.status < 200) return events?.onUpstreamInterim(response);
    this.headRead = true;
    if (this.upgrade !== '' && !endStream && response.status < 300) {
      response.status = 101;
      response.framing.upgrade = this.upgrade;
      response.body = Body.none;
      return events?.onUpstreamHead(response);
    }
    if (this.upgrade !== '') {
      // Not agreed to: an answer like any other.
      this.upgrade = '';
      this.sendEnd('');
    }
    if (!endStream) this.expect(response.body === Body.none ? 0 : response.framing.contentLength);
    events?.onUpstreamHead(response);
    if (endStream && this.id !== 0) this.receiveEnd('');
  }

  protected onData(bytes: Buffer, start: number, end: number): void {
    if (this.events !== undefined) this.events.onUpstreamData(bytes, start, end, this.client.shared);
    else if ((this.discarded += end - start) > discardLimit) this.cancel(ErrorCode.cancel);
  }

  protected onEnd(trailers: string): void {
    const { events } = this;
    if (this.tunneling) return events?.onTunnelEnd();
    this.events = undefined;
    // An answer before the request is complete: the rest of it is not wanted.
    if (!this.localClosed) this.cancel(ErrorCode.none);
    events?.onUpstreamEnd(trailers);
  }

  onReadEnd(): void {
    this.events?.onUpstreamFlush();
  }

  onAborted(kind: StreamEnd, code: number): void {
    const { events } = this;
    this.events = undefined;
    events?.onUpstreamFailed(kind === 'remote-reset' ? resetMeans(code) : kind);
  }

  protected onLocalEnd(): void {}

  protected onDrain(): void {
    this.events?.onUpstreamDrain();
  }

  protected onClosed(): void {
    this.events = undefined;
    if (this.discardTimer !== undefined) this.client.wheel.clear(this.discardTimer);
    this.client.release(this);
  }
}

// One request on an HTTP/2 connection from a client: the stream and the exchange it carries. Reused for later requests.

import { RequestHead } from '../../http-wire/codec-h1/request-head.ts';
import { Body } from '../../http-wire/codec-h1/framing.ts';
import { ErrorCode } from '../../http-wire/codec-h2/frames.ts';
import { Http2Stream, type StreamEnd } from '../../http-wire/codec-h2/stream.ts';
import type { Http2Session } from '../../http-wire/codec-h2/session.ts';
import type { ConnectionContext, DownstreamStream } from './downstream.ts';
import type { Exchange } from './exchange.ts';
import { createExchange } from './grpc-web-exchange.ts';

export class Http2ServerStream extends Http2Stream implements DownstreamStream {
  readonly request: RequestHead = new RequestHead();
  private readonly exchange: Exchange;
  private readonly onFree: (stream: Http2ServerStream) => void;
  private tunneling = false;
  /** Bytes of a tunnel the application has not agreed to yet. */
  private early: Buffer[] = [];

  constructor(session: Http2Session, context: ConnectionContext, onFree: (stream: Http2ServerStream) => void) {
    super(session);
    this.exchange = createExchange(context, this);
    this.onFree = onFree;
  }

  get bytesSent(): number {
    return this.meter.sent;
  }

  begin(id: number): void {
    this.open(id);
    this.meter.clear();
    this.tunneling = false;
    this.early = [];
  }

  /** The head is complete. */
  start(endStream: boolean): void {
    const { framing } = this.request;
    const tunnel = framing.upgrade !== '';
    this.session.touch(this);
    this.chargeHeaders(this.request.bytes);
    this.exchange.reading = true;
    this.remoteClosed = endStream;
    if (!tunnel) this.expect(framing.contentLength);
    const body = endStream || tunnel ? Body.none : framing.chunked ? Body.chunked : framing.contentLength > 0 ? Body.length : Body.none;
    this.exchange.begin(this.request, body);
    if (endStream || tunnel) this.exchange.onRequestEnd('');
  }

  protected onData(bytes: Buffer, start: number, end: number): void {
    this.exchange.reading = true;
    if (this.tunneling) this.exchange.onTunnelData(bytes, start, end);
    else if (this.request.framing.upgrade !== '') {
      this.early.push(Buffer.from(bytes.subarray(start, end)));
      this.pause();
    } else this.exchange.onRequestData(bytes, start, end);
  }

  protected onEnd(trailers: string): void {
    if (this.request.framing.upgrade === '') this.exchange.onRequestEnd(trailers);
    else if (this.tunneling) this.exchange.onTunnelEnd();
  }

  onReadEnd(): void {
    this.exchange.reading = false;
    if (this.exchange.active) this.exchange.onRequestFlush();
  }

  onAborted(kind: StreamEnd, code: number): void {
    const { exchange, session } = this;
    if (kind === 'connection') exchange.onDownstreamClosed();
    else if (kind === 'protocol')
      exchange.onDownstreamClosed('DPE', session.error === '' ? 'http2.violation.of.messaging.rule' : `codec_error:${session.error.replaceAll(' ', '_')}`);
    // It has what it wants of the answer.
    else if (code === ErrorCode.none && exchange.complete && !this.tunneling) exchange.onDownstreamClosed('', '');
    else
      exchange.onDownstreamClosed(code === ErrorCode.protocol ? 'DPE' : 'DR', code === ErrorCode.refusedStream ? 'http2.remote_refuse' : 'http2.remote_reset');
  }

  protected onDrain(): void {
    this.exchange.onDownstreamDrain();
  }

  protected onClosed(): void {
    this.onFree(this);
  }

  interim(status: number, lines: string): void {
    const { encoder } = this.session;
    this.sendHeaders(encoder.begin() + encoder.field(':status', String(status)) + encoder.lines(lines), false);
  }

  head(status: number, lines: string, length: number, hasBody: boolean): void {
    const { encoder } = this.session;
    let block = encoder.begin() + encoder.field(':status', String(status)) + encoder.lines(lines);
    if (length >= 0 && status !== 204) block += encoder.field('content-length', String(length));
    this.sendHeaders(block, !hasBody);
  }

  end(trailers: string): void {
    this.sendEnd(trailers === '' ? '' : this.session.encoder.begin() + this.session.encoder.lines(trailers));
  }

  finished(): void {
    // The rest of the request is of no use (§8.1).
    if (this.id !== 0 && this.localClosed && !this.remoteClosed) this.cancel(ErrorCode.none);
  }

  /** Also when the end had to wait for the window, long after the exchange was done. */
  protected onLocalEnd(): void {
    if (!this.exchange.active) this.finished();
  }

  reset(): void {
    // Who is behind a tunnel has ended its stream, or the connection.
    if (this.tunneling) return this.cancelTunnel(this.exchange.streamReset ? ErrorCode.internal : ErrorCode.connect);
    // What has come until then is the client's, as from Envoy.
    if (this.id !== 0) this.flush();
    this.cancel(ErrorCode.internal);
  }

  tunnel(lines: string): void {
    const { encoder } = this.session;
    this.tunneling = true;
    this.sendHeaders(encoder.begin() + encoder.field(':status', '200') + encoder.lines(lines), false);
    const { early } = this;
    this.early = [];
    this.resume();
    for (const bytes of early) this.exchange.onTunnelData(bytes, 0, bytes.length);
    if (this.remoteClosed) this.exchange.onTunnelEnd();
  }

  tunnelEnd(): void {
    this.sendEnd('');
    this.finished();
  }
}

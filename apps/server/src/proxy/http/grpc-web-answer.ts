// The client's side of a gRPC-Web request: what an exchange answers in gRPC leaves as gRPC-Web.

import { grpcStatusOf } from '@weft/mesh-core/model';
import type { WireMeter } from '../../http-wire/socket/wire-meter.ts';
import type { DownstreamStream } from './downstream.ts';
import { FrameEncoder, trailerFrame, webAnswerLines, withType } from './grpc-web.ts';
import { percentEncode } from './grpc.ts';

/** What Envoy keeps of an answer that is no gRPC, to tell it in `grpc-message`. */
const MESSAGE_LIMIT = 16_384;

export class GrpcWebAnswer implements DownstreamStream {
  /** Bytes of the body beyond those of gRPC. */
  added = 0;
  /** What an answer that is no gRPC has become. */
  status = '';
  private readonly down: DownstreamStream;
  private readonly frames = new FrameEncoder();
  private active = false;
  private text64 = false;
  /** The head of an answer that is no gRPC, until its body is there. */
  private foreign: { status: number; lines: string; body: string } | undefined;

  constructor(down: DownstreamStream) {
    this.down = down;
  }

  /** For the next request: passes everything on as it is unless that is gRPC-Web. */
  begin(active: boolean, text: boolean): void {
    this.active = active;
    this.text64 = text;
    this.added = 0;
    this.status = '';
    this.foreign = undefined;
    this.frames.reset();
  }

  get meter(): WireMeter {
    return this.down.meter;
  }

  get bytesSent(): number {
    return this.down.bytesSent;
  }

  interim(status: number, lines: string): void {
    this.down.interim(status, lines);
  }

  head(status: number, lines: string, length: number, hasBody: boolean): void {
    if (!this.active) return this.down.head(status, lines, length, hasBody);
    const web = webAnswerLines(lines, this.text64);
    if (web !== undefined) return this.down.head(status, web, -1, hasBody);
    if (!hasBody) return this.down.head(status, withType(lines, this.text64), length, false);
    this.foreign = { status, lines, body: '' };
  }

  data(bytes: Buffer, start: number, end: number, shared: boolean): void {
    if (!this.active) return this.down.data(bytes, start, end, shared);
    if (this.foreign !== undefined) this.keep(bytes.toString('latin1', start, end));
    else if (!this.text64) this.down.data(bytes, start, end, shared);
    else this.encoded(this.frames.feed(bytes, start, end), end - start);
  }

  text(body: string): void {
    if (this.active && this.foreign !== undefined) this.keep(body);
    else this.down.text(body);
  }

  end(trailers: string): void {
    if (!this.active) return this.down.end(trailers);
    if (this.foreign !== undefined) this.tellForeign();
    if (trailers !== '') {
      const frame = trailerFrame(trailers);
      if (this.text64) this.encoded(frame.toString('base64'), 0);
      else {
        this.added += frame.length;
        this.down.data(frame, 0, frame.length, false);
      }
    }
    this.down.end('');
  }

  private encoded(text: string, counted: number): void {
    this.added += text.length - counted;
    if (text !== '') this.down.text(text);
  }

  private keep(text: string): void {
    const { foreign } = this;
    if (foreign !== undefined) foreign.body = (foreign.body + text).slice(0, MESSAGE_LIMIT);
  }

  private tellForeign(): void {
    const { foreign } = this;
    if (foreign === undefined) return;
    const { status, lines, body } = foreign;
    this.foreign = undefined;
    this.added -= body.length;
    this.status = String(grpcStatusOf(status));
    const message = body === '' ? '' : `grpc-message: ${percentEncode(body)}\r\n`;
    this.down.head(status, `${withType(lines, this.text64)}grpc-status: ${this.status}\r\n${message}`, 0, false);
  }

  flush(): boolean {
    return this.down.flush();
  }

  pause(): void {
    this.down.pause();
  }

  resume(): void {
    this.down.resume();
  }

  finished(): void {
    this.down.finished();
  }

  reset(): void {
    this.down.reset();
  }

  tunnel(lines: string, upgrade: string): void {
    this.down.tunnel(lines, upgrade);
  }

  tunnelEnd(): void {
    this.down.tunnelEnd();
  }
}

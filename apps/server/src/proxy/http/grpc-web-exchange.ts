// An exchange behind the filter grpc_web: requests of gRPC-Web become gRPC before they are routed, their answers gRPC-Web at the end.

import type { StringPredicate } from '@weft/mesh-core/traffic';
import { Field } from '../../http-wire/codec-h1/field-kinds.ts';
import { Body } from '../../http-wire/codec-h1/framing.ts';
import type { RequestHead } from '../../http-wire/codec-h1/request-head.ts';
import type { ConnectionContext, DownstreamStream } from './downstream.ts';
import { Exchange } from './exchange.ts';
import { Base64Reader, grpcWebKind } from './grpc-web.ts';
import { GrpcWebAnswer } from './grpc-web-answer.ts';
import { takesTrailers } from './heads.ts';

/** What the filter says in the client's place. */
const SAID: Readonly<Record<string, string>> = { 'content-type': 'application/grpc', te: 'trailers', 'grpc-accept-encoding': 'identity' };

export function createExchange(context: ConnectionContext, down: DownstreamStream): Exchange {
  const web = context.manager.filters.some((filter) => filter.kind === 'grpc-web');
  return web ? new GrpcWebExchange(context, new GrpcWebAnswer(down)) : new Exchange(context, down);
}

class GrpcWebExchange extends Exchange {
  private readonly answerer: GrpcWebAnswer;
  private readonly reader = new Base64Reader();
  private web: ReturnType<typeof grpcWebKind>;

  constructor(context: ConnectionContext, down: GrpcWebAnswer) {
    super(context, down);
    this.answerer = down;
  }

  /** As in Envoy, which has looked before its filter did: answers of its own are HTTP, and told as a status like anybody's. */
  protected override get answersInGrpc(): boolean {
    return this.web === undefined && super.answersInGrpc;
  }

  override get(name: string): string | undefined {
    return (this.web === undefined ? undefined : SAID[name]) ?? super.get(name);
  }

  override some(name: string, test: StringPredicate): boolean | undefined {
    const said = this.web === undefined ? undefined : SAID[name];
    return said === undefined ? super.some(name, test) : test(said);
  }

  protected override reset(head: RequestHead, body: number): void {
    const { fields, framing } = head;
    this.web = grpcWebKind(fields.known(Field.contentType) ?? '', fields.get('accept'));
    this.reader.reset();
    this.answerer.begin(this.web !== undefined, this.web?.textResponse === true);
    if (this.web === undefined) return super.reset(head, body);
    // How long the body is in gRPC nobody has said.
    framing.chunked = body !== Body.none;
    framing.contentLength = framing.chunked ? -1 : 0;
    super.reset(head, framing.chunked ? Body.chunked : Body.none);
    this.grpc = true;
    this.record.contentType = 'application/grpc';
    // It is passed on anyway.
    const told = takesTrailers(fields);
    for (const [name, value] of Object.entries(SAID)) if (name !== 'te' || !told) this.setRequestHeader(name, value);
  }

  override onRequestData(bytes: Buffer, start: number, end: number): void {
    if (this.web?.textRequest !== true || !this.active) return super.onRequestData(bytes, start, end);
    const decoded = this.reader.feed(bytes, start, end);
    if (decoded === undefined) return this.refuse('grpc_base_64_decode_failed');
    this.record.requestBodyBytes += end - start - decoded.length;
    super.onRequestData(decoded, 0, decoded.length);
  }

  override onRequestEnd(trailers: string): void {
    if (this.reader.incomplete && this.active) return this.refuse('grpc_base_64_decode_failed_bad_size');
    super.onRequestEnd(trailers);
  }

  private refuse(details: string): void {
    this.reader.reset();
    this.requestDone = true;
    this.answer(400, 'Bad gRPC-web request, invalid base64 data.', '', details);
  }

  protected override end(): void {
    if (this.active) {
      this.record.responseBodyBytes += this.answerer.added;
      this.record.grpcStatus = this.answerer.status || this.record.grpcStatus;
    }
    super.end();
  }
}

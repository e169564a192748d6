// gRPC-Web (envoy.filters.http.grpc_web): browsers cannot read trailers, so they come as the last frame of the body. What Envoy's
// filter does, without Envoy's buffers: types, the trailer frame, and the text form, which is all of it in base64.

import { isGrpcContentType } from '@weft/mesh-core/model';
import { grpcFrame } from '../transport/grpc-frame.ts';

const BINARY = ['application/grpc-web', 'application/grpc-web+proto'];
const TEXT = ['application/grpc-web-text', 'application/grpc-web-text+proto'];

/** What a client's type asks for; undefined = it is no gRPC-Web. The answer is text where `accept` is one of its types. */
export function grpcWebKind(contentType: string, accept: string | undefined): { textRequest: boolean; textResponse: boolean } | undefined {
  const textRequest = TEXT.includes(contentType);
  if (!textRequest && !BINARY.includes(contentType)) return undefined;
  return { textRequest, textResponse: TEXT.includes(accept ?? '') };
}

const CONTENT_TYPE = /^content-type:[ \t]*([^\r\n]*)\r\n/im;

/** The lines of an answer with the client's type; undefined where what was answered is no gRPC. */
export function webAnswerLines(lines: string, text: boolean): string | undefined {
  const type = CONTENT_TYPE.exec(lines)?.[1] ?? '';
  if (!isGrpcContentType(type) && !(type === BINARY[1] || type === TEXT[1])) return undefined;
  return withType(lines, text);
}

export function withType(lines: string, text: boolean): string {
  return `${lines.replace(CONTENT_TYPE, '')}content-type: ${text ? TEXT[1] : BINARY[1]}\r\n`;
}

/** The last frame: the trailers as lines without a space. */
export function trailerFrame(trailers: string): Buffer {
  const lines = trailers.replaceAll(/^([^:\r\n]+):[ \t]*/gm, (_, name: string) => `${name.toLowerCase()}:`);
  return grpcFrame(Buffer.from(lines, 'latin1'), 0x80);
}

/** Base64 that comes in whatever pieces; as in Envoy padding ends a piece. */
export class Base64Reader {
  private rest = '';

  reset(): void {
    this.rest = '';
  }

  /** Something is left that is no group of four. */
  get incomplete(): boolean {
    return this.rest !== '';
  }

  /** Undefined = it is no base64. */
  feed(bytes: Buffer, start: number, end: number): Buffer | undefined {
    const all = this.rest + bytes.toString('latin1', start, end);
    const whole = all.length - (all.length % 4);
    this.rest = all.slice(whole);
    const text = all.slice(0, whole);
    return /^[A-Za-z0-9+/]*={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined;
  }
}

/** gRPC in base64, each frame by itself, in whatever pieces it comes; no more is kept than a group that is not full. */
export class FrameEncoder {
  /** Of the frame: bytes of its prefix that have been seen, what they say, and what is left. */
  private prefix = 0;
  private length = 0;
  private left = 0;
  private rest: Buffer = Buffer.alloc(0);

  reset(): void {
    this.prefix = this.length = this.left = 0;
    this.rest = Buffer.alloc(0);
  }

  feed(bytes: Buffer, start: number, end: number): string {
    let text = '';
    for (let i = start; i < end;) {
      const from = i;
      for (; this.prefix < 5 && i < end; this.prefix++) {
        const byte = bytes[i++] as number;
        if (this.prefix > 0) this.length = this.length * 256 + byte;
        if (this.prefix === 4) this.left = this.length;
      }
      const step = this.prefix < 5 ? 0 : Math.min(this.left, end - i);
      this.left -= step;
      i += step;
      const ends = this.prefix === 5 && this.left === 0;
      const all = Buffer.concat([this.rest, bytes.subarray(from, i)]);
      const whole = ends ? all.length : all.length - (all.length % 3);
      text += all.toString('base64', 0, whole);
      this.rest = all.subarray(whole);
      if (ends) this.prefix = this.length = 0;
    }
    return text;
  }
}

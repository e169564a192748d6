// Response heads of upstreams, as strict as requests: a bad one becomes a 502, never a second response.

import { valueByte } from './chars.ts';
import { Body, Framing, readFraming } from './framing.ts';
import { HeaderBlock, incomplete, maxHeadBytes, parseFields } from './header-block.ts';

export class ResponseHead {
  status = 0;
  minor = 1;
  bytes = 0;
  /** `Body.*` once the request method is known. */
  body = 0;
  readonly fields: HeaderBlock = new HeaderBlock();
  readonly framing: Framing = new Framing();

  /** The connection may carry another request after this response. */
  get reusable(): boolean {
    if (this.body === Body.untilClose) return false;
    return this.minor === 1 ? !this.framing.close : this.framing.keepAlive && !this.framing.close;
  }
}

/** Returns the position after the head, `incomplete`, or -502. `toHead`: the request was a HEAD. */
export function parseResponseHead(bytes: Buffer, start: number, limit: number, head: ResponseHead, toHead: boolean): number {
  const available = Math.min(limit - start, 9);
  for (let k = 0; k < available; k++) {
    const byte = bytes[start + k];
    if (k === 7 ? byte !== 0x30 && byte !== 0x31 : byte !== startBytes[k]) return -502;
  }
  if (limit - start < 14) return incomplete;
  let status = 0;
  for (let k = 9; k < 12; k++) {
    const digit = (bytes[start + k] as number) - 0x30;
    if (digit < 0 || digit > 9) return -502;
    status = status * 10 + digit;
  }
  if (status < 100) return -502;
  let i = start + 12;
  // "HTTP/1.1 200\r\n" without the space is common enough and unambiguous.
  if (bytes[i] === 0x20) i++;
  else if (bytes[i] !== 0x0d) return -502;
  while (i < limit && valueByte[bytes[i] as number] === 1) i++;
  if (i + 1 >= limit) return i - start > maxHeadBytes ? -502 : incomplete;
  if (bytes[i] !== 0x0d || bytes[i + 1] !== 0x0a) return -502;
  const end = parseFields(bytes, i + 2, limit, start, head.fields);
  if (end < 0 || (end === incomplete && limit - start > maxHeadBytes)) return -502;
  if (end === incomplete) return incomplete;
  const text = bytes.toString('latin1', start, end);
  head.fields.text = text;
  head.status = status;
  head.minor = (bytes[start + 7] as number) - 0x30;
  head.bytes = end - start;
  if (readFraming(head.fields, head.framing) !== 0) return -502;
  const { framing } = head;
  if (framing.chunked && head.minor === 0) return -502;
  // What has no body has no length of one either, but for answers to HEAD and 304.
  if ((status < 200 || status === 204) && (framing.chunked || framing.contentLength > 0)) return -502;
  if (toHead || status < 200 || status === 204 || status === 304) head.body = Body.none;
  else if (framing.chunked) head.body = Body.chunked;
  else if (framing.contentLength >= 0) head.body = framing.contentLength === 0 ? Body.none : Body.length;
  else head.body = Body.untilClose;
  return end;
}

const startBytes = Buffer.from('HTTP/1.? ');

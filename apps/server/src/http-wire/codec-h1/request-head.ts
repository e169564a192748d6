// Request heads. What may be read two ways by two parsers is refused (data-path.md §6): the next hop must see what we saw.

import { isAuthority, targetByte } from './chars.ts';
import { Field } from './field-kinds.ts';
import { Framing, readFraming } from './framing.ts';
import { HeaderBlock, incomplete, maxHeadBytes, parseFields } from './header-block.ts';

export const knownMethods: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'TRACE',
  'PROPFIND',
  'PROPPATCH',
  'MKCOL',
  'COPY',
  'MOVE',
  'LOCK',
  'UNLOCK',
  'SEARCH',
  'REPORT',
  'MKACTIVITY',
  'CHECKOUT',
  'MERGE',
  'PURGE',
  'LINK',
  'UNLINK',
  'BIND',
  'REBIND',
  'UNBIND',
  'ACL',
  'NOTIFY',
  'SUBSCRIBE',
  'UNSUBSCRIBE',
  'MKCALENDAR',
  'SOURCE',
  'M-SEARCH',
]);

export class RequestHead {
  method = '';
  /** Origin form with query (`*` for OPTIONS). */
  path = '';
  /** Authority of an absolute target, else Host; '' only on HTTP/1.0. */
  authority = '';
  /** The Host of the request before, known to be well-formed. */
  checkedHost = '';
  /** 0 or 1, of HTTP/1. */
  minor = 1;
  protocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2' = 'HTTP/1.1';
  /** Bytes of the head on the wire. */
  bytes = 0;
  expectContinue = false;
  /** Why it was refused: no Host. */
  hostMissing = false;
  readonly fields: HeaderBlock = new HeaderBlock();
  readonly framing: Framing = new Framing();

  get(name: string): string | undefined {
    return this.fields.get(name);
  }
}

/** Returns the position after the head, `incomplete`, or -status of the refusal. */
export function parseRequestHead(bytes: Buffer, from: number, limit: number, head: RequestHead): number {
  let start = from;
  // One empty line before a request is tolerated (RFC 9112 §2.2).
  if (limit - start >= 2 && bytes[start] === 0x0d && bytes[start + 1] === 0x0a) start += 2;
  let i = start;
  while (i < limit && ((bytes[i] as number) >= 0x41 ? (bytes[i] as number) <= 0x5a : bytes[i] === 0x2d)) i++;
  if (i >= limit) return i - start > 32 ? -400 : incomplete;
  if (bytes[i] !== 0x20 || i === start) return -400;
  const methodEnd = i++;
  const targetStart = i;
  // V8 looks an import up at every use.
  const inTarget = targetByte;
  while (i < limit && inTarget[bytes[i] as number] === 1) i++;
  if (i - start > maxHeadBytes) return -414;
  if (i >= limit) return incomplete;
  if (bytes[i] !== 0x20 || i === targetStart) return -400;
  const targetEnd = i++;
  // "HTTP/1.x\r\n"
  const available = Math.min(limit - i, 10);
  for (let k = 0; k < available; k++) {
    const byte = bytes[i + k];
    if (k === 7 ? byte !== 0x30 && byte !== 0x31 : byte !== versionBytes[k]) return k < 8 && k > 4 ? -505 : -400;
  }
  if (available < 10) return incomplete;
  head.minor = (bytes[i + 7] as number) - 0x30;
  head.protocol = head.minor === 1 ? 'HTTP/1.1' : 'HTTP/1.0';
  const end = parseFields(bytes, i + 10, limit, start, head.fields);
  if (end <= 0) return end === incomplete && limit - start > maxHeadBytes ? -431 : end;

  const text = bytes.toString('latin1', start, end);
  head.fields.text = text;
  head.bytes = end - from;
  head.method = text.startsWith('GET ') ? 'GET' : text.slice(0, methodEnd - start);
  if (head.method !== 'GET' && !knownMethods.has(head.method)) return head.method === 'CONNECT' ? -404 : -501;
  const refused = readFraming(head.fields, head.framing) || readHost(head) || readTarget(head, text.slice(targetStart - start, targetEnd - start));
  if (refused !== 0) return refused;
  if (head.minor === 0 && head.framing.chunked) return -400;
  const expect = head.fields.known(Field.expect);
  head.expectContinue = expect !== undefined && head.minor === 1;
  if (expect !== undefined && expect.toLowerCase() !== '100-continue') return -417;
  return end;
}

const versionBytes = Buffer.from('HTTP/1.?\r\n');

function readHost(head: RequestHead): number {
  const { fields } = head;
  head.authority = '';
  let seen = false;
  for (let i = 0; i < fields.count; i++) {
    if (fields.kinds[i] !== Field.host) continue;
    if (seen) return -400;
    seen = true;
    // The very string of before: its hash is known, and a cut of the head is slow to compare.
    if (!fields.says(i, head.checkedHost)) {
      const host = fields.value(i);
      if (!isAuthority(host)) return -400;
      head.checkedHost = host;
    }
    head.authority = head.checkedHost;
  }
  head.hostMissing = !seen && head.minor === 1;
  return head.hostMissing ? -400 : 0;
}

function readTarget(head: RequestHead, target: string): number {
  if (target.charCodeAt(0) === 0x2f) {
    head.path = target;
    return 0;
  }
  if (target === '*') {
    head.path = '*';
    return head.method === 'OPTIONS' ? 0 : -400;
  }
  const scheme = /^https?:\/\//i.exec(target);
  if (scheme === null) return -400;
  const start = scheme[0].length;
  let slash = target.indexOf('/', start);
  const query = target.indexOf('?', start);
  if (slash < 0 || (query >= 0 && query < slash)) slash = query;
  const authority = slash < 0 ? target.slice(start) : target.slice(start, slash);
  if (!isAuthority(authority)) return -400;
  // The target wins over Host (RFC 9112 §3.2.2).
  head.authority = authority;
  const rest = slash < 0 ? '/' : target.slice(slash);
  head.path = rest.startsWith('?') ? `/${rest}` : rest;
  return 0;
}

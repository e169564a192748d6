// Request heads. What may be read two ways by two parsers is refused (data-path.md §6): the next hop must see what we saw.

import { isAuthority, targetByte } from './chars.ts';
import { Field } from './field-kinds.ts';
import { Framing, readFraming, stripNamed } from './framing.ts';
import { codecError, HeaderBlock, headersTooLarge, incomplete, maxHeadBytes, parseFields, refuse } from './header-block.ts';

const invalidUrl = 'http1.invalid_url';

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
]);

export class RequestHead {
  method = '';
  /** Origin form with query; `*`, or what begins with `?` behind a host, leads nowhere. */
  path = '';
  /** Authority of an absolute target, else Host. */
  authority = '';
  /** Of an absolute target, or of HTTP/2; '' = not told. */
  scheme = '';
  /** The Host of the request before, known to be well-formed. */
  checkedHost = '';
  /** 0 or 1, of HTTP/1. */
  minor = 1;
  protocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2' = 'HTTP/1.1';
  /** Bytes of the head on the wire. */
  bytes = 0;
  expectContinue = false;
  /** Nor an absolute target. */
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
  const { fields } = head;
  fields.refusal = codecError;
  head.minor = 1;
  // Empty lines before a request are nothing (RFC 9112 §2.2).
  while (limit - start >= 2 && bytes[start] === 0x0d && bytes[start + 1] === 0x0a) start += 2;
  let i = start;
  while (i < limit && ((bytes[i] as number) >= 0x41 ? (bytes[i] as number) <= 0x5a : bytes[i] === 0x2d)) i++;
  if (i >= limit) return i - start > 32 ? -400 : incomplete;
  if (bytes[i] !== 0x20 || i === start) return -400;
  const methodEnd = i++;
  const targetStart = i;
  // V8 looks an import up at every use.
  const inTarget = targetByte;
  while (i < limit && inTarget[bytes[i] as number] === 1) i++;
  if (i - start > maxHeadBytes) return refuse(fields, 431, headersTooLarge);
  if (i >= limit) return incomplete;
  if (bytes[i] !== 0x20 || i === targetStart) return -400;
  const targetEnd = i++;
  // "HTTP/1.x\r\n"
  const available = Math.min(limit - i, 10);
  for (let k = 0; k < available; k++) {
    const byte = bytes[i + k];
    if (k === 7 ? byte === 0x30 || byte === 0x31 : byte === versionBytes[k]) continue;
    if (k < 5 || k > 7) return -400;
    if (available < 8) return incomplete;
    return /^\d\.\d$/.test(bytes.toString('latin1', i + 5, i + 8)) ? -505 : -400;
  }
  if (available < 10) return incomplete;
  const minor = (bytes[i + 7] as number) - 0x30;
  const end = parseFields(bytes, i + 10, limit, start, fields);
  if (end <= 0) return end === incomplete && limit - start > maxHeadBytes ? refuse(fields, 431, headersTooLarge) : end;

  const text = bytes.toString('latin1', start, end);
  fields.text = text;
  head.bytes = end - from;
  head.method = text.startsWith('GET ') ? 'GET' : text.slice(0, methodEnd - start);
  const target = text.slice(targetStart - start, targetEnd - start);
  if (head.method !== 'GET' && !knownMethods.has(head.method)) return head.method === 'CONNECT' ? refuseConnect(head, target) : -400;
  head.minor = minor;
  head.protocol = minor === 1 ? 'HTTP/1.1' : 'HTTP/1.0';
  const refused = readFraming(fields, head.framing) || readHost(head) || readTarget(head, target);
  if (refused !== 0) return refused;
  if (minor === 0 && head.framing.chunked) return -400;
  head.expectContinue = saysContinue(fields);
  return (head.framing.named === undefined && head.framing.upgrade === '' ? 0 : readNamed(head)) || end;
}

/** Where there are no tunnels nothing leads to the host; what is no host is no target. */
function refuseConnect(head: RequestHead, target: string): number {
  if (!/:\d+$/.test(target) || !isAuthority(target)) return refuse(head.fields, 400, invalidUrl);
  head.authority = target;
  return refuse(head.fields, 404, 'route_not_found');
}

/** The one expectation that is met here; any other is the upstream's. */
export function saysContinue(fields: HeaderBlock): boolean {
  const index = fields.indexOf(Field.expect);
  return index >= 0 && fields.hasValue(index, '100-continue') && fields.kinds.lastIndexOf(Field.expect, fields.count - 1) === index;
}

/** Of more than this many names Envoy thinks ill. */
const mostNamed = 9;
const h2cFields = ['http2-settings'];
const neverNamed = ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'];

/** Takes off what Connection names; who would take off what tells where a request is from is refused. */
function readNamed(head: RequestHead): number {
  const { fields, framing } = head;
  const { named, upgrade } = framing;
  if (upgrade !== '' && framing.upgradeListed) {
    // What it names goes along with an upgrade.
    if (upgrade !== 'h2c') return 0;
    stripNamed(fields, h2cFields);
  }
  if (named === undefined) return 0;
  if (named.includes('host')) head.hostMissing = true;
  if (named.length > mostNamed || neverNamed.some((name) => named.includes(name))) return refuse(fields, 400, 'http1.connection_header_rejected');
  stripNamed(fields, named);
  return 0;
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
      if (host !== '' && !isAuthority(host)) return refuse(fields, 400, 'http.invalid_authority');
      head.checkedHost = host;
    }
    head.authority = head.checkedHost;
  }
  head.hostMissing = !seen;
  return 0;
}

function readTarget(head: RequestHead, target: string): number {
  head.scheme = '';
  if (target.charCodeAt(0) === 0x2f) {
    head.path = target;
    return 0;
  }
  if (target === '*') {
    head.path = '*';
    return head.method === 'OPTIONS' ? 0 : refuse(head.fields, 400, invalidUrl);
  }
  const scheme = /^https?:\/\//i.exec(target);
  if (scheme === null) return /^[a-z]+:\/\//i.test(target) ? refuse(head.fields, 400, 'http1.invalid_scheme') : -400;
  const start = scheme[0].length;
  let slash = target.indexOf('/', start);
  const query = target.indexOf('?', start);
  if (slash < 0 || (query >= 0 && query < slash)) slash = query;
  const authority = slash < 0 ? target.slice(start) : target.slice(start, slash);
  if (!isAuthority(authority)) return refuse(head.fields, 400, invalidUrl);
  // The target wins over Host (RFC 9112 §3.2.2).
  head.authority = authority;
  head.scheme = target.slice(0, start - 3).toLowerCase();
  head.hostMissing = false;
  head.path = slash < 0 ? '/' : target.slice(slash);
  return 0;
}

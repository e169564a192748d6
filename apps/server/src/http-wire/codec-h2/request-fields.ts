// A request's header block checked (RFC 9113 §8.3.1) and turned into a request head.

import { isAuthority, isToken, targetByte } from '../codec-h1/chars.ts';
import { Field } from '../codec-h1/field-kinds.ts';
import { parseLength } from '../codec-h1/framing.ts';
import { knownMethods, RequestHead, saysContinue } from '../codec-h1/request-head.ts';
import { Fault, FieldBlock } from './field-block.ts';

export class RequestFields extends FieldBlock {
  private head: RequestHead | undefined;
  private method = '';
  private scheme = '';
  private path = '';
  private authority: string | undefined;
  private connectProtocol = '';

  begin(head: RequestHead): void {
    this.start(head.fields);
    this.head = head;
    this.method = this.scheme = this.path = this.connectProtocol = '';
    this.authority = undefined;
  }

  protected onPseudo(name: string, value: string): boolean {
    switch (name) {
      case ':method':
        if (this.method !== '') return false;
        this.method = value;
        return value !== '';
      case ':scheme':
        if (this.scheme !== '') return false;
        this.scheme = value;
        return value !== '';
      case ':path':
        if (this.path !== '') return false;
        this.path = value;
        return value !== '';
      case ':authority':
        if (this.authority !== undefined) return false;
        this.authority = value;
        return true;
      case ':protocol':
        if (this.connectProtocol !== '') return false;
        this.connectProtocol = value.toLowerCase();
        return value !== '';
      default:
        return false;
    }
  }

  /**
   * Completes the head. Returns 0, -1 when the request is malformed, or the status that refuses it. `connectAllowed`: extended
   * CONNECT (RFC 8441) was offered.
   */
  finish(bytes: number, endStream: boolean, connectAllowed: boolean): number {
    const { head } = this;
    if (head === undefined || this.fault === Fault.malformed) return -1;
    this.finishFields();
    if (this.fault === Fault.tooLarge) return 431;
    head.protocol = 'HTTP/2';
    head.minor = 1;
    head.bytes = bytes;
    head.method = this.method;
    head.path = this.path;
    head.scheme = this.scheme;
    const { framing, fields } = head;
    framing.close = framing.keepAlive = framing.upgradeListed = framing.chunked = false;
    framing.upgrade = '';
    framing.contentLength = -1;
    let host: string | undefined;
    for (let i = 0; i < fields.count; i++) {
      const kind = fields.kinds[i];
      if (kind === Field.contentLength) {
        if (framing.contentLength >= 0) return -1;
        framing.contentLength = parseLength(fields.value(i));
        if (framing.contentLength < 0) return -1;
      } else if (kind === Field.host) {
        if (host !== undefined) return -1;
        host = fields.value(i);
      }
    }
    if (endStream && framing.contentLength > 0) return -1;
    if (this.method === '') return -1;
    const extended = this.connectProtocol !== '';
    // The authority beats Host, which is not passed on.
    head.authority = this.authority ?? host ?? '';
    if (this.method === 'CONNECT' && !extended) return this.scheme !== '' || this.path !== '' ? -1 : 404;
    if (extended && (this.method !== 'CONNECT' || !connectAllowed)) return -1;
    if (this.scheme === '' || this.path === '') return -1;
    return this.judge(head, endStream);
  }

  private judge(head: RequestHead, endStream: boolean): number {
    const extended = this.connectProtocol !== '';
    if (!isAuthority(head.authority) || !isTarget(this.path, this.method)) return -1;
    if (this.scheme !== 'http' && this.scheme !== 'https' && !/^[a-z][a-z0-9+.-]*$/i.test(this.scheme)) return -1;
    // As in Envoy, which knows a list of methods in HTTP/1 only.
    if (!extended && !knownMethods.has(this.method) && !isToken(this.method)) return -1;
    if (extended) {
      head.method = 'GET';
      head.framing.upgrade = this.connectProtocol;
      head.framing.upgradeListed = true;
    } else head.framing.chunked = !endStream && head.framing.contentLength < 0;
    head.expectContinue = saysContinue(head.fields);
    return 0;
  }
}

function isTarget(path: string, method: string): boolean {
  if (path === '*') return method === 'OPTIONS';
  if (path.charCodeAt(0) !== 0x2f) return false;
  // Of the octets no URI has, HTTP/2's users take those beyond ASCII.
  for (let i = 0; i < path.length; i++) if (path.charCodeAt(i) < 0x80 && targetByte[path.charCodeAt(i)] !== 1) return false;
  return true;
}

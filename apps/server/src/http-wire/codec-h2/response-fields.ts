// A response's header block checked (RFC 9113 §8.3.2) and turned into a response head.

import { Field } from '../codec-h1/field-kinds.ts';
import { Body, parseLength } from '../codec-h1/framing.ts';
import type { ResponseHead } from '../codec-h1/response-head.ts';
import { Fault, FieldBlock } from './field-block.ts';

export class ResponseFields extends FieldBlock {
  private head: ResponseHead | undefined;
  private status = '';

  begin(head: ResponseHead): void {
    this.start(head.fields);
    this.head = head;
    this.status = '';
  }

  protected onPseudo(name: string, value: string): boolean {
    if (name !== ':status' || this.status !== '') return false;
    this.status = value;
    return /^[1-9][0-9][0-9]$/.test(value);
  }

  /** False = malformed. `toHead`: the request was a HEAD. */
  finish(bytes: number, endStream: boolean, toHead: boolean): boolean {
    const { head } = this;
    if (head === undefined || this.fault !== Fault.none || this.status === '') return false;
    this.finishFields();
    const status = Number(this.status);
    // There is no 101 (§8.6), and an interim response ends nothing.
    if (status === 101 || (status < 200 && endStream)) return false;
    head.status = status;
    head.minor = 1;
    head.bytes = bytes;
    const { framing, fields } = head;
    framing.close = framing.keepAlive = framing.upgradeListed = framing.chunked = false;
    framing.upgrade = '';
    framing.contentLength = -1;
    for (let i = 0; i < fields.count; i++) {
      if (fields.kinds[i] !== Field.contentLength) continue;
      if (framing.contentLength >= 0) return false;
      framing.contentLength = parseLength(fields.value(i));
      // Neither has a body whose length could be told (RFC 9110 §8.6).
      if (framing.contentLength < 0 || status < 200 || (status === 204 && framing.contentLength > 0)) return false;
    }
    const bodyless = toHead || status < 200 || status === 204 || status === 304;
    if (endStream && framing.contentLength > 0 && !bodyless) return false;
    if (endStream || bodyless) head.body = Body.none;
    else head.body = framing.contentLength >= 0 ? Body.length : Body.chunked;
    return true;
  }
}

// Body framing (RFC 9112 §6.3) and Connection options, common to requests and responses. Anything ambiguous is refused.

import { Field, framingFields } from './field-kinds.ts';
import { type HeaderBlock, refuse } from './header-block.ts';

export const Body = { none: 0, length: 1, chunked: 2, untilClose: 3 } as const;

export class Framing {
  chunked = false;
  /** -1 = no Content-Length. */
  contentLength = -1;
  close = false;
  keepAlive = false;
  upgradeListed = false;
  /** Value of the Upgrade field, lower case, '' = none. */
  upgrade = '';
  /** Fields the Connection field names, lower case. */
  named: string[] | undefined = undefined;
}

/** Fills `framing` from the fields. Returns 0 or -status. */
export function readFraming(block: HeaderBlock, framing: Framing): number {
  framing.chunked = framing.close = framing.keepAlive = framing.upgradeListed = false;
  framing.contentLength = -1;
  framing.upgrade = '';
  framing.named = undefined;
  let coded = false;
  let proxyClose = false;
  for (let i = 0; i < block.count; i++) {
    switch (block.kinds[i]) {
      case Field.contentLength: {
        if (framing.contentLength >= 0 || tabFollows(block, i)) return -400;
        framing.contentLength = parseLength(block.value(i));
        if (framing.contentLength < 0) return -400;
        break;
      }
      case Field.transferEncoding: {
        if (tabFollows(block, i)) return -400;
        framing.chunked = !coded && block.value(i).toLowerCase() === 'chunked';
        coded = true;
        break;
      }
      case Field.upgrade:
        framing.upgrade = framing.upgrade === '' ? block.value(i).toLowerCase() : `${framing.upgrade},${block.value(i).toLowerCase()}`;
        break;
      case Field.connection: {
        // What nearly every one says.
        if (block.hasValue(i, 'keep-alive')) framing.keepAlive = true;
        else
          for (const option of tokens(block.value(i))) {
            if (option === 'close') framing.close = true;
            else if (option === 'keep-alive') framing.keepAlive = true;
            else if (option === 'upgrade') framing.upgradeListed = true;
            else if (option !== '') (framing.named ??= []).push(option);
          }
        break;
      }
      // No field of any standard, but one Envoy reads.
      case Field.proxyConnection:
        if (tokens(block.value(i)).includes('close')) proxyClose = true;
        break;
      default:
    }
  }
  // Whatever Connection says.
  if (proxyClose) {
    framing.close = true;
    framing.keepAlive = false;
  }
  if (coded && framing.contentLength >= 0) return refuse(block, 400, 'http1.content_length_and_chunked_not_allowed');
  return coded && !framing.chunked ? refuse(block, 501, 'http1.invalid_transfer_encoding') : 0;
}

/** Marks the fields that Connection names as stripped. */
export function stripNamed(block: HeaderBlock, named: readonly string[]): void {
  for (let i = 0; i < block.count; i++) {
    const name = block.lowerName(i);
    if (named.includes(name) && !framingFields.has(name)) block.kinds[i] = Field.stripped;
  }
}

/** Members of a list in lower case. */
export function tokens(list: string): string[] {
  return list
    .toLowerCase()
    .split(',')
    .map((member) => member.trim());
}

/** Whether a tab stands behind the value of a field. It is white space (RFC 9110 §5.5), but llhttp takes none there: who follows us may see another message. */
function tabFollows(block: HeaderBlock, index: number): boolean {
  let i = block.at[index * 4 + 3] as number;
  while (block.text.charCodeAt(i) === 0x20) i++;
  return block.text.charCodeAt(i) === 0x09;
}

/** 1 to 15 digits, so that the number is exact; -1 otherwise. */
export function parseLength(text: string): number {
  if (text.length === 0 || text.length > 15) return -1;
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length;
}

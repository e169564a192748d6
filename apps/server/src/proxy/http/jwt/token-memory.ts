// Tokens that were found good lately: a signature costs about 100 µs. Known by their whole text, as many and as long ones as fit.

import type { JwtFailure } from '@weft/mesh-core/traffic';
import { parseJwt, type JwtToken } from './token.ts';

const maxTokens = 512;
const maxLength = 4096;

export class TokenMemory {
  private readonly good = new Map<string, JwtToken>();
  private lastText = '';
  private lastRead: JwtToken | JwtFailure | undefined;

  /** The same object for a token that is remembered, and for one several providers look at in turn. */
  read(text: string): JwtToken | JwtFailure {
    const known = this.good.get(text);
    if (known !== undefined) {
      // The one used last goes last.
      this.good.delete(text);
      this.good.set(text, known);
      return known;
    }
    if (this.lastRead !== undefined && this.lastText === text) return this.lastRead;
    this.lastText = text;
    return (this.lastRead = parseJwt(text));
  }

  keep(text: string, token: JwtToken): void {
    if (text.length > maxLength) return;
    const [oldest] = this.good.keys();
    if (oldest !== undefined && this.good.size >= maxTokens && !this.good.has(text)) this.good.delete(oldest);
    this.good.set(text, token);
  }

  forget(text: string): void {
    this.good.delete(text);
  }

  get size(): number {
    return this.good.size;
  }
}

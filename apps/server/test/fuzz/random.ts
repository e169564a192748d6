// Chance that can be repeated: the same seed, the same case.

export class Random {
  private state: number;

  constructor(seed: number) {
    // Neighbouring seeds must not give neighbouring cases.
    this.state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) >>> 0;
  }

  /** 0 to `limit` - 1. */
  below(limit: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  bytes(length: number): string {
    return Array.from({ length }, () => String.fromCharCode(this.below(256))).join('');
  }

  /** 1 to 4 changes: a piece put in, taken out, doubled, or a byte replaced. Text stands for bytes (latin1). */
  mutate(seed: string, pieces: readonly string[]): string {
    let text = seed;
    for (let changes = 1 + this.below(4); changes > 0; changes--) {
      const at = this.below(text.length + 1);
      const length = this.below(this.below(4) === 0 ? 40 : 3);
      const kind = this.below(5);
      if (kind <= 1) text = text.slice(0, at) + this.pick(pieces) + text.slice(at + this.below(2));
      else if (kind === 2) text = text.slice(0, at) + text.slice(at + length);
      else if (kind === 3) text = text.slice(0, at + length) + text.slice(at);
      else text = text.slice(0, at) + this.bytes(1) + text.slice(at + 1);
    }
    return text;
  }
}

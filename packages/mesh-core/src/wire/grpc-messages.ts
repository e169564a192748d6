// Messages out of the DATA of one gRPC stream: a flag byte, four bytes of length, the message.

const PREFIX = 5;
/** A message up to this long gets a buffer of its size at once; of a longer one only as much as twice what has come. */
const TRUSTED_BYTES = 262_144;
const NOTHING = new Uint8Array();

/** What is thrown at a message that is not taken. */
export interface Refusals {
  compressed(): Error;
  /** Both in bytes. */
  tooLarge(length: number, limit: number): Error;
}

export class GrpcMessages {
  readonly #maxBytes: number;
  readonly #refusals: Refusals;
  /** What is not read yet is `#data` from `#start` to `#end`. */
  #data: Uint8Array = NOTHING;
  #start = 0;
  #end = 0;
  /** `#data` is ours and may be written to from `#end` on. */
  #own = false;

  constructor(maxBytes: number, refusals: Refusals) {
    this.#maxBytes = maxBytes;
    this.#refusals = refusals;
  }

  /** Whether the stream stands inside a message. */
  get partial(): boolean {
    return this.#end > this.#start;
  }

  /** A message that came in one chunk is never copied. */
  push(chunk: Uint8Array): void {
    const held = this.#end - this.#start;
    if (held === 0) {
      this.#data = chunk;
      this.#start = 0;
      this.#end = chunk.length;
      this.#own = false;
      return;
    }
    if (!this.#own || this.#end + chunk.length > this.#data.length) {
      const come = held + chunk.length;
      const whole = held < PREFIX ? 0 : PREFIX + this.#length();
      const larger = new Uint8Array(Math.max(come, Math.min(whole, Math.max(TRUSTED_BYTES, 2 * held))));
      larger.set(this.#data.subarray(this.#start, this.#end));
      this.#data = larger;
      this.#start = 0;
      this.#end = held;
      this.#own = true;
    }
    this.#data.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** The next whole message. Throws on one that is compressed or too large, as soon as its prefix is there. */
  next(): Uint8Array | undefined {
    const held = this.#end - this.#start;
    if (held < PREFIX) return undefined;
    if (this.#data[this.#start] !== 0) throw this.#refusals.compressed();
    const length = this.#length();
    if (length > this.#maxBytes) throw this.#refusals.tooLarge(length, this.#maxBytes);
    if (held < PREFIX + length) return undefined;
    const from = this.#start + PREFIX;
    this.#start = from + length;
    const message = this.#data.subarray(from, this.#start);
    if (this.#start === this.#end) this.#data = NOTHING;
    return message;
  }

  /** Of the message whose prefix is at `#start`. */
  #length(): number {
    const at = this.#start;
    return new DataView(this.#data.buffer, this.#data.byteOffset + at + 1, 4).getUint32(0);
  }
}

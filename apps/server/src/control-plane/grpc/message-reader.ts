// Messages out of the DATA of one gRPC stream: a flag byte, four bytes of length, the message.

import { CODE, GrpcError } from './codes.ts';

const PREFIX = 5;
/** A message up to this long gets a buffer of its size at once; of a longer one only as much as twice what has come. */
const TRUSTED_BYTES = 262_144;
const NOTHING: Buffer = Buffer.alloc(0);

export class MessageReader {
  readonly #maxBytes: number;
  /** What is not read yet is `#data` from `#start` to `#end`. */
  #data = NOTHING;
  #start = 0;
  #end = 0;
  /** `#data` is ours and may be written to from `#end` on. */
  #own = false;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether the stream stands inside a message. */
  get partial(): boolean {
    return this.#end > this.#start;
  }

  /** A message that came in one chunk is never copied. */
  push(chunk: Buffer): void {
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
      const whole = held < PREFIX ? 0 : PREFIX + this.#data.readUInt32BE(this.#start + 1);
      const larger = Buffer.allocUnsafe(Math.max(come, Math.min(whole, Math.max(TRUSTED_BYTES, 2 * held))));
      larger.set(this.#data.subarray(this.#start, this.#end));
      this.#data = larger;
      this.#start = 0;
      this.#end = held;
      this.#own = true;
    }
    this.#data.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** The next whole message. Throws {@link GrpcError} on one that is compressed or too large, as soon as its prefix is there. */
  next(): Buffer | undefined {
    const held = this.#end - this.#start;
    if (held < PREFIX) return undefined;
    if (this.#data[this.#start] !== 0) throw new GrpcError(CODE.unimplemented, 'this server takes no compressed messages (grpc-accept-encoding: identity)');
    const length = this.#data.readUInt32BE(this.#start + 1);
    if (length > this.#maxBytes) throw new GrpcError(CODE.resourceExhausted, `a message of ${length} bytes is larger than the limit of ${this.#maxBytes}`);
    if (held < PREFIX + length) return undefined;
    const from = this.#start + PREFIX;
    this.#start = from + length;
    const message = this.#data.subarray(from, this.#start);
    if (this.#start === this.#end) this.#data = NOTHING;
    return message;
  }
}

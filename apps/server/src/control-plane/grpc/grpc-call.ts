// One call of a gRPC client. What is sent is copied out of its pieces only as fast as the client takes it: a megabyte of
// configuration on its way to each of a thousand proxies is a thousand chunks of memory, not a gigabyte.

import { GrpcMessages } from '@weft/mesh-core/wire';
import { plainBlock } from '../../http-wire/codec-h2/hpack-encoder.ts';
import { CODE, GrpcError, messageOf } from './codes.ts';
import type { Code } from './codes.ts';
import type { Fields, GrpcStream, StreamListener } from './grpc-session.ts';

/** With its frame header it just fits into one TLS record; buffers of TLS grow to what is written at once and stay so. */
const CHUNK_BYTES = 16_000;
/** Where a chunk is put together; it is copied before the next. */
const scratch = Buffer.allocUnsafeSlow(CHUNK_BYTES);
/** Of a client that asks and asks and does not read, nothing more is taken while so much waits for it. */
const MAX_UNSENT_BYTES = 1_048_576;
/** A header block of more than a few KB is refused by clients. */
const MAX_DETAILS = 1_000;
const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };
/** What a timer can do. */
const LONGEST_TIMEOUT_MS = 2_147_483_647;
const REFUSALS = {
  compressed: () => new GrpcError(CODE.unimplemented, 'this server takes no compressed messages (grpc-accept-encoding: identity)'),
  tooLarge: (length: number, limit: number) => new GrpcError(CODE.resourceExhausted, `a message of ${length} bytes is larger than the limit of ${limit}`),
};
const HEAD = plainBlock([
  [':status', '200'],
  ['content-type', 'application/grpc+proto'],
  ['grpc-accept-encoding', 'identity'],
]);

/** What a method makes of a call. None of these is called after `closed`. */
export interface CallHandler {
  message(bytes: Uint8Array): void;
  /** The client sends no more. */
  ended(): void;
  /** All that was written has left, after the call was {@link GrpcCall.congested}. */
  drained?(): void;
  /** The client is gone, or the call is over because of an error of the client. */
  closed?(): void;
}

export type GrpcMethod = (call: GrpcCall) => CallHandler;

/** Who is at the other end of a connection. */
export interface Peer {
  /** `address:port` */
  address: string;
  /** DER of the certificate the client showed (and has the key of); nobody has checked it yet. */
  certificate: Uint8Array | undefined;
}

export class GrpcCall implements StreamListener {
  readonly headers: Fields;
  readonly peer: Peer;
  readonly #stream: GrpcStream;
  readonly #reader: GrpcMessages;
  readonly #handler: CallHandler;
  readonly #deadline: NodeJS.Timeout | undefined;
  #paused = false;
  /** The client's side has ended, and the handler does not know it yet. */
  #endPending = false;
  /** Nothing more is taken from the client, nothing written. */
  #over = false;
  /** The head of the response has left. */
  #begun = false;
  /** The last chunk has not left. */
  #blocked = false;
  readonly #unsent: Uint8Array[] = [];
  /** Where in `#unsent` the rest begins: piece, and byte of it. */
  #piece = 0;
  #offset = 0;
  #unsentBytes = 0;
  #status: { code: Code; details: string } | undefined;
  #leave: (() => void) | undefined;

  constructor(stream: GrpcStream, headers: Fields, options: { peer: Peer; method: GrpcMethod; maxMessageBytes: number; leave: () => void }) {
    this.headers = headers;
    this.peer = options.peer;
    this.#stream = stream;
    this.#reader = new GrpcMessages(options.maxMessageBytes, REFUSALS);
    this.#leave = options.leave;
    this.#handler = options.method(this);
    this.#leave?.();
    const timeoutMs = timeoutOf(headers);
    if (timeoutMs !== undefined)
      this.#deadline = setTimeout(() => this.#refuse(new GrpcError(CODE.deadlineExceeded, 'the deadline of the call has passed')), timeoutMs).unref();
  }

  data(bytes: Uint8Array): void {
    if (this.#over) return;
    this.#reader.push(bytes);
    this.#take();
  }

  /** Comes also while the call is paused, and may be ahead of messages that wait in the reader. */
  ended(): void {
    this.#endPending = true;
    this.#take();
  }

  drained(): void {
    this.#blocked = false;
    this.#pump();
    if (this.congested || this.#over) return;
    this.#handler.drained?.();
    this.#take();
  }

  closed(): void {
    clearTimeout(this.#deadline);
    this.#unsent.length = 0;
    this.#unsentBytes = 0;
    this.#blocked = false;
    if (this.#over) return;
    this.#over = true;
    this.#handler.closed?.();
  }

  /** Whether something written has not left our buffers. */
  get congested(): boolean {
    return this.#unsentBytes > 0 || this.#blocked;
  }

  /** The place its connection was admitted to, for a method that gives it back itself; else it is given back at once. */
  keepPlace(): () => void {
    const leave = this.#leave;
    this.#leave = undefined;
    return leave ?? (() => undefined);
  }

  /** Takes no more messages until `resume`: the client's window fills up. */
  pause(): void {
    this.#paused = true;
    this.#stream.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#take();
  }

  /** Sends one message, the pieces one behind the other; returns its length. They must not change until it has left. */
  write(pieces: readonly Uint8Array[]): number {
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (this.#over) return length;
    const prefix = Buffer.allocUnsafe(5);
    prefix[0] = 0;
    prefix.writeUInt32BE(length, 1);
    this.#unsent.push(prefix);
    for (const piece of pieces) this.#unsent.push(piece);
    this.#unsentBytes += prefix.length + length;
    this.#pump();
    return length;
  }

  /** Ends the call when all that was written has left. */
  end(code: Code = CODE.ok, details = ''): void {
    if (this.#over) return;
    this.#over = true;
    this.#status = { code, details };
    this.#pump();
  }

  /** Ends the call with what went wrong. */
  fail(error: unknown): void {
    this.end(error instanceof GrpcError ? error.code : CODE.internal, messageOf(error));
  }

  /** Gives the handler what has come, as far as it takes it now. */
  #take(): void {
    try {
      for (;;) {
        if (this.#over || this.#paused) return;
        if (this.#unsentBytes > MAX_UNSENT_BYTES) return this.#stream.pause();
        const message = this.#reader.next();
        if (message === undefined) break;
        this.#handler.message(message);
      }
      this.#stream.resume();
      if (!this.#endPending) return;
      this.#endPending = false;
      if (this.#reader.partial) throw new GrpcError(CODE.invalidArgument, 'the stream ended inside a message');
      this.#handler.ended();
    } catch (error) {
      this.#refuse(error);
    }
  }

  #refuse(error: unknown): void {
    if (this.#over) return;
    this.fail(error);
    this.#handler.closed?.();
  }

  #pump(): void {
    const stream = this.#stream;
    while (this.#unsentBytes > 0 && !this.#blocked) {
      if (!this.#begun) stream.respond(HEAD, false);
      this.#begun = true;
      const chunk = scratch.subarray(0, Math.min(CHUNK_BYTES, this.#unsentBytes));
      this.#fill(chunk);
      this.#blocked = !stream.send(chunk);
    }
    if (this.#status === undefined || this.#unsentBytes > 0) return;
    const { code, details } = this.#status;
    this.#status = undefined;
    clearTimeout(this.#deadline);
    if (this.#begun) stream.finish(trailers(code, details));
    else respondWithoutBody(stream, code, details);
  }

  #fill(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      const piece = this.#unsent[this.#piece] ?? chunk;
      const rest = piece.length - this.#offset;
      const length = Math.min(rest, chunk.length - at);
      chunk.set(length === piece.length ? piece : piece.subarray(this.#offset, this.#offset + length), at);
      at += length;
      this.#offset = length === rest ? 0 : this.#offset + length;
      if (length === rest) this.#piece += 1;
    }
    this.#unsentBytes -= chunk.length;
    if (this.#unsentBytes === 0) {
      this.#unsent.length = 0;
      this.#piece = 0;
    }
  }
}

/** A method with one message each way. What it rejects with is told to the client when it is a {@link GrpcError}. */
export function unary(answer: (call: GrpcCall, request: Uint8Array) => Promise<Uint8Array>): GrpcMethod {
  return (call) => {
    let request: Uint8Array | undefined;
    return {
      message: (bytes) => {
        if (request !== undefined) throw new GrpcError(CODE.invalidArgument, 'this method takes one message');
        request = bytes;
      },
      ended: () => {
        if (request === undefined) return call.end(CODE.invalidArgument, 'this method takes one message');
        answer(call, request).then(
          (response) => {
            call.write([response]);
            call.end();
          },
          (error: unknown) => call.fail(error),
        );
      },
    };
  };
}

/** The whole answer of a call in one header block. */
export function respondWithoutBody(stream: GrpcStream, code: Code, details: string): void {
  stream.respond(HEAD + trailers(code, details), true);
}

/** As a header block. The message is percent-encoded as the protocol demands: only printable ASCII stands for itself. */
function trailers(code: Code, details: string): string {
  const message = details.slice(0, MAX_DETAILS).replace(/[^ -$&-~]+/g, (text) => Buffer.from(text).toString('hex').replace(/../g, '%$&'));
  return plainBlock([['grpc-status', String(code)], ...(details === '' ? [] : [['grpc-message', message] as const])]);
}

/** `grpc-timeout`: at most eight digits and a unit. */
function timeoutOf(headers: Fields): number | undefined {
  const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(headers['grpc-timeout'] ?? '') ?? [];
  return unit === undefined ? undefined : Math.min(Number(digits) * (UNIT_MS[unit] ?? 0), LONGEST_TIMEOUT_MS);
}

// gRPC over HTTP: how long it may take, and how answers of our own look to its clients.

/** `grpc-status` of trailers, which are field lines of whatever case. */
export function grpcStatusIn(trailers: string): string | undefined {
  return /^grpc-status:[ \t]*(\d+)/im.exec(trailers)?.[1];
}

const httpStatuses = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];

/** HTTP status of a `grpc-status`, as Envoy maps it for outlier detection. */
export function httpStatusOfGrpc(status: string): number {
  return httpStatuses[Number(status)] ?? 500;
}

/** Field lines of a local answer in gRPC form. */
export function grpcAnswerLines(grpcStatus: number, message: string): string {
  return `content-type: application/grpc\r\ngrpc-status: ${grpcStatus}\r\n${message === '' ? '' : `grpc-message: ${percentEncode(message)}\r\n`}`;
}

export function percentEncode(text: string): string {
  return text.replaceAll(/[^ -$&-~]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/** Milliseconds of a `grpc-timeout` value, rounded up; undefined when it is none (1 to 8 digits and a unit). */
export function grpcTimeoutMs(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const match = /^(\d{1,8})([HMSmun])$/.exec(value);
  if (match === null) return undefined;
  return Math.ceil(Number(match[1]) * (unitMs[match[2] ?? 'm'] ?? 1));
}

/** A `grpc-timeout` of at most 8 digits, as Envoy writes it: in ms, and in a larger unit only where that is too long. */
export function grpcTimeoutText(ms: number): string {
  const max = 99_999_999;
  if (ms <= max) return `${ms}m`;
  const seconds = Math.floor(ms / 1000);
  if (seconds <= max) return `${seconds}S`;
  const minutes = Math.floor(seconds / 60);
  return minutes <= max ? `${minutes}M` : `${Math.min(Math.floor(minutes / 60), max)}H`;
}

/** Counts the messages in a gRPC body (1 byte of flags and 4 of length before each), in whatever pieces it comes. */
export class MessageCounter {
  count = 0;
  private left = 0;
  private prefix = 0;
  private length = 0;

  reset(): void {
    this.count = this.left = this.prefix = this.length = 0;
  }

  feed(bytes: Uint8Array, start: number, end: number): void {
    for (let i = start; i < end;) {
      if (this.left > 0) {
        const step = Math.min(this.left, end - i);
        this.left -= step;
        i += step;
        continue;
      }
      const byte = bytes[i++] as number;
      if (this.prefix > 0) this.length = this.length * 256 + byte;
      if (++this.prefix < 5) continue;
      this.count++;
      this.left = this.length;
      this.prefix = this.length = 0;
    }
  }
}

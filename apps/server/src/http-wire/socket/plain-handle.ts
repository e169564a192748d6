// What a plain TCP socket of Node stands on. Its stream adds bookkeeping of its own to each read and write, 7 % of what a small request
// costs (docs/benchmarks-notes.md); where a version of Node does not give this away, everything goes by way of the stream.

import type { Socket } from 'node:net';

export interface WriteRequest {
  /** Told 0 once all is written, or an errno below it. */
  oncomplete?: (status: number) => void;
}

export interface PlainHandle {
  /** Node's reader, or one of ours; how much was read is told by `lastRead`. */
  onread: (this: PlainHandle, bytes: unknown) => void;
  /** Answers 0, or an errno below it. */
  writeLatin1String(request: WriteRequest, text: string): number;
  /** Bytes that wait for the system to take them. */
  readonly writeQueueSize: number;
}

interface StreamWrap {
  WriteWrap: new () => WriteRequest;
  /** Of the last read or write of any stream. */
  streamBaseState: Int32Array;
  kReadBytesOrError: number;
  kLastWriteWasAsync: number;
}

const wraps = ((): { stream: StreamWrap; Tcp: new () => PlainHandle } | undefined => {
  const { binding } = process as { binding?: (name: string) => unknown };
  try {
    const stream = binding?.('stream_wrap') as StreamWrap;
    const { TCP: Tcp } = binding?.('tcp_wrap') as { TCP: new () => PlainHandle };
    const parts = [typeof stream.WriteWrap, typeof Tcp, typeof stream.kReadBytesOrError, typeof stream.kLastWriteWasAsync];
    return parts.join() === 'function,function,number,number' && ArrayBuffer.isView(stream.streamBaseState) ? { stream, Tcp } : undefined;
  } catch {
    return undefined;
  }
})();

/** Undefined of a socket that is closed, has TLS or is no TCP. */
export function plainHandle(socket: Socket): PlainHandle | undefined {
  const handle = (socket as { _handle?: unknown })._handle;
  return wraps !== undefined && handle instanceof wraps.Tcp ? handle : undefined;
}

/** Of the read a handle's `onread` is told of: bytes read, or an errno below 0. */
export function lastRead(): number {
  return wraps?.stream.streamBaseState[wraps.stream.kReadBytesOrError] ?? 0;
}

/** The system did not take all of the last write at once. */
export function lastWriteWaits(): boolean {
  return wraps?.stream.streamBaseState[wraps.stream.kLastWriteWasAsync] === 1;
}

/** @throws where there is no plain handle either */
export function writeRequest(): WriteRequest {
  if (wraps === undefined) throw new Error('this Node gives no write requests away');
  return new wraps.stream.WriteWrap();
}

// Reads of an accepted socket, handed over as they come. By way of the stream's buffer, which is empty while its reader keeps up, each
// costs a tenth of what a small request does: more bookkeeping, an event, and a callback of the next tick to ask for the next read.

import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { lastRead, plainHandle } from './plain-handle.ts';

/** Who has a `data` listener may say so: as long as nothing waits and nobody has paused the socket, what is pushed goes straight to it. */
export function readDirectly(socket: Duplex, onData: (chunk: Buffer) => void): void {
  const push = socket.push.bind(socket);
  // What came before, and what comes while it is paused.
  socket.on('data', onData);
  socket.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
    if (!Buffer.isBuffer(chunk) || socket.readableFlowing !== true || socket.readableLength > 0) return push(chunk, encoding);
    onData(chunk);
    return true;
  };
}

/** One for all sockets of a process: what is read is dealt with before the next read. */
export const readBuffer: Buffer = Buffer.allocUnsafeSlow(64 * 1024);

type Slots = Socket & Record<symbol, unknown>;

/** Where a socket keeps what its `onread` option says; undefined where this Node keeps it elsewhere. */
const slots = ((): { buffer: symbol; callback: symbol } | undefined => {
  const callback = (): boolean => true;
  // @types/node does not know `onread` here.
  const sample = new Socket({ allowHalfOpen: true, ...{ onread: { buffer: readBuffer, callback } } }) as Slots;
  const slotOf = (value: unknown): symbol | undefined => Object.getOwnPropertySymbols(sample).find((symbol) => sample[symbol] === value);
  const [buffer, called] = [slotOf(readBuffer), slotOf(callback)];
  return buffer === undefined || called === undefined ? undefined : { buffer, callback: called };
})();

/**
 * As `readDirectly`, but what `onData` is given is valid during the call only: no memory is made for each read, which is a third of what
 * a large upload costs. Node has this as an option of sockets that connect (`onread`); accepted ones can do it too, but nobody can say
 * so when they are made.
 */
export function readShared(socket: Socket, onData: (chunk: Buffer) => void): void {
  const handle = (socket as { _handle?: { useUserBuffer?: (buffer: Buffer) => void } })._handle;
  if (slots === undefined || typeof handle?.useUserBuffer !== 'function') return readDirectly(socket, onData);
  socket.on('data', onData);
  const own = socket as Slots;
  own[slots.buffer] = readBuffer;
  const take = (length: number): boolean => {
    if (socket.readableFlowing !== true || socket.readableLength > 0) return false;
    onData(readBuffer.subarray(0, length));
    return true;
  };
  own[slots.callback] = (length: number): boolean => take(length) || socket.push(Buffer.from(readBuffer.subarray(0, length)));
  handle.useUserBuffer(readBuffer);
  readPlainly(socket, take);
}

/** What a plain TCP socket reads into `readBuffer` goes to `take` first; Node's reader has what that refuses, the end, and errors. */
export function readPlainly(socket: Socket, take: (length: number) => boolean): void {
  const handle = plainHandle(socket);
  if (handle === undefined) return;
  const { onread } = handle;
  handle.onread = (bytes) => {
    const length = lastRead();
    if (length <= 0 || !take(length)) onread.call(handle, bytes);
  };
}

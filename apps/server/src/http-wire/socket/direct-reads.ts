// Reads of an accepted socket, handed over as they come. By way of the stream's buffer, which is empty while its reader keeps up, each
// costs a tenth of what a small request does: more bookkeeping, an event, and a callback of the next tick to ask for the next read.

import type { Duplex } from 'node:stream';

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

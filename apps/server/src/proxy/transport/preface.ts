// HTTP/2 by prior knowledge: its first bytes are those of no HTTP/1 request (RFC 9113 §3.4).

import type { Socket } from 'node:net';

const start = 'PRI';

/** Calls back once, with the bytes still to be read, when the first bytes tell whether the client speaks HTTP/2. */
export function awaitPreface(socket: Socket, decided: (http2: boolean) => void): void {
  let seen = '';
  let chunks: Buffer[] = [];
  const onData = (chunk: Buffer): void => {
    chunks.push(chunk);
    seen += chunk.toString('latin1', 0, start.length);
    const length = Math.min(seen.length, start.length);
    const http2 = seen.slice(0, length) === start.slice(0, length);
    if (http2 && length < start.length) return;
    socket.removeListener('data', onData);
    socket.removeListener('end', onEnd);
    socket.pause();
    for (const bytes of chunks.reverse()) socket.unshift(bytes);
    chunks = [];
    decided(http2);
    socket.resume();
  };
  // Nothing has been asked, and nothing will be.
  const onEnd = (): void => void socket.destroy();
  socket.on('data', onData);
  socket.once('end', onEnd);
}

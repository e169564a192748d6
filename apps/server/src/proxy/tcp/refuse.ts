// The end of a connection nobody may have: closed on its first bytes, as by Envoy, which decides on these. A close before them would
// reach most clients as a reset of what they were about to say.

import type { Duplex } from 'node:stream';
import { type TimerWheel, WheelTimer } from '../transport/timer-wheel.ts';

/** Who says nothing is closed all the same; Envoy would wait, with an upstream that may speak first. */
const silentMs = 1_000;

/** `heard` is told the bytes that came. */
export function refuseOnFirstBytes(socket: Duplex, wheel: TimerWheel, heard?: (bytes: number) => void): void {
  const timer = new WheelTimer({ onTimer: () => socket.destroy() });
  wheel.set(timer, silentMs);
  socket.once('data', (chunk: Buffer) => {
    heard?.(chunk.length);
    socket.destroy();
  });
  socket.once('end', () => socket.destroy());
  socket.once('close', () => wheel.clear(timer));
}

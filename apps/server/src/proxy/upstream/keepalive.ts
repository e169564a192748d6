// When TCP asks whether a silent upstream is still there.

import { Socket } from 'node:net';
import type { TcpKeepalive } from '../config/model.ts';

type SetKeepAlive = (enable: boolean, timeMs: number, intervalMs: number, probes: number) => Socket;
const set: SetKeepAlive = Socket.prototype.setKeepAlive;

/** Late Node 24 and 26 take all three; those before them ask ten times, every second. */
export const takesProbes: boolean = set.length >= 4;

export function keepAlive(socket: Socket, { timeMs, intervalMs, probes }: TcpKeepalive): void {
  set.call(socket, true, timeMs, intervalMs, probes);
}

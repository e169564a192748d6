// Listening sockets that outlive this process: the supervisor keeps a copy of each and hands them to the next process, so
// that a crash refuses nobody. Connections wait in the kernel's queue meanwhile.

import type { SendHandle } from 'node:child_process';
import type { Server } from 'node:net';

/** Set by a supervisor that keeps sockets; without it there is nobody to hand them to. */
export const KEEPS_SOCKETS = 'WEFT_KEEPS_SOCKETS';

/** Over the IPC channel, keys are `address:port`. Upwards `keep` (with the handle) and `release`; downwards `inherit` (with the handle), then `inherited`. */
export type SocketMessage = { type: 'keep' | 'release' | 'inherit'; key: string } | { type: 'inherited' };

export interface ListeningSockets {
  /** The process before this one crashed and left sockets. */
  readonly inherited: boolean;
  /** What to listen on in place of a new socket; each is given once. */
  take(key: string): object | undefined;
  keep(key: string, server: Server): void;
  /** The address is given up on purpose: connections to it are to be refused again. */
  release(key: string): void;
}

/** An inherited socket nobody has taken by then belongs to a listener that is gone. */
const UNTAKEN_MS = 30_000;

/** Resolves when the supervisor has handed over what it has; undefined when there is no such supervisor. */
export function inheritSockets(env: NodeJS.ProcessEnv): Promise<ListeningSockets | undefined> {
  if (env[KEEPS_SOCKETS] === undefined || process.send === undefined) return Promise.resolve(undefined);
  const left = new Map<string, object>();
  const tell = (message: SocketMessage, handle?: unknown): void => {
    // Raw handles travel as they are: received as a Server they would accept in the supervisor.
    if (process.connected) process.send?.(message, handle as SendHandle | undefined);
  };
  const sockets = {
    inherited: false,
    take(key: string) {
      const handle = left.get(key);
      left.delete(key);
      return handle;
    },
    keep: (key: string, server: Server) => tell({ type: 'keep', key }, (server as unknown as { _handle: unknown })._handle),
    release: (key: string) => tell({ type: 'release', key }),
  };
  return new Promise((resolve) => {
    const receive = (message: SocketMessage, handle: unknown): void => {
      if (message.type === 'inherit') left.set(message.key, handle as object);
      if (message.type !== 'inherited') return;
      process.off('message', receive);
      sockets.inherited = left.size > 0;
      setTimeout(() => {
        for (const [key, socket] of left) {
          (socket as { close(): void }).close();
          tell({ type: 'release', key });
        }
        left.clear();
      }, UNTAKEN_MS).unref();
      resolve(sockets);
    };
    process.on('message', receive);
  });
}

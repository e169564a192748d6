// Writes of text past a socket's stream.

import type { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { lastWriteWaits, plainHandle, type WriteRequest, writeRequest } from './plain-handle.ts';

/** Used again as long as the system takes what it is given at once. */
let spare: WriteRequest | undefined;

export class DirectWrites {
  private readonly socket: Socket;
  /** The system has yet to take the rest of a write. */
  private behind = false;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** Bytes the system has yet to take that the stream knows nothing of. */
  get waiting(): number {
    return this.behind ? (plainHandle(this.socket)?.writeQueueSize ?? 0) : 0;
  }

  /** False: nothing was written, and the stream has to. What it writes afterwards comes behind what was written here. */
  write(text: string): boolean {
    const { socket } = this;
    const handle = plainHandle(socket);
    if (handle === undefined || this.behind || socket.connecting || socket.writableLength > 0) return false;
    const request = (spare ??= writeRequest());
    const failed = handle.writeLatin1String(request, text);
    if (failed !== 0) this.fail(failed);
    else if (lastWriteWaits()) {
      spare = undefined;
      this.behind = true;
      request.oncomplete = (status) => {
        this.behind = false;
        if (status < 0) this.fail(status);
      };
    }
    return true;
  }

  private fail(errno: number): void {
    const code = getSystemErrorName(errno);
    this.socket.destroy(Object.assign(new Error(`write ${code}`), { errno, code, syscall: 'write' }));
  }
}

// A client of HTTP/1: what a case says, byte by byte.

import { connect, type Socket } from 'node:net';
import type { Case, Leave, Outcome } from './case.ts';
import { type Application, go } from './http1-app.ts';
import { readMessages } from './messages.ts';

export interface ClientOptions {
  port: number;
  localAddress: string;
  quietMs: number;
  app: Application;
  leaves: Leave | undefined;
}

/** What is said of a connection ends it, or not. */
export async function leave(socket: Socket, { bytes, how, heard }: Leave, app: Application): Promise<void> {
  if (heard !== undefined) await app.arrived(heard);
  if (how === 'reset') socket.write(bytes, 'latin1', () => socket.resetAndDestroy());
  else {
    if (bytes !== '') socket.write(bytes, 'latin1');
    go(socket, how);
  }
}

export function askHttp1(
  { writes, methods }: Pick<Case, 'writes' | 'methods'>,
  { port, localAddress, quietMs, app, leaves }: ClientOptions,
): Promise<Pick<Outcome, 'answers' | 'rest' | 'end'>> {
  return new Promise((resolve, reject) => {
    let text = '';
    let written = 0;
    let waiting = false;
    let waited = false;
    let connected = false;
    const socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true });
    const timer = setTimeout(() => finish('open'), quietMs);
    const finish = (end: Outcome['end']): void => {
      clearTimeout(timer);
      socket.destroy();
      const { messages, rest } = readMessages(text, end === 'closed', methods);
      resolve({ answers: messages, rest, end });
    };
    let left = false;
    const leaveOnce = (once: Leave['once']): void => {
      if (left || leaves?.once !== once || socket.destroyed) return;
      left = true;
      void leave(socket, leaves, app);
    };
    const answered = (): string | undefined => {
      const { messages, rest } = readMessages(text, false, methods);
      const [last] = messages.slice(-1);
      return last === undefined ? undefined : last.body + rest;
    };
    const writeOn = (): void => {
      const finals = readMessages(text, false, methods).messages.filter((m) => m.complete && !/^HTTP\/1\.\d 1(?!01)/.test(m.start)).length;
      const next = writes[written];
      if (next === undefined) leaveOnce('written');
      if (next === undefined || next.after > finals || socket.destroyed || waiting) return;
      if (next.after > 0 && !waited) {
        waiting = waited = true;
        return void app.settled().then(() => {
          waiting = false;
          writeOn();
        });
      }
      waited = false;
      written++;
      socket.write(next.bytes, 'latin1', () => setTimeout(writeOn, 1));
    };
    socket.on('connect', () => {
      connected = true;
      writeOn();
      if (leaves?.once === 'arrived') void app.arrived(leaves.body).then(() => leaveOnce('arrived'));
    });
    socket.on('data', (chunk: Buffer) => {
      timer.refresh();
      text += chunk.toString('latin1');
      if (written < writes.length) writeOn();
      else if (answered() === leaves?.body) leaveOnce('answered');
    });
    socket.on('error', () => (connected ? undefined : reject(new Error('refused')))).on('close', () => finish('closed'));
  });
}

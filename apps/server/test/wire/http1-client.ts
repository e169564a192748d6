// A client of HTTP/1: what a case says, byte by byte.

import { connect } from 'node:net';
import type { Case, Outcome } from './case.ts';
import { readMessages } from './messages.ts';

/** `settled` is waited for before what comes behind an answer. */
export function askHttp1(
  port: number,
  localAddress: string,
  { writes, methods }: Case,
  options: { quietMs: number; settled: () => Promise<void> },
): Promise<Pick<Outcome, 'answers' | 'rest' | 'end'>> {
  return new Promise((resolve, reject) => {
    let text = '';
    let written = 0;
    let waiting = false;
    let waited = false;
    let connected = false;
    const socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true });
    const timer = setTimeout(() => finish('open'), options.quietMs);
    const finish = (end: Outcome['end']): void => {
      clearTimeout(timer);
      socket.destroy();
      const { messages, rest } = readMessages(text, end === 'closed', methods);
      resolve({ answers: messages, rest, end });
    };
    const writeOn = (): void => {
      const finals = readMessages(text, false, methods).messages.filter((m) => m.complete && !/^HTTP\/1\.\d 1(?!01)/.test(m.start)).length;
      const next = writes[written];
      if (next === undefined || next.after > finals || socket.destroyed || waiting) return;
      if (next.after > 0 && !waited) {
        waiting = waited = true;
        return void options.settled().then(() => {
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
    });
    socket.on('data', (chunk: Buffer) => {
      timer.refresh();
      text += chunk.toString('latin1');
      if (written < writes.length) writeOn();
    });
    socket.on('error', () => (connected ? undefined : reject(new Error('refused')))).on('close', () => finish('closed'));
  });
}

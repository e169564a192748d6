// An application of HTTP/1: what a case says, byte by byte.

import { createServer, type Server, type Socket } from 'node:net';
import { type After, LAST, type Answer, type Case, type Seen } from './case.ts';
import { readMessages } from './messages.ts';

export interface Application {
  readonly server: Server;
  begin(it: Case): void;
  /** What it was to do before the last request is done, and the proxy knows. */
  settled(): Promise<void>;
  /** A request of which so much of the body is here. */
  arrived(body: string): Promise<void>;
  /** What has arrived; connections are closed, and gone when this returns. */
  end(): Promise<Seen>;
}

/** Ends them, and waits until they are gone. */
export async function endAll(sockets: Iterable<Socket>): Promise<void> {
  const gone = [...sockets].map(
    (socket) =>
      new Promise<void>((resolve) => {
        const timer = setTimeout(() => socket.destroy(), 500);
        socket.once('close', () => {
          clearTimeout(timer);
          resolve();
        });
        socket.end();
      }),
  );
  await Promise.all(gone);
}

/** Each part in a turn of its own. */
export async function writeAnswer(socket: Socket, { parts, until, last = '', after }: Answer, app: Pick<Application, 'arrived'>): Promise<void> {
  for (const part of parts) {
    if (socket.destroyed) return;
    socket.write(part, 'latin1');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  if (until !== undefined) await Promise.race([app.arrived(until), new Promise((resolve) => setTimeout(resolve, 700))]);
  if (last !== '' && !socket.destroyed) socket.write(last, 'latin1');
  go(socket, after);
}

export function go(socket: Socket, how: After): void {
  if (how.startsWith('end')) socket.end();
  // What was written must have been read, else the reset overtakes it.
  if (how.endsWith('reset')) setTimeout(() => socket.resetAndDestroy(), 20);
}

/** Who waits for something to have arrived. */
export class Arrivals {
  private readonly waiting = new Set<() => void>();

  heard(): void {
    for (const look of this.waiting) look();
  }

  until(here: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!here()) return;
        this.waiting.delete(look);
        resolve();
      };
      this.waiting.add(look);
      look();
    });
  }
}

export class Http1App implements Application {
  readonly server: Server = createServer((socket) => this.serve(socket));
  private answers: readonly Answer[] = [];
  private readonly sockets = new Set<Socket>();
  private texts: { text: string; closed: boolean }[] = [];
  private answered = 0;
  private arrivals = new Arrivals();

  begin({ answers }: Case): void {
    this.answers = answers;
    this.answered = 0;
    this.texts = [];
    this.arrivals = new Arrivals();
  }

  /** The end of a connection must have been heard of before it could be used again. */
  async settled(): Promise<void> {
    if (this.answers.some(({ after }) => after !== 'keep')) await new Promise((resolve) => setTimeout(resolve, 40));
  }

  arrived(body: string): Promise<void> {
    const here = ({ text }: { text: string }): boolean => {
      const { messages, rest } = readMessages(text, false);
      return messages.some((message) => message.body === body) || (rest !== '' && rest === body);
    };
    return this.arrivals.until(() => this.texts.some(here));
  }

  async end(): Promise<Seen> {
    const connections = this.texts.map(({ closed }) => (closed ? 'closed' : 'open'));
    await endAll(this.sockets);
    const read = this.texts.map(({ text }) => readMessages(text, true));
    return { requests: read.flatMap(({ messages }) => messages), tunnel: read.map(({ rest }) => rest).filter((rest) => rest !== ''), connections };
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket);
    const seen = { text: '', closed: false };
    this.texts.push(seen);
    let answeredHere = 0;
    socket.setNoDelay(true);
    socket
      .on('error', () => undefined)
      .on('close', () => {
        this.sockets.delete(socket);
        seen.closed = true;
      });
    socket.on('data', (chunk: Buffer) => {
      seen.text += chunk.toString('latin1');
      this.arrivals.heard();
      const { messages, rest } = readMessages(seen.text, false);
      if (rest.includes(LAST)) socket.end();
      for (const message of messages.slice(answeredHere)) {
        const answer = message.start.includes(LAST) ? lastAnswer : (this.answers[this.answered] ?? lastAnswer);
        if (answer.when === 'end' && !message.complete) break;
        answeredHere++;
        if (answer !== lastAnswer) this.answered++;
        void writeAnswer(socket, answer, this);
      }
    });
  }
}

const lastAnswer: Answer = { when: 'end', parts: ['HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlast'], after: 'keep' };

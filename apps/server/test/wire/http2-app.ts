// An application of HTTP/2 with prior knowledge, frame by frame: nothing it sends is better than what a case says.

import { createServer, type Server, type Socket } from 'node:net';
import { FrameReader } from '../../src/http-wire/codec-h2/frame-reader.ts';
import { Flag, frameHead, frameHeadBytes, FrameType, preface, settingsFrame, uint32 } from '../../src/http-wire/codec-h2/frames.ts';
import { LAST, type Answer, type Case, type Seen } from './case.ts';
import { Arrivals, endAll, writeAnswer, type Application } from './http1-app.ts';
import { BlockReader } from './http2-blocks.ts';
import { fieldBlock } from './http2-client.ts';
import type { Message } from './messages.ts';

const NO_FLAGS = 0;
const lastHead = fieldBlock([
  [':status', '200'],
  ['content-length', '4'],
]);
const lastAnswer: Answer = {
  when: 'end',
  parts: [frameHead(lastHead.length, FrameType.headers, Flag.endHeaders, 1) + lastHead + frameHead(4, FrameType.data, Flag.endStream, 1) + 'last'],
  after: 'keep',
};

/** Frames of stream 1 become those of another; what follows a frame that is not whole stays. */
function onStream(id: number, frames: string): string {
  let out = '';
  let at = 0;
  while (frames.length - at >= frameHeadBytes) {
    const length = (frames.charCodeAt(at) << 16) | (frames.charCodeAt(at + 1) << 8) | frames.charCodeAt(at + 2);
    const head = frames.slice(at, at + frameHeadBytes);
    out += (head.endsWith(uint32(1)) ? head.slice(0, 5) + uint32(id) : head) + frames.slice(at + frameHeadBytes, at + frameHeadBytes + length);
    at += frameHeadBytes + length;
  }
  return out + frames.slice(at);
}

interface Connection {
  requests: Map<number, Message>;
  /** What the proxy said of streams and connection beside the messages. */
  told: string[];
}

export class Http2App implements Application {
  readonly server: Server = createServer((socket) => this.serve(socket));
  private answers: readonly Answer[] = [];
  private opening: string | undefined;
  private readonly sockets = new Set<Socket>();
  private connections: Connection[] = [];
  private answered = 0;
  private settling: Promise<void>[] = [];
  private arrivals = new Arrivals();

  begin({ answers, opening }: Case): void {
    this.answers = answers;
    this.opening = opening;
    this.answered = 0;
    this.connections = [];
    this.settling = [];
    this.arrivals = new Arrivals();
  }

  async settled(): Promise<void> {
    await Promise.all(this.settling);
  }

  arrived(body: string): Promise<void> {
    return this.arrivals.until(() => this.connections.some(({ requests }) => [...requests.values()].some((message) => message.body === body)));
  }

  async end(): Promise<Seen> {
    const connections = this.connections.map(({ requests, told }) => [`${requests.size} requests`, ...told].join(', '));
    await endAll(this.sockets);
    return { requests: this.connections.flatMap(({ requests }) => [...requests.values()]), tunnel: [], connections };
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket);
    const connection: Connection = { requests: new Map(), told: [] };
    this.connections.push(connection);
    socket.setNoDelay(true);
    const blocks = new BlockReader();
    let awaitPong: () => void = () => undefined;
    const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket
      .on('error', () => undefined)
      .on('close', () => {
        this.sockets.delete(socket);
        connection.told.push('closed');
      });
    const opening = this.connections.length === 1 ? this.opening : undefined;
    socket.write(opening ?? settingsFrame([]), 'latin1');
    const answer = async (id: number, given: Answer): Promise<void> => {
      await writeAnswer(socket, { ...given, parts: given.parts.map((part) => onStream(id, part)), last: onStream(id, given.last ?? '') }, this);
      if (given.after !== 'keep') return gone;
      const pong = new Promise<void>((resolve) => (awaitPong = resolve));
      if (socket.writable) socket.write(frameHead(8, FrameType.ping, NO_FLAGS, 0) + 'settled?', 'latin1');
      return Promise.race([gone, pong, new Promise<void>((resolve) => setTimeout(resolve, 700))]);
    };
    const answered = new Set<number>();
    const answerWhere = (id: number, message: Message, when: Answer['when']): void => {
      if (answered.has(id)) return;
      const given = message.start.includes(LAST) ? lastAnswer : (this.answers[this.answered] ?? lastAnswer);
      if (given.when !== when) return;
      answered.add(id);
      if (given !== lastAnswer) this.answered++;
      this.settling.push(answer(id, given));
    };
    const ended = (id: number): void => {
      const message = connection.requests.get(id);
      if (message === undefined || message.complete) return;
      message.complete = true;
      answerWhere(id, message, 'end');
    };
    const reader = new FrameReader({
      stopped: false,
      onFrame(type, flags, id, bytes, start, end) {
        if (type === FrameType.headers || type === FrameType.continuation) {
          const block = blocks.read(type, flags, bytes.subarray(start, end));
          if (block === undefined) return;
          const { fields, ends } = block;
          const begun = connection.requests.get(id);
          if (begun !== undefined) begun.trailers = fields;
          else {
            const pseudo = (name: string): string => fields.find(([field]) => field === name)?.[1] ?? '';
            const message = { start: `${pseudo(':method')} ${pseudo(':path')} HTTP/2`, headers: fields, body: '', trailers: [], complete: false };
            connection.requests.set(id, message);
            answerWhere(id, message, 'head');
          }
          if (ends) ended(id);
        } else if (type === FrameType.rstStream) connection.told.push(`reset ${bytes.readUInt32BE(start)}`);
        else if (type === FrameType.goaway) connection.told.push(`goaway ${bytes.readUInt32BE(start + 4)}`);
        else if (type === FrameType.settings && (flags & Flag.ack) === 0) socket.write(frameHead(0, FrameType.settings, Flag.ack, 0), 'latin1');
        else if (type === FrameType.ping && (flags & Flag.ack) !== 0) awaitPong();
        else if (type === FrameType.ping) socket.write(frameHead(8, FrameType.ping, Flag.ack, 0) + bytes.toString('latin1', start, end), 'latin1');
      },
      onDataFrame: () => undefined,
      onDataBytes(id, bytes, start, end) {
        const message = connection.requests.get(id);
        if (message !== undefined) message.body += bytes.toString('latin1', start, end);
      },
      onDataFrameEnd: (id, endStream) => (endStream ? ended(id) : undefined),
      onFrameError: (_, reason) => void connection.told.push(reason),
    });
    let prefaceLeft = preface.length;
    socket.on('data', (chunk: Buffer) => {
      const skip = Math.min(prefaceLeft, chunk.length);
      prefaceLeft -= skip;
      reader.read(chunk, skip, chunk.length);
      this.arrivals.heard();
    });
  }
}

// A client of HTTP/2 with prior knowledge, frame by frame: nothing it sends is better than what a case says.

import { connect } from 'node:net';
import { FrameReader } from '../../src/http-wire/codec-h2/frame-reader.ts';
import { Flag, FrameType, frameHead, headersFrames, preface, rstFrame, settingsFrame, windowUpdateFrame } from '../../src/http-wire/codec-h2/frames.ts';
import type { Leave } from './case.ts';
import { leave, type ClientOptions } from './http1-client.ts';
import { BlockReader } from './http2-blocks.ts';
import type { Message } from './messages.ts';

export type Fields = readonly (readonly [name: string, value: string])[];

/** One stream; the next one begins when it has ended. */
export interface StreamCase {
  headers: Fields;
  data: readonly string[];
  padding?: number;
  trailers?: Fields;
  /** The head ends the stream: no data, no trailers. */
  endsWithHead: boolean;
  /** Reset by the client once the head is out. */
  reset?: number;
}

export interface Http2Case {
  settings: readonly (readonly [number, number])[];
  /** Of the connection and of each stream when it begins. */
  increments: readonly number[];
  /** Frames before everything else. */
  before: string;
  streams: readonly StreamCase[];
  /** All of it in place of the above; stream 1 is looked at. */
  raw?: string;
}

/** Literals without indexing, as they are: no table, no Huffman, no check. */
export function fieldBlock(fields: Fields): string {
  const text = (value: string): string => (value.length < 127 ? String.fromCharCode(value.length) : integer(value.length)) + value;
  return fields.map(([name, value]) => `\0${text(name)}${text(value)}`).join('');
}

function integer(value: number): string {
  let rest = value - 127;
  let out = '\x7f';
  for (; rest >= 128; rest = rest >>> 7) out += String.fromCharCode((rest & 127) | 128);
  return out + String.fromCharCode(rest);
}

function framesOf({ headers, data, padding, trailers, endsWithHead, reset }: StreamCase, id: number): string {
  let out = headersFrames(id, fieldBlock(headers), endsWithHead, 16_384);
  if (reset !== undefined) return out + rstFrame(id, reset);
  if (endsWithHead) return out;
  data.forEach((part, i) => {
    const ends = i === data.length - 1 && trailers === undefined ? Flag.endStream : 0;
    out +=
      padding === undefined
        ? frameHead(part.length, FrameType.data, ends, id) + part
        : frameHead(part.length + padding + 1, FrameType.data, ends | Flag.padded, id) + String.fromCharCode(padding) + part + '\0'.repeat(padding);
  });
  return trailers === undefined ? out : out + headersFrames(id, fieldBlock(trailers), true, 16_384);
}

const NO_FLAGS = 0;

/** Answers in the order of the streams, and how the connection stood at the end. */
export function askHttp2(it: Http2Case, { port, localAddress, quietMs, app, leaves }: ClientOptions): Promise<{ answers: Message[]; end: string }> {
  return new Promise((resolve, reject) => {
    const blocks = new BlockReader();
    const answers: Message[] = [];
    let goaway = '';
    let connected = false;
    let current: Message | undefined;
    let pinged = false;
    const socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true });
    const timer = setTimeout(() => finish('open'), quietMs);
    const finish = (end: string): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ answers, end: end + goaway });
    };
    const askLast = (): void => {
      pinged = true;
      socket.write(frameHead(8, FrameType.ping, NO_FLAGS, 0) + 'the-last', 'latin1');
    };
    // What is given may end inside a frame.
    const acknowledge = (): void => void (it.raw === undefined && socket.write(frameHead(0, FrameType.settings, Flag.ack, 0), 'latin1'));
    let left = false;
    const leaveOnce = (once: Leave['once']): void => {
      if (left || leaves?.once !== once || socket.destroyed) return;
      left = true;
      void leave(socket, leaves, app).then(() => (leaves.how === 'keep' ? askLast() : undefined));
    };
    const begin = (): Message => {
      current = { start: '', headers: [], body: '', trailers: [], complete: false };
      answers.push(current);
      return current;
    };
    const next = (): void => {
      const stream = it.streams[answers.length];
      if (stream === undefined) return askLast();
      const id = answers.length * 2 + 1;
      const message = begin();
      const windows = it.increments.map((increment) => windowUpdateFrame(id, increment)).join('');
      socket.write(framesOf(stream, id) + windows, 'latin1');
      if (stream.reset !== undefined) {
        message.start = 'reset by the client';
        // What comes of it comes now.
        setTimeout(next, 30);
      }
    };
    const ended = (message: Message): void => {
      message.complete = true;
      if (leaves === undefined) void app.settled().then(next);
    };
    const reader = new FrameReader({
      stopped: false,
      onFrame(type, flags, id, bytes, start, end) {
        const message = id === 0 ? undefined : answers[(id - 1) / 2];
        if ((type === FrameType.headers || type === FrameType.continuation) && message !== undefined) {
          const block = blocks.read(type, flags, bytes.subarray(start, end));
          if (block === undefined) return;
          const { fields, ends } = block;
          const status = fields.find(([name]) => name === ':status')?.[1];
          if (status?.startsWith('1') === true) return;
          if (status === undefined) message.trailers = fields;
          else [message.start, message.headers] = [status, fields.filter(([name]) => name !== ':status')];
          if (ends && message === current) ended(message);
        } else if (type === FrameType.rstStream && message !== undefined) {
          const code = bytes.readUInt32BE(start);
          // An answer before the request's end is followed by a reset that says so.
          if (message.complete) return;
          message.start += ` reset ${code}`;
          if (message === current) ended(message);
        } else if (type === FrameType.goaway) goaway = ` goaway ${bytes.readUInt32BE(start + 4)}`;
        else if (type === FrameType.settings && (flags & Flag.ack) === 0) acknowledge();
        else if (type === FrameType.ping && (flags & Flag.ack) !== 0 && pinged) finish('open');
      },
      onDataFrame: () => undefined,
      onDataBytes(id, bytes, start, end) {
        const message = answers[(id - 1) / 2];
        if (message !== undefined) message.body += bytes.toString('latin1', start, end);
      },
      onDataFrameEnd(id, endStream) {
        const message = answers[(id - 1) / 2];
        if (endStream && message !== undefined && message === current) ended(message);
      },
      onFrameError: (_, reason) => finish(reason),
    });
    socket.on('connect', () => {
      connected = true;
      if (it.raw === undefined) {
        const windows = it.increments.map((increment) => windowUpdateFrame(0, increment)).join('');
        socket.write(preface + settingsFrame(it.settings) + windows + it.before, 'latin1');
        return next();
      }
      begin();
      socket.write(it.raw, 'latin1', () => leaveOnce('written'));
      if (leaves?.once === 'arrived') void app.arrived(leaves.body).then(() => leaveOnce('arrived'));
    });
    socket.on('data', (chunk: Buffer) => {
      timer.refresh();
      reader.read(chunk, 0, chunk.length);
      if (current !== undefined && current.start !== '' && current.body === leaves?.body) leaveOnce('answered');
    });
    socket.on('error', () => (connected ? undefined : reject(new Error('refused')))).on('close', () => finish('closed'));
  });
}

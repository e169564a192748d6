// Both data planes side by side, with lanes: an application behind a port of its own, so that cases run at once and none
// meets a connection another has left.

import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { object, runPlane, type PLANES, type RunningPlane } from '../planes/planes.ts';
import { askHttp2, type Http2Case } from './http2.ts';
import { readMessages, type Message } from './messages.ts';

export type Plane = (typeof PLANES)[number];

/** What the application does about one request. */
export interface Answer {
  /** As soon as the head is here, or when the whole request is. */
  when: 'head' | 'end';
  /** Written one after another, each in a turn of its own. */
  parts: readonly string[];
  /** With the connection. */
  after: 'keep' | 'end' | 'reset';
}

export interface Case {
  seed: number;
  /** Bytes and how many final answers to wait for before they are written. */
  writes: readonly { bytes: string; after: number }[];
  /** Of the requests in them, as far as they are such. */
  methods: readonly string[];
  answers: readonly Answer[];
  /** In place of `writes`. */
  http2?: Http2Case;
}

export interface Outcome {
  answers: Message[];
  /** Behind the last answer. */
  rest: string;
  end: string;
  requests: Message[];
  tunnel: string[];
  log: string[];
  /** The client's address, each its own: by it the log tells who it was. */
  from: string;
}

/** Nothing has happened for so long: nothing will. More than the second Envoy leaves a connection it closes. */
const QUIET_MS = 1500;
/** The last request of each case: it ends the connection, and whatever a request before has left unread shows in it. */
export const LAST = '/the-last';

class App {
  readonly requests: Message[] = [];
  readonly tunnel: string[] = [];
  private answers: readonly Answer[] = [];
  private readonly sockets = new Set<Socket>();
  private texts: { text: string; closed: boolean }[] = [];
  private answered = 0;
  readonly server: Server = createServer((socket) => this.serve(socket));

  begin(answers: readonly Answer[]): void {
    this.answers = answers;
    this.answered = 0;
    this.texts = [];
  }

  /** What has arrived; connections are closed, and gone when this returns. */
  async end(): Promise<Pick<Outcome, 'requests' | 'tunnel'>> {
    const gone = [...this.sockets].map(
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
    const read = this.texts.map(({ text }) => readMessages(text, true));
    return { requests: read.flatMap(({ messages }) => messages), tunnel: read.map(({ rest }) => rest).filter((rest) => rest !== '') };
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket);
    const seen = { text: '', closed: false };
    this.texts.push(seen);
    let answeredHere = 0;
    socket.setNoDelay(true);
    socket.on('error', () => undefined).on('close', () => this.sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      seen.text += chunk.toString('latin1');
      const { messages, rest } = readMessages(seen.text, false);
      if (rest.includes(LAST)) socket.end();
      for (const message of messages.slice(answeredHere)) {
        const answer = message.start.includes(LAST) ? lastAnswer : (this.answers[this.answered] ?? lastAnswer);
        if (answer.when === 'end' && !message.complete) break;
        answeredHere++;
        if (answer !== lastAnswer) this.answered++;
        void this.write(socket, answer);
      }
    });
  }

  private async write(socket: Socket, { parts, after }: Answer): Promise<void> {
    for (const part of parts) {
      if (socket.destroyed) return;
      socket.write(part, 'latin1');
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    if (after === 'end') socket.end();
    // What was written must have been read, else the reset overtakes it.
    if (after === 'reset') setTimeout(() => socket.resetAndDestroy(), 20);
  }
}

const lastAnswer: Answer = { when: 'end', parts: ['HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlast'], after: 'keep' };

function ask(port: number, localAddress: string, { writes, methods, answers }: Case): Promise<Pick<Outcome, 'answers' | 'rest' | 'end'>> {
  return new Promise((resolve, reject) => {
    let text = '';
    let written = 0;
    let waiting = false;
    let waited = false;
    const ends = answers.some(({ after }) => after !== 'keep');
    let connected = false;
    const socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true });
    const timer = setTimeout(() => finish('open'), QUIET_MS);
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
      // The end of a connection to the application must have been heard of before it could be used again.
      if (next.after > 0 && ends && !waited) {
        waiting = waited = true;
        return void setTimeout(() => {
          waiting = false;
          writeOn();
        }, 40);
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

export interface Rig {
  lanes: number;
  /** Runs a case in a lane; the log comes later. */
  run(it: Case, lane: number): Promise<Outcome>;
  /** Lines of the access log by the client's port, once all are written: stops the proxy. */
  stop(): Promise<Map<string, string[]>>;
}

export const hostOf = (lane: number): string => `app${lane}.test`;

export async function startRig(plane: Plane, lanes: number): Promise<Rig> {
  const apps = Array.from({ length: lanes }, () => new App());
  for (const { server } of apps) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const objects = apps.map(({ server }, lane) =>
    object('ServiceEntry', `app${lane}`, {
      ...{ hosts: [hostOf(lane)], resolution: 'STATIC', ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] },
      endpoints: [{ address: '127.0.0.1', ports: { http: (server.address() as AddressInfo).port } }],
    }),
  );
  const dir = mkdtempSync(join(tmpdir(), 'weft-wire-'));
  const accessLogFile = join(dir, 'log');
  const upstreams = apps.map((_, lane) => ({ host: hostOf(lane), port: 80, listenPort: lane + 1 }));
  const accessLogFormat = '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n';
  const running: RunningPlane = await runPlane(plane, objects, { node: { upstreams }, settings: { accessLogFile, accessLogFormat } });
  let runs = 0;
  return {
    lanes,
    async run(it, lane) {
      const from = `127.${1 + (runs >> 14)}.${(runs >> 7) & 127}.${1 + (runs & 127)}`;
      runs++;
      const app = apps[lane] as App;
      app.begin(it.answers);
      const port = running.port(`${hostOf(lane)}_80`);
      const seen =
        it.http2 === undefined
          ? await ask(port, from, it)
          : { ...(await askHttp2(port, from, it.http2, QUIET_MS, it.answers.some(({ after }) => after !== 'keep') ? 40 : 0)), rest: '' };
      // Who leaves first is told by the log.
      if (seen.end === 'open') await new Promise((resolve) => setTimeout(resolve, 30));
      return { ...seen, ...(await app.end()), log: [], from };
    },
    async stop() {
      await running.stop();
      for (const { server } of apps) server.close();
      const log = new Map<string, string[]>();
      for (const line of readFileSync(accessLogFile, 'utf8').split('\n')) {
        const space = line.indexOf(' ');
        const port = line.slice(0, space);
        log.set(port, [...(log.get(port) ?? []), line.slice(space + 1)]);
      }
      rmSync(dir, { recursive: true, force: true });
      return log;
    },
  };
}

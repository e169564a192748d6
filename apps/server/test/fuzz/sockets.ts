// A real TCP connection written to and read in random steps, past the stream and by it, while the other side reads, stops or resets:
// every byte arrives once and in its place, and what has closed holds nothing.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { readShared } from '../../src/http-wire/socket/direct-reads.ts';
import { WireWriter } from '../../src/http-wire/socket/wire-writer.ts';
import type { Random } from './random.ts';
import type { Target } from './target.ts';

const limitMs = 10_000;
/** More than a socket takes unread, at most. */
const maxBytes = 16 * 1024 * 1024;

const turn = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
/** A byte's place can be told from what is around it; twice, so that it can be begun anywhere. */
const period = 65_536;
const pattern = Buffer.from(Array.from({ length: 2 * period }, (_, i) => (i * 31 + (i >>> 8) * 7) & 0xff));
const bytesFrom = (position: number, length: number): Buffer => Buffer.alloc(length, pattern.subarray(position % period, (position % period) + period));

/** One direction: what is sent next, and whether what arrives is what was sent. */
class Flow {
  sent = 0;
  arrived = 0;

  next(length: number): Buffer {
    const bytes = bytesFrom(this.sent, length);
    this.sent += length;
    return bytes;
  }

  readonly take = (chunk: Buffer): void => {
    assert.ok(chunk.equals(bytesFrom(this.arrived, chunk.length)), `behind byte ${this.arrived} comes what is of another place`);
    this.arrived += chunk.length;
  };
}

export function socketsTarget(): Target {
  const server = createServer({ allowHalfOpen: true, noDelay: true }).listen(0, '127.0.0.1');
  return {
    name: 'sockets',
    make: (random) =>
      [random.pick(['plain', 'gather']), ...Array.from({ length: 5 + random.below(60) }, () => step(random)), random.pick(['E', 'E', 'R', 'D'])].join(' '),
    check: async (input) => {
      if (!server.listening) await once(server, 'listening');
      const far = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
      const [[near]] = (await Promise.all([once(server, 'connection'), once(far, 'connect')])) as [[Socket], unknown];
      await run(near, far, input.split(' '));
      return true;
    },
    close: () => void server.close(),
  };
}

const kinds = 'tttbbbsuufffnnpprww'.split('');

/** `t` text, `b` bytes, `s` bytes by way of the stream, `u` bytes of the other side; `f` flush, `n` now; `p`, `r` the other side pauses, resumes; `w` a turn. */
function step(random: Random): string {
  const kind = random.pick(kinds);
  const limit = random.pick([500, 17_000, 17_000, 1_500_000]);
  return 'tbsu'.includes(kind) ? `${kind}${1 + random.below(limit)}` : kind;
}

async function run(near: Socket, far: Socket, [mode, ...steps]: string[]): Promise<void> {
  const [there, back] = [new Flow(), new Flow()];
  const out = new WireWriter(near, mode === 'gather');
  for (const socket of [near, far]) socket.on('error', () => socket.destroy());
  let reads = 0;
  readShared(near, (chunk) => {
    back.take(chunk);
    if (reads++ % 4 !== 3) return;
    near.pause();
    setImmediate(() => near.resume());
  });
  far.on('data', there.take);
  let stuck = '';
  const limit = setTimeout(() => {
    stuck = `${there.arrived} of ${there.sent} there, ${back.arrived} of ${back.sent} back`;
    for (const socket of [near, far]) socket.destroy();
  }, limitMs);
  const closed = Promise.all([near, far].map(async (socket) => new Promise((resolve) => socket.once('close', resolve))));
  for (const [kind, ...digits] of steps) {
    const length = there.sent < maxBytes ? Number(digits.join('')) : 1;
    if (kind === 't') out.add(there.next(length).toString('latin1'));
    else if (kind === 'b') out.data(there.next(length), 0, length);
    else if (kind === 's') {
      out.flushNow();
      near.write(there.next(length));
    } else if (kind === 'u') far.write(back.next(length));
    else if (kind === 'f') out.flush();
    else if (kind === 'n') out.flushNow();
    else if (kind === 'p') far.pause();
    else if (kind === 'r') far.resume();
    else if (kind === 'w') await turn();
    else if (kind === 'R') far.resetAndDestroy();
    else if (kind === 'D') near.destroy();
  }
  const whole = steps.at(-1) === 'E';
  if (whole) {
    out.end();
    far.end();
  } else out.flushNow();
  far.resume();
  if (steps.at(-1) === 'D') far.end();
  // A reset does not always arrive where much waits unread, Node's own streams or not.
  if (steps.at(-1) === 'R') far.once('close', () => near.destroy());
  await closed;
  clearTimeout(limit);
  assert.equal(stuck, '');
  assert.equal(out.unsent, 0);
  if (whole) assert.deepEqual({ there: there.arrived, back: back.arrived }, { there: there.sent, back: back.sent });
}

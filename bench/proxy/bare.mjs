// The floor: the least a proxy on Node can do with public APIs. Bytes of one read are one message; two headers more, one counter.
// No parser worth the name, no limits, no routes, no timeouts: not a proxy to use.
//   node bare.mjs <port> <upstream port>
import { randomFillSync } from 'node:crypto';
import { connect, createServer } from 'node:net';

const [port, upstream] = process.argv.slice(2).map(Number);
const idle = [];
const durations = new Float64Array(20);
const buffer = Buffer.allocUnsafeSlow(64 * 1024);
let requests = 0;
const pool = Buffer.alloc(4096);
let digits = '';
let used = 0;
function hex(length) {
  if (used + length > digits.length) {
    digits = randomFillSync(pool).toString('hex');
    used = 0;
  }
  used += length;
  return digits.slice(used - length, used);
}

/** Writes leave at the end of the turn, as those of Weft: what each wakes is awake for the next. */
let waiting = [];
function write(socket, data) {
  if (waiting.push([socket, data]) > 1) return;
  setImmediate(() => {
    const all = waiting;
    waiting = [];
    for (const [to, what] of all) to.write(what, 'latin1');
  });
}

function open() {
  const lane = { client: undefined, left: 0, begun: 0, socket: undefined };
  const onread = { buffer, callback: (length) => (answered(lane, length), true) };
  lane.socket = connect({ host: '127.0.0.1', port: upstream, noDelay: true, onread }).on('error', () => lane.socket.destroy());
  return lane;
}

function answered(lane, length) {
  if (lane.left === 0) {
    const text = buffer.latin1Slice(0, length);
    const bodyAt = text.indexOf('\r\n\r\n') + 4;
    lane.left = Number(/content-length: (\d+)/i.exec(text.slice(0, bodyAt))?.[1] ?? 0) - (length - bodyAt);
    write(lane.client, text);
  } else {
    lane.left -= length;
    write(lane.client, Buffer.from(buffer.subarray(0, length)));
  }
  if (lane.left > 0) return;
  requests++;
  durations[Math.min(19, Math.floor(performance.now() - lane.begun))]++;
  idle.push(lane);
}

createServer({ noDelay: true }, (client) => {
  client.on('error', () => client.destroy());
  client.on('data', (chunk) => {
    const lane = idle.pop() ?? open();
    lane.client = client;
    lane.begun = performance.now();
    const text = chunk.latin1Slice();
    write(lane.socket, `${text.slice(0, -2)}x-request-id: ${hex(32)}\r\ntraceparent: 00-${hex(32)}-${hex(16)}-00\r\n\r\n`);
  });
}).listen(port, '127.0.0.1');
process.on('SIGTERM', () => process.exit(requests > 0 ? 0 : 1));

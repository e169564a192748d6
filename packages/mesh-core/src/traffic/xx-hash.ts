// xxHash64, the hash of Envoy's ring, maglev table and hash policies. 64-bit numbers are pairs of 32-bit halves: a request that is
// hashed costs one bigint, not twenty.

type Pair = readonly [high: number, low: number];
const P1: Pair = [0x9e3779b1, 0x85ebca87];
const P2: Pair = [0xc2b2ae3d, 0x27d4eb4f];
const P3: Pair = [0x165667b1, 0x9e3779f9];
const P4: Pair = [0x85ebca77, 0xc2b2ae63];
const P5: Pair = [0x27d4eb2f, 0x165667c5];

// The accumulator every step below reads and leaves its result in.
let high = 0;
let low = 0;

function multiply([otherHigh, otherLow]: Pair): void {
  const a0 = low & 0xffff;
  const a1 = low >>> 16;
  const b0 = otherLow & 0xffff;
  const b1 = otherLow >>> 16;
  const p00 = a0 * b0;
  const p01 = a0 * b1;
  const p10 = a1 * b0;
  const middle = (p00 >>> 16) + (p01 & 0xffff) + (p10 & 0xffff);
  const carry = a1 * b1 + (p01 >>> 16) + (p10 >>> 16) + (middle >>> 16);
  high = (carry + Math.imul(high, otherLow) + Math.imul(low, otherHigh)) >>> 0;
  low = ((middle << 16) | (p00 & 0xffff)) >>> 0;
}

function add(otherHigh: number, otherLow: number): void {
  const sum = low + otherLow;
  high = (high + otherHigh + (sum > 0xffffffff ? 1 : 0)) >>> 0;
  low = sum >>> 0;
}

/** `bits` from 1 to 31. */
function rotate(bits: number): void {
  const h = high;
  high = ((h << bits) | (low >>> (32 - bits))) >>> 0;
  low = ((low << bits) | (h >>> (32 - bits))) >>> 0;
}

function xor(otherHigh: number, otherLow: number): void {
  high = (high ^ otherHigh) >>> 0;
  low = (low ^ otherLow) >>> 0;
}

function word(text: string, at: number): number {
  return (
    ((text.charCodeAt(at) & 0xff) |
      ((text.charCodeAt(at + 1) & 0xff) << 8) |
      ((text.charCodeAt(at + 2) & 0xff) << 16) |
      ((text.charCodeAt(at + 3) & 0xff) << 24)) >>>
    0
  );
}

function round(fromHigh: number, fromLow: number, text: string, at: number): void {
  high = word(text, at + 4);
  low = word(text, at);
  multiply(P2);
  add(fromHigh, fromLow);
  rotate(31);
  multiply(P1);
}

const lanesHigh = new Uint32Array(4);
const lanesLow = new Uint32Array(4);

/** The four lanes of input of 32 bytes and more; returns how much was read. */
function stripes(text: string, seedHigh: number, seedLow: number): number {
  const start = (lane: number, ...parts: Pair[]): void => {
    high = seedHigh;
    low = seedLow;
    for (const [h, l] of parts) add(h, l);
    lanesHigh[lane] = high;
    lanesLow[lane] = low;
  };
  start(0, P1, P2);
  start(1, P2);
  start(2);
  // Minus P1, as a sum.
  start(3, [~P1[0] >>> 0, ~P1[1] >>> 0], [0, 1]);
  let at = 0;
  for (; at + 32 <= text.length; at += 32)
    for (let lane = 0; lane < 4; lane++) {
      round(lanesHigh[lane] ?? 0, lanesLow[lane] ?? 0, text, at + 8 * lane);
      lanesHigh[lane] = high;
      lanesLow[lane] = low;
    }
  let sumHigh = 0;
  let sumLow = 0;
  const turns = [1, 7, 12, 18];
  for (let lane = 0; lane < 4; lane++) {
    high = lanesHigh[lane] ?? 0;
    low = lanesLow[lane] ?? 0;
    rotate(turns[lane] ?? 1);
    add(sumHigh, sumLow);
    sumHigh = high;
    sumLow = low;
  }
  for (let lane = 0; lane < 4; lane++) {
    high = lanesHigh[lane] ?? 0;
    low = lanesLow[lane] ?? 0;
    multiply(P2);
    rotate(31);
    multiply(P1);
    xor(sumHigh, sumLow);
    multiply(P1);
    add(...P4);
    sumHigh = high;
    sumLow = low;
  }
  return at;
}

/** Hash of the text's bytes, one per character (latin1, as field values are). The seed is a pair of halves. */
export function xxHash64(text: string, seed = 0, seedHigh = 0): bigint {
  let at = 0;
  if (text.length >= 32) at = stripes(text, seedHigh, seed);
  else {
    [high, low] = P5;
    add(seedHigh, seed);
  }
  add(0, text.length);
  for (; at + 8 <= text.length; at += 8) {
    const h = high;
    const l = low;
    round(0, 0, text, at);
    xor(h, l);
    rotate(27);
    multiply(P1);
    add(...P4);
  }
  if (at + 4 <= text.length) {
    const h = high;
    const l = low;
    high = 0;
    low = word(text, at);
    multiply(P1);
    xor(h, l);
    rotate(23);
    multiply(P2);
    add(...P3);
    at += 4;
  }
  for (; at < text.length; at++) {
    const h = high;
    const l = low;
    high = 0;
    low = text.charCodeAt(at) & 0xff;
    multiply(P5);
    xor(h, l);
    rotate(11);
    multiply(P1);
  }
  xor(0, high >>> 1);
  multiply(P2);
  xor(high >>> 29, ((high << 3) | (low >>> 29)) >>> 0);
  multiply(P3);
  xor(0, high);
  return (BigInt(high) << 32n) | BigInt(low);
}

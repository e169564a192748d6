// Huffman coding of HPACK (RFC 7541 appendix B). The code is canonical, so the lengths say it all; decoding walks half a byte at a
// time through a table made of them.

/** Code length in bits per byte value; the last is the end-of-string mark. */
// prettier-ignore
const lengths = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];

const codes = new Uint32Array(257);
/** Children of inner nodes: a node number, or -1 - symbol. */
const children: number[] = [0, 0];

function build(): void {
  const order = lengths.map((_, symbol) => symbol).sort((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0) || a - b);
  let code = 0;
  let before = 0;
  for (const symbol of order) {
    const length = lengths[symbol] ?? 0;
    code *= 2 ** (length - before);
    before = length;
    codes[symbol] = code;
    let node = 0;
    for (let bit = length - 1; bit >= 0; bit--) {
      const at = node * 2 + (Math.floor(code / 2 ** bit) & 1);
      if (bit === 0) children[at] = -1 - symbol;
      else {
        if (children[at] === 0) {
          children[at] = children.length / 2;
          children.push(0, 0);
        }
        node = children[at] ?? 0;
      }
    }
    code++;
  }
}
build();

/** Per node and half byte: the next node and, shifted by 16, 1 + the byte completed on the way; 0xffff = not a code. */
const steps = new Uint32Array((children.length / 2) * 16);
/** Nodes where a string may end: reached from the root by fewer than eight 1 bits. */
const mayEnd = new Uint8Array(children.length / 2);

function buildSteps(): void {
  for (let node = 0, depth = 0; depth < 8; depth++) {
    mayEnd[node] = 1;
    node = children[node * 2 + 1] ?? 0;
  }
  for (let node = 0; node < mayEnd.length; node++) {
    for (let half = 0; half < 16; half++) {
      let at = node;
      let emitted = 0;
      let bad = false;
      for (let bit = 3; bit >= 0; bit--) {
        const next = children[at * 2 + ((half >> bit) & 1)] ?? 0;
        if (next >= 0) at = next;
        else {
          const symbol = -1 - next;
          if (symbol === 256) bad = true;
          emitted = symbol + 1;
          at = 0;
        }
      }
      steps[node * 16 + half] = bad ? 0xffff : at | (emitted << 16);
    }
  }
}
buildSteps();

let scratch = Buffer.allocUnsafeSlow(16 * 1024);

/** Undefined = not a valid code, wrong padding, or an end-of-string mark. */
export function huffmanDecode(bytes: Uint8Array, start: number, end: number): string | undefined {
  // The shortest code has five bits.
  if ((end - start) * 2 > scratch.length) scratch = Buffer.allocUnsafeSlow((end - start) * 2);
  let node = 0;
  let length = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    let step = steps[node * 16 + (byte >> 4)] as number;
    if (step === 0xffff) return undefined;
    if (step > 0xffff) scratch[length++] = (step >> 16) - 1;
    step = steps[(step & 0xffff) * 16 + (byte & 15)] as number;
    if (step === 0xffff) return undefined;
    if (step > 0xffff) scratch[length++] = (step >> 16) - 1;
    node = step & 0xffff;
  }
  return mayEnd[node] === 1 ? scratch.toString('latin1', 0, length) : undefined;
}

/** Bytes of the coded form of a latin1 text. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += lengths[text.charCodeAt(i) & 0xff] as number;
  return (bits + 7) >> 3;
}

/** The coded form as latin1. */
export function huffmanEncode(text: string): string {
  let out = '';
  let pending = 0;
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 0xff;
    const length = lengths[symbol] as number;
    // Up to 7 pending and 30 new bits do not fit into 32.
    pending = pending * 2 ** length + (codes[symbol] as number);
    bits += length;
    while (bits >= 8) {
      bits -= 8;
      const divisor = 2 ** bits;
      const byte = Math.floor(pending / divisor);
      out += String.fromCharCode(byte);
      pending -= byte * divisor;
    }
  }
  if (bits > 0) out += String.fromCharCode(pending * 2 ** (8 - bits) + 2 ** (8 - bits) - 1);
  return out;
}

// Random ids, cut from text that is made for many of them at once.

import { randomFillSync } from 'node:crypto';

/** What is written to make them stays within a core's first cache. */
const batch = 64;

/** Random bits for all of them, drawn in large pieces: a draw costs as much as a thousand bytes of it. */
const pool = new Uint32Array(4_096);
let drawn = pool.length;

function randomWord(): number {
  if (drawn === pool.length) {
    randomFillSync(pool);
    drawn = 0;
  }
  return pool[drawn++] as number;
}
const variants = Buffer.from('89ab');

/** Makes ids of a form in which `xxxx` stands for random hexadecimal digits; `4xxx` and `yxxx` are those of a UUID with its version and variant. */
export function randomIds(form: string): () => string {
  const size = form.length;
  const groups = Uint16Array.from([...form.matchAll(/[x4y]xxx/g)], (match) => match.index);
  const version = form.indexOf('4xxx');
  const variant = form.indexOf('yxxx');
  const bytes = Buffer.from(form.repeat(batch), 'latin1');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let text = '';
  let at = 0;

  const fill = (): void => {
    let word = 0;
    let odd = false;
    for (let row = 0; row < bytes.length; row += size) {
      for (let i = 0; i < groups.length; i++) {
        // Four digits at once, one in each byte; the other halves of the bytes are the next four.
        if (!odd) word = randomWord();
        const digits = (odd ? word >>> 4 : word) & 0x0f0f0f0f;
        odd = !odd;
        const beyondNine = ((digits + 0x06060606) >> 4) & 0x01010101;
        view.setUint32(row + (groups[i] as number), digits + 0x30303030 + beyondNine * 39, true);
      }
      if (version >= 0) bytes[row + version] = 0x34;
      if (variant >= 0) bytes[row + variant] = variants[(bytes[row + variant] as number) & 3] as number;
    }
    text = bytes.toString('latin1');
    at = 0;
  };

  return () => {
    if (at === text.length) fill();
    at += size;
    return text.slice(at - size, at);
  };
}

/** A version 4 UUID. */
export const newRequestId: () => string = randomIds('xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx');
export const newTraceId: () => string = randomIds('x'.repeat(32));
export const newSpanId: () => string = randomIds('x'.repeat(16));
/** Of a trace that begins here and is not recorded. */
export const newUnsampledTraceparent: () => string = randomIds(`00-${'x'.repeat(32)}-${'x'.repeat(16)}-00`);

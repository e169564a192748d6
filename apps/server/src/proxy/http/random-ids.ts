// Random ids, cut from text that is made for hundreds of them at once.

import { randomFillSync } from 'node:crypto';

const batch = 256;
const digits = Buffer.from('0123456789abcdef');

/** Makes ids of a form in which `x` stands for a random hexadecimal digit, `y` for one of 8, 9, a and b. */
export function randomIds(form: string): () => string {
  const size = form.length;
  const bytes = Buffer.alloc(size * batch);
  let text = '';
  let at = 0;
  return () => {
    if (at === text.length) {
      randomFillSync(bytes);
      for (let i = 0; i < bytes.length; i++) {
        const random = bytes[i] as number;
        const char = form.charCodeAt(i % size);
        bytes[i] = char === 0x78 ? (digits[random & 15] as number) : char === 0x79 ? (digits[8 | (random & 3)] as number) : char;
      }
      text = bytes.toString('latin1');
      at = 0;
    }
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

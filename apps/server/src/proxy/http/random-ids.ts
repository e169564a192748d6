// Random ids, cut from text that is made for hundreds of them at once.

import { randomFillSync } from 'node:crypto';

/** What is written to make them stays within a core's first cache. */
const batch = 64;

/** Makes ids of a form in which `x` stands for a random hexadecimal digit, `y` for one of 8, 9, a and b. */
export function randomIds(form: string): () => string {
  const bytes = Buffer.from(form.repeat(batch), 'latin1');
  const places = Uint16Array.from(bytes.keys()).filter((at) => bytes[at] === 0x78);
  const variants = Uint16Array.from(bytes.keys()).filter((at) => bytes[at] === 0x79);
  const random = Buffer.alloc(places.length + variants.length);
  const digits = Buffer.from('0123456789abcdef');
  let text = '';
  let at = 0;
  return () => {
    if (at === text.length) {
      randomFillSync(random);
      for (let i = 0; i < places.length; i++) bytes[places[i] as number] = digits[(random[i] as number) & 15] as number;
      for (let i = 0; i < variants.length; i++) bytes[variants[i] as number] = digits[8 | ((random[places.length + i] as number) & 3)] as number;
      text = bytes.toString('latin1');
      at = 0;
    }
    at += form.length;
    return text.slice(at - form.length, at);
  };
}

/** A version 4 UUID. */
export const newRequestId: () => string = randomIds('xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx');
export const newTraceId: () => string = randomIds('x'.repeat(32));
export const newSpanId: () => string = randomIds('x'.repeat(16));
/** Of a trace that begins here and is not recorded. */
export const newUnsampledTraceparent: () => string = randomIds(`00-${'x'.repeat(32)}-${'x'.repeat(16)}-00`);

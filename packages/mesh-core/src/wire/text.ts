// UTF-8 with what every engine has; this package is compiled without the types of any.

declare const TextDecoder: new (label: string, options: { fatal: boolean }) => { decode(bytes: Uint8Array): string };
declare const TextEncoder: new () => { encode(text: string): Uint8Array };

const strict = new TextDecoder('utf-8', { fatal: true });
const encoder = new TextEncoder();

/** @throws TypeError on bytes that are no text */
export function decodeText(bytes: Uint8Array): string {
  return strict.decode(bytes);
}

export function encodeText(text: string): Uint8Array {
  return encoder.encode(text);
}

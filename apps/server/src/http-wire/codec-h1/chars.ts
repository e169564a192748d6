// Byte classes of HTTP/1.1 (RFC 9110 §5, RFC 9112 §2-3, RFC 3986), one table look-up per byte.

function table(accepts: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (accepts(byte) ? 1 : 0));
}

const tokenExtras = "!#$%&'*+-.^_`|~";
const isAlphanumeric = (byte: number): boolean => (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);

/** Lower-cased byte of a field name, 0 where the byte may not stand in one. */
export const nameByte: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 0x41 && byte <= 0x5a) return byte | 0x20;
  return isAlphanumeric(byte) || (byte > 0x20 && byte < 0x7f && tokenExtras.includes(String.fromCharCode(byte))) ? byte : 0;
});

/** As field names are, whatever their case. */
export function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7e || nameByte[text.charCodeAt(i)] === 0) return false;
  return text !== '';
}

/** Field values and reason phrases: visible ASCII, space, tab, obs-text; no controls, no DEL. */
export const valueByte: Uint8Array = table((byte) => byte === 0x09 || (byte >= 0x20 && byte !== 0x7f));

/** Request targets: visible ASCII. */
export const targetByte: Uint8Array = table((byte) => byte > 0x20 && byte < 0x7f);

const hostExtras = "-._~!$&'()*+,;=%";
const hostByte: Uint8Array = table((byte) => isAlphanumeric(byte) || (byte > 0x20 && byte < 0x7f && hostExtras.includes(String.fromCharCode(byte))));

/** `host[:port]` or `[v6][:port]`, not empty, no user info. */
export function isAuthority(text: string): boolean {
  let i = 0;
  if (text.charCodeAt(0) === 0x5b) {
    const close = text.indexOf(']');
    if (close < 3 || !/^[0-9a-fA-F:.]+$/.test(text.slice(1, close))) return false;
    i = close + 1;
  } else {
    while (i < text.length && hostByte[text.charCodeAt(i) & 0xff] === 1 && text.charCodeAt(i) < 0x80) i++;
    if (i === 0) return false;
  }
  if (i === text.length) return true;
  if (text.charCodeAt(i) !== 0x3a || text.length - i > 6) return false;
  for (i++; i < text.length; i++) if (text.charCodeAt(i) < 0x30 || text.charCodeAt(i) > 0x39) return false;
  return true;
}

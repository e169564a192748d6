// What a listener needs of a TLS ClientHello to choose a filter chain: SNI and ALPN. Nothing is trusted: any odd length ends the look.

export interface ClientHello {
  serverName: string;
  alpn: string[];
}

/** Longest ClientHello looked at; Envoy's limit. */
const LIMIT = 16_384;

/**
 * `incomplete` = more bytes may make it readable; `absent` = this is not TLS, or nothing a TLS server would make sense of, which Envoy
 * takes for another protocol; `endless` = it should have come to an end by now.
 */
export function readClientHello(bytes: Buffer): ClientHello | 'incomplete' | 'absent' | 'endless' {
  if (bytes.length > 0 && (bytes[0] !== 0x16 || (bytes.length > 1 && bytes[1] !== 0x03))) return 'absent';
  const hello = firstMessage(bytes);
  if (hello === 'incomplete' && bytes.length >= LIMIT) return 'endless';
  if (typeof hello === 'string') return hello;
  try {
    return readHello(hello);
  } catch (error) {
    if (error instanceof RangeError) return 'absent';
    throw error;
  }
}

/** The first handshake message, put together from as many records as it spans. */
function firstMessage(bytes: Buffer): Buffer | 'incomplete' | 'absent' {
  const parts: Buffer[] = [];
  let have = 0;
  let wanted: number | undefined;
  for (let at = 0; at + 5 <= bytes.length;) {
    const record = bytes.readUInt16BE(at + 3);
    if (bytes[at] !== 0x16 || record > LIMIT) return 'absent';
    const part = bytes.subarray(at + 5, at + 5 + record);
    if (part.length < record) return 'incomplete';
    parts.push(part);
    have += part.length;
    at += 5 + record;
    if (have < 4) continue;
    // Once, and all of it at the end: there may be a record for each byte.
    wanted ??= 4 + Buffer.concat(parts).readUIntBE(1, 3);
    if (wanted > LIMIT) return 'absent';
    if (have >= wanted) return Buffer.concat(parts).subarray(0, wanted);
  }
  return 'incomplete';
}

function readHello(hello: Buffer): ClientHello | 'absent' {
  const result: ClientHello = { serverName: '', alpn: [] };
  if (hello.readUInt8(0) !== 1) return 'absent';
  let at = 4 + 2 + 32;
  at += 1 + hello.readUInt8(at);
  at += 2 + hello.readUInt16BE(at);
  at += 1 + hello.readUInt8(at);
  const end = at + 2 + hello.readUInt16BE(at);
  at += 2;
  while (at + 4 <= end) {
    const type = hello.readUInt16BE(at);
    const length = hello.readUInt16BE(at + 2);
    const body = hello.subarray(at + 4, at + 4 + length);
    if (type === 0 && body.length > 5) result.serverName = body.toString('latin1', 5, 5 + body.readUInt16BE(3)).toLowerCase();
    if (type === 16) {
      for (let i = 2; i < body.length; i += 1 + body.readUInt8(i)) result.alpn.push(body.toString('latin1', i + 1, i + 1 + body.readUInt8(i)));
    }
    at += 4 + length;
  }
  return result;
}

// What a listener needs of a TLS ClientHello to choose a filter chain: SNI and ALPN. Nothing is trusted: any odd length ends the look.

export interface ClientHello {
  serverName: string;
  alpn: string[];
}

/** `incomplete` = more bytes may make it readable; a first byte other than 22 is never TLS. */
export function readClientHello(bytes: Buffer): ClientHello | 'incomplete' | 'unreadable' {
  if (bytes.length < 5) return 'incomplete';
  if (bytes[0] !== 0x16) return 'unreadable';
  const record = bytes.readUInt16BE(3);
  if (record > 16_384) return 'unreadable';
  if (bytes.length < 5 + record) return 'incomplete';
  try {
    return readHello(bytes.subarray(5, 5 + record));
  } catch (error) {
    if (error instanceof RangeError) return { serverName: '', alpn: [] };
    throw error;
  }
}

function readHello(hello: Buffer): ClientHello {
  const result: ClientHello = { serverName: '', alpn: [] };
  if (hello.readUInt8(0) !== 1) return result;
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

// PROXY protocol, versions 1 and 2 (haproxy.org/download/3.0/doc/proxy-protocol.txt): who the client is, written in front of
// its bytes by the balancer before us. Strict: whoever may write this header is trusted, so nothing odd is let through.

import { isIPv4, isIPv6 } from 'node:net';

export interface ProxyHeader {
  version: 1 | 2;
  /** Bytes the header takes. */
  length: number;
  /** Absent where the sender speaks for itself (LOCAL, UNKNOWN): the socket's own addresses count. */
  addresses?: { source: string; sourcePort: number; destination: string; destinationPort: number };
}

export const SIGNATURE = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
const V1 = Buffer.from('PROXY ');
/** Longest line of version 1, with its end. */
const V1_LIMIT = 107;

/** `absent` = these bytes are no PROXY header; `invalid` = they claim to be one and are not. */
export function readProxyHeader(bytes: Buffer): ProxyHeader | 'incomplete' | 'absent' | 'invalid' {
  const isStart = (of: Buffer): boolean => of.subarray(0, bytes.length).equals(bytes.subarray(0, of.length));
  if (isStart(SIGNATURE)) return bytes.length < 16 ? 'incomplete' : readV2(bytes);
  if (isStart(V1)) return bytes.length < V1.length ? 'incomplete' : readV1(bytes);
  return 'absent';
}

function readV1(bytes: Buffer): ProxyHeader | 'incomplete' | 'invalid' {
  const end = bytes.subarray(0, V1_LIMIT).indexOf('\r\n');
  if (end < 0) return bytes.length < V1_LIMIT ? 'incomplete' : 'invalid';
  const length = end + 2;
  const line = bytes.toString('latin1', 0, end);
  if (/^PROXY UNKNOWN( |$)/.test(line)) return { version: 1, length };
  const match = /^PROXY TCP([46]) ([0-9a-fA-F.:]+) ([0-9a-fA-F.:]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})$/.exec(line);
  const [, family, source = '', destination = '', sourcePort, destinationPort] = match ?? [];
  const fits = family === '4' ? isIPv4 : isIPv6;
  const ports = { sourcePort: Number(sourcePort), destinationPort: Number(destinationPort) };
  if (match === null || !fits(source) || !fits(destination) || ports.sourcePort > 65_535 || ports.destinationPort > 65_535) return 'invalid';
  return { version: 1, length, addresses: { source, destination, ...ports } };
}

function readV2(bytes: Buffer): ProxyHeader | 'incomplete' | 'invalid' {
  const [command, family] = [bytes.readUInt8(12), bytes.readUInt8(13)];
  const size = bytes.readUInt16BE(14);
  const length = 16 + size;
  if (command !== 0x20 && command !== 0x21) return 'invalid';
  const addressBytes = family === 0x11 ? 4 : family === 0x21 ? 16 : 0;
  // Only streams over IPv4 and IPv6 reach this listener.
  if (command === 0x21 && (addressBytes === 0 || size < addressBytes * 2 + 4)) return 'invalid';
  if (bytes.length < length) return 'incomplete';
  if (command === 0x20) return { version: 2, length };
  const text = (at: number): string => addressText(bytes.subarray(at, at + addressBytes));
  const ports = 16 + addressBytes * 2;
  return {
    version: 2,
    length,
    addresses: {
      source: text(16),
      destination: text(16 + addressBytes),
      sourcePort: bytes.readUInt16BE(ports),
      destinationPort: bytes.readUInt16BE(ports + 2),
    },
  };
}

function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16)).join(':');
  // The platform's own short form.
  return new URL(`http://[${groups}]`).hostname.slice(1, -1);
}

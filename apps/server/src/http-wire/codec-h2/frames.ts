// Names and numbers of HTTP/2 frames (RFC 9113 §6, §7) and their heads as latin1.

export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const Flag = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const;

export const ErrorCode = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSize: 6,
  refusedStream: 7,
  cancel: 8,
  compression: 9,
  connect: 10,
  enhanceYourCalm: 11,
} as const;

export const Setting = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  enableConnectProtocol: 8,
} as const;

export const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
export const frameHeadBytes = 9;
export const defaultWindow = 65_535;
export const largestWindow = 2 ** 31 - 1;
export const defaultFrameSize = 16_384;
/** What servers are told: bodies of answers come in fewer pieces. */
export const largeFrameSize = 65_536;

export function frameHead(length: number, type: number, flags: number, id: number): string {
  return String.fromCharCode(length >>> 16, (length >>> 8) & 255, length & 255, type, flags, id >>> 24, (id >>> 16) & 255, (id >>> 8) & 255, id & 255);
}

export function uint32(value: number): string {
  return String.fromCharCode(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): string {
  const payload = settings.map(([id, value]) => String.fromCharCode(id >>> 8, id & 255) + uint32(value)).join('');
  return frameHead(payload.length, FrameType.settings, 0, 0) + payload;
}

export function rstFrame(id: number, code: number): string {
  return frameHead(4, FrameType.rstStream, 0, id) + uint32(code);
}

export function goawayFrame(lastId: number, code: number): string {
  return frameHead(8, FrameType.goaway, 0, 0) + uint32(lastId) + uint32(code);
}

export function windowUpdateFrame(id: number, increment: number): string {
  return frameHead(4, FrameType.windowUpdate, 0, id) + uint32(increment);
}

/** HEADERS and as many CONTINUATION frames as the block needs. */
export function headersFrames(id: number, block: string, endStream: boolean, maxFrame: number): string {
  const flags = endStream ? Flag.endStream : 0;
  if (block.length <= maxFrame) return frameHead(block.length, FrameType.headers, flags | Flag.endHeaders, id) + block;
  let out = frameHead(maxFrame, FrameType.headers, flags, id) + block.slice(0, maxFrame);
  for (let at = maxFrame; at < block.length; at += maxFrame) {
    const part = block.slice(at, at + maxFrame);
    out += frameHead(part.length, FrameType.continuation, at + maxFrame >= block.length ? Flag.endHeaders : 0, id) + part;
  }
  return out;
}

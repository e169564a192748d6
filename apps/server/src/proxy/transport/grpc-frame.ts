// gRPC's framing of a message: a byte of flags, four of length, the message.

/** `flags`: 0, or 0x80 for the trailers of gRPC-Web. */
export function grpcFrame(message: Uint8Array, flags = 0): Buffer {
  const frame = Buffer.alloc(5 + message.length);
  frame[0] = flags;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}

// The header fields the proxy itself acts on. Fields are recognised while their bytes are checked: length and ends of
// the lower-cased name find the candidate, a byte comparison confirms it, so no string is made for a field nobody asks about.

export const Field = {
  other: 0,
  connection: 1,
  keepAlive: 2,
  proxyConnection: 3,
  te: 4,
  transferEncoding: 5,
  upgrade: 6,
  contentLength: 7,
  host: 8,
  expect: 9,
  forwardedFor: 11,
  forwardedProto: 12,
  requestId: 13,
  clientCert: 14,
  userAgent: 15,
  traceparent: 16,
  tracestate: 17,
  server: 18,
  date: 19,
  contentType: 20,
  attemptCount: 21,
  serviceTime: 22,
  grpcStatus: 23,
  rateLimited: 24,
  decorator: 25,
  /** Named by the Connection field: not forwarded. */
  stripped: 26,
  /** Any of B3's. */
  b3: 27,
  clientTraceId: 28,
} as const;

const names: readonly (readonly [string, number])[] = [
  ['connection', Field.connection],
  ['keep-alive', Field.keepAlive],
  ['proxy-connection', Field.proxyConnection],
  ['te', Field.te],
  ['transfer-encoding', Field.transferEncoding],
  ['upgrade', Field.upgrade],
  ['content-length', Field.contentLength],
  ['host', Field.host],
  ['expect', Field.expect],
  ['x-forwarded-for', Field.forwardedFor],
  ['x-forwarded-proto', Field.forwardedProto],
  ['x-request-id', Field.requestId],
  ['x-forwarded-client-cert', Field.clientCert],
  ['user-agent', Field.userAgent],
  ['traceparent', Field.traceparent],
  ['tracestate', Field.tracestate],
  ['server', Field.server],
  ['date', Field.date],
  ['content-type', Field.contentType],
  ['x-envoy-attempt-count', Field.attemptCount],
  ['x-envoy-upstream-service-time', Field.serviceTime],
  ['grpc-status', Field.grpcStatus],
  ['x-envoy-ratelimited', Field.rateLimited],
  ['x-envoy-decorator-operation', Field.decorator],
  ['x-client-trace-id', Field.clientTraceId],
  ['b3', Field.b3],
  ['x-b3-traceid', Field.b3],
  ['x-b3-spanid', Field.b3],
  ['x-b3-parentspanid', Field.b3],
  ['x-b3-sampled', Field.b3],
  ['x-b3-flags', Field.b3],
];

/**
 * Place of a lower-case name in the table below, by its length and its first, middle and last byte: a hash over all of them would be most of
 * what reading a name costs. The factors are such that no two of the names share a place.
 */
export function fieldSlot(length: number, first: number, middle: number, last: number): number {
  return (length + first * 2 + middle * 8 + last) & 0xff;
}

/** Kind of the name that has a place, `Field.other` where none has, and the names. */
export const slotKinds: Uint8Array = new Uint8Array(256);
export const slotNames: (Uint8Array | undefined)[] = Array.from({ length: 256 });

for (const [name, kind] of names) {
  const bytes = Uint8Array.from(name, (char) => char.charCodeAt(0));
  const slot = fieldSlot(bytes.length, bytes[0] ?? 0, bytes[bytes.length >> 1] ?? 0, bytes.at(-1) ?? 0);
  if (slotKinds[slot] !== Field.other) throw new Error(`header field ${name} needs other factors in fieldSlot`);
  slotKinds[slot] = kind;
  slotNames[slot] = bytes;
}

const kindByName: ReadonlyMap<string, number> = new Map(names);

/** Kind of a field by its lower-case name. */
export function fieldKind(name: string): number {
  return kindByName.get(name) ?? Field.other;
}

/** Never taken off by a Connection field that names them: they carry framing or routing, or are handled anyway. */
export const framingFields: ReadonlySet<string> = new Set(['host', 'content-length', 'transfer-encoding', 'connection', 'upgrade', 'keep-alive', 'te']);

/** Fields a trailer section must not carry (RFC 9110 §6.5.1). */
export const forbiddenTrailers: ReadonlySet<string> = new Set([
  'transfer-encoding',
  'content-length',
  'host',
  'connection',
  'trailer',
  'te',
  'upgrade',
  'keep-alive',
  'expect',
  'range',
  'max-forwards',
  'content-encoding',
  'content-type',
  'content-range',
  'cache-control',
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'proxy-connection',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'x-forwarded-client-cert',
]);

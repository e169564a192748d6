// Trace context of a request: W3C traceparent, B3 in either form, and the decision Envoy packs into x-request-id.

export interface TraceParent {
  traceId: string;
  /** Span that called. */
  spanId: string;
  sampled: boolean;
}

/** B3 leaves the decision open when it says nothing of it. */
export interface B3Parent extends Omit<TraceParent, 'sampled'> {
  sampled: boolean | undefined;
}

type Get = (name: string) => string | undefined;

/** W3C Trace Context level 1; undefined when absent or malformed. */
export function parseTraceparent(value: string | undefined): TraceParent | undefined {
  if (value === undefined || !/^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?$/.test(value)) return undefined;
  const traceId = value.slice(3, 35);
  const spanId = value.slice(36, 52);
  if (value.startsWith('ff') || (value.startsWith('00') && value.length > 55) || noId(traceId) || noId(spanId)) return undefined;
  // The lowest bit of a hexadecimal digit: odd ones are 1, 3, 5, 7, 9, b, d, f.
  return { traceId, spanId, sampled: '13579bdf'.includes(value.charAt(54)) };
}

export function formatTraceparent({ traceId, spanId, sampled }: TraceParent): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

/** B3, single header first, else the x-b3-* headers. 64-bit trace ids are padded; ids come out in lower case. */
export function parseB3(get: Get): B3Parent | undefined {
  const single = get('b3')?.split('-');
  const trace = single === undefined ? get('x-b3-traceid') : single[0];
  const span = single === undefined ? get('x-b3-spanid') : single[1];
  if (trace === undefined || span === undefined || !/^([0-9a-f]{16}|[0-9a-f]{32})$/i.test(trace) || !/^[0-9a-f]{16}$/i.test(span)) return undefined;
  if (noId(trace) || noId(span)) return undefined;
  return { traceId: trace.toLowerCase().padStart(32, '0'), spanId: span.toLowerCase(), sampled: b3Decision(get) };
}

/** What B3 says of recording, with or without ids; undefined = nothing. */
export function b3Decision(get: Get): boolean | undefined {
  const single = get('b3');
  // `0` alone, or the third part.
  const parts = single?.split('-');
  const state = parts === undefined ? (get('x-b3-flags') === '1' ? 'd' : get('x-b3-sampled')) : parts.length === 1 ? parts[0] : parts[2];
  if (state === '1' || state === 'd' || state === 'true') return true;
  return state === '0' || state === 'false' ? false : undefined;
}

/** Field lines of a span in the form the request used; undefined = it used none. */
export function formatB3(get: Get, { traceId, spanId, sampled }: TraceParent, parentSpanId: string): string | undefined {
  const state = sampled ? '1' : '0';
  if (get('b3') !== undefined) return `b3: ${traceId}-${spanId}-${state}${parentSpanId === '' ? '' : `-${parentSpanId}`}\r\n`;
  if (get('x-b3-traceid') === undefined && get('x-b3-sampled') === undefined && get('x-b3-flags') === undefined) return undefined;
  const parent = parentSpanId === '' ? '' : `x-b3-parentspanid: ${parentSpanId}\r\n`;
  return `x-b3-traceid: ${traceId}\r\nx-b3-spanid: ${spanId}\r\n${parent}x-b3-sampled: ${state}\r\n`;
}

/** Place of the variant nibble in a UUID. */
const REASON_AT = 14;
const UUID_LENGTH = 36;

/** Whether the trace of this x-request-id is recorded, as Envoy's UUID extension packs it (sampled, or forced from either side). */
export function requestIdSaysTraced(requestId: string): boolean {
  if (requestId.length !== UUID_LENGTH) return false;
  const reason = requestId.charCodeAt(REASON_AT);
  return reason === 0x39 || reason === 0x61 || reason === 0x62;
}

const NUMBER = /^[\da-f]{8}/i;

/** Whether a trace may be recorded under this x-request-id at all: Envoy draws from the number it begins with, and gives up where there is none. */
export function requestIdIsTraceable(requestId: string): boolean {
  return NUMBER.test(requestId);
}

/** The id with the reason in it (9: chance, a: the proxy's own, b: the client asked); what is no UUID stays as it is. */
export function markTraced(requestId: string, reason: '9' | 'b'): string {
  if (requestId.length !== UUID_LENGTH) return requestId;
  return requestId.slice(0, REASON_AT) + reason + requestId.slice(REASON_AT + 1);
}

function noId(id: string): boolean {
  return id.startsWith('0') && /^0+$/.test(id);
}

// Trace context of a request: W3C traceparent, or B3 in either form; the sampling decision comes before any id.

export interface TraceParent {
  traceId: string;
  /** Span that called. */
  spanId: string;
  sampled: boolean;
}

/** W3C Trace Context level 1; undefined when absent or malformed. */
export function parseTraceparent(value: string | undefined): TraceParent | undefined {
  const match = value === undefined ? null : /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(value);
  if (match === null) return undefined;
  const [, version = '', traceId = '', spanId = '', flags = '', rest] = match;
  if (version === 'ff' || (version === '00' && rest !== undefined) || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export function formatTraceparent({ traceId, spanId, sampled }: TraceParent): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

/** B3, single header first, else the x-b3-* headers. 64-bit trace ids are padded. */
export function parseB3(get: (name: string) => string | undefined): TraceParent | undefined {
  const [trace, span, state] = get('b3')?.split('-') ?? [get('x-b3-traceid'), get('x-b3-spanid'), get('x-b3-flags') === '1' ? 'd' : get('x-b3-sampled')];
  if (trace === undefined || span === undefined || !/^([0-9a-f]{16}|[0-9a-f]{32})$/.test(trace) || !/^[0-9a-f]{16}$/.test(span)) return undefined;
  return { traceId: trace.padStart(32, '0'), spanId: span, sampled: state === undefined || state === '1' || state === 'd' || state === 'true' };
}

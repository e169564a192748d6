// OTLP on the wire (opentelemetry-proto 1.x), for what Weft sends and takes: sums, gauges, histograms and spans.

import { WireReader, WireType } from '../wire/reader.ts';
import { WireWriter } from '../wire/writer.ts';

export type AttributeValue = string | number | boolean;
export type Attributes = Record<string, AttributeValue>;

export interface OtlpPoint {
  attributes: Attributes;
  /** Unix ms; 0 = not told. */
  startMs: number;
  timeMs: number;
  /** Sum and gauge. */
  value?: number;
  /** Histogram: counts per bucket (one more than bounds), not cumulative over buckets. */
  count?: number;
  sum?: number;
  bounds?: readonly number[];
  bucketCounts?: readonly number[];
}

export interface OtlpMetric {
  name: string;
  unit: string;
  kind: 'sum' | 'gauge' | 'histogram';
  /** Totals since `startMs`, or increases since the last point. */
  temporality: 'cumulative' | 'delta';
  points: OtlpPoint[];
}

export interface OtlpResourceMetrics {
  resource: Attributes;
  metrics: OtlpMetric[];
}

export interface OtlpSpan {
  /** Lower-case hex; parentSpanId '' = root. */
  traceId: string;
  spanId: string;
  parentSpanId: string;
  name: string;
  /** OTLP numbers: 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  kind: number;
  /** Unix microseconds. */
  startUs: number;
  endUs: number;
  attributes: Attributes;
  events: { timeUs: number; name: string; attributes: Attributes }[];
  /** 0 unset, 1 ok, 2 error. */
  status: number;
}

export interface OtlpResourceSpans {
  resource: Attributes;
  spans: OtlpSpan[];
}

export function encodeMetrics(resources: readonly OtlpResourceMetrics[]): Uint8Array {
  const w = new WireWriter();
  for (const { resource, metrics } of resources) {
    w.tag(1, WireType.bytes).fork();
    writeResource(w, resource);
    w.tag(2, WireType.bytes).fork();
    for (const metric of metrics) writeMetric(w, metric);
    w.join().join();
  }
  return w.finish();
}

function writeMetric(w: WireWriter, metric: OtlpMetric): void {
  w.tag(2, WireType.bytes).fork();
  w.tag(1, WireType.bytes).string(metric.name);
  if (metric.unit !== '') w.tag(3, WireType.bytes).string(metric.unit);
  w.tag({ gauge: 5, sum: 7, histogram: 9 }[metric.kind], WireType.bytes).fork();
  for (const point of metric.points) {
    w.tag(1, WireType.bytes).fork();
    const histogram = metric.kind === 'histogram';
    if (point.startMs > 0) w.tag(2, WireType.bit64).fixed64(nanos(point.startMs));
    w.tag(3, WireType.bit64).fixed64(nanos(point.timeMs));
    if (histogram) {
      w.tag(4, WireType.bit64).fixed64(BigInt(point.count ?? 0));
      w.tag(5, WireType.bit64).double(point.sum ?? 0);
      w.tag(6, WireType.bytes).fork();
      for (const count of point.bucketCounts ?? []) w.fixed64(BigInt(count));
      w.join();
      w.tag(7, WireType.bytes).fork();
      for (const bound of point.bounds ?? []) w.double(bound);
      w.join();
    } else w.tag(4, WireType.bit64).double(point.value ?? 0);
    writeAttributes(w, histogram ? 9 : 7, point.attributes);
    w.join();
  }
  if (metric.kind !== 'gauge') w.tag(2, WireType.varint).int32(metric.temporality === 'cumulative' ? 2 : 1);
  if (metric.kind === 'sum') w.tag(3, WireType.varint).bool(true);
  w.join().join();
}

export function encodeTraces(resources: readonly OtlpResourceSpans[]): Uint8Array {
  const w = new WireWriter();
  for (const { resource, spans } of resources) {
    w.tag(1, WireType.bytes).fork();
    writeResource(w, resource);
    w.tag(2, WireType.bytes).fork();
    for (const span of spans) writeSpan(w, span);
    w.join().join();
  }
  return w.finish();
}

function writeSpan(w: WireWriter, span: OtlpSpan): void {
  w.tag(2, WireType.bytes).fork();
  w.tag(1, WireType.bytes).bytes(fromHex(span.traceId));
  w.tag(2, WireType.bytes).bytes(fromHex(span.spanId));
  if (span.parentSpanId !== '') w.tag(4, WireType.bytes).bytes(fromHex(span.parentSpanId));
  w.tag(5, WireType.bytes).string(span.name);
  w.tag(6, WireType.varint).int32(span.kind);
  w.tag(7, WireType.bit64).fixed64(BigInt(Math.round(span.startUs)) * 1_000n);
  w.tag(8, WireType.bit64).fixed64(BigInt(Math.round(span.endUs)) * 1_000n);
  writeAttributes(w, 9, span.attributes);
  for (const event of span.events) {
    w.tag(11, WireType.bytes).fork();
    w.tag(1, WireType.bit64).fixed64(BigInt(Math.round(event.timeUs)) * 1_000n);
    w.tag(2, WireType.bytes).string(event.name);
    writeAttributes(w, 3, event.attributes);
    w.join();
  }
  if (span.status !== 0) {
    w.tag(15, WireType.bytes).fork();
    w.tag(3, WireType.varint).int32(span.status).join();
  }
  w.join();
}

function writeResource(w: WireWriter, attributes: Attributes): void {
  w.tag(1, WireType.bytes).fork();
  writeAttributes(w, 1, attributes);
  w.join();
}

function writeAttributes(w: WireWriter, field: number, attributes: Attributes): void {
  for (const key in attributes) w.tag(field, WireType.bytes).bytes(keyValue(key, attributes[key] as AttributeValue));
}

const KEPT_KEYS = 256;
const KEPT_VALUES = 64;
const KEPT_LENGTH = 128;
/** Attributes as they are written: most come again with the next span. */
const written = new Map<string, Map<AttributeValue, Uint8Array>>();

function keyValue(key: string, value: AttributeValue): Uint8Array {
  let values = written.get(key);
  let bytes = values?.get(value);
  if (bytes !== undefined) return bytes;
  const w = new WireWriter();
  w.tag(1, WireType.bytes).string(key);
  w.tag(2, WireType.bytes).fork();
  if (typeof value === 'string') w.tag(1, WireType.bytes).string(value);
  else if (typeof value === 'boolean') w.tag(2, WireType.varint).bool(value);
  else if (Number.isSafeInteger(value)) w.tag(3, WireType.varint).int64(value);
  else w.tag(4, WireType.bit64).double(value);
  bytes = w.join().finish();
  if (typeof value === 'string' && value.length > KEPT_LENGTH) return bytes;
  if (values === undefined) {
    if (written.size >= KEPT_KEYS) written.clear();
    written.set(key, (values = new Map()));
  }
  if (values.size >= KEPT_VALUES) values.clear();
  values.set(value, bytes);
  return bytes;
}

/** Throws on bytes that are not an ExportMetricsServiceRequest. */
export function decodeMetrics(bytes: Uint8Array): OtlpResourceMetrics[] {
  return decodeResources(bytes, (r, length): OtlpMetric => readMetric(r, length)).map(({ resource, items }) => ({ resource, metrics: items }));
}

/** Throws on bytes that are not an ExportTraceServiceRequest. */
export function decodeTraces(bytes: Uint8Array): OtlpResourceSpans[] {
  return decodeResources(bytes, (r, length): OtlpSpan => readSpan(r, length)).map(({ resource, items }) => ({ resource, spans: items }));
}

/** Both requests are lists of (resource, list of scopes, list of items) with the same numbers. */
function decodeResources<Item>(bytes: Uint8Array, readItem: (r: WireReader, length: number) => Item): { resource: Attributes; items: Item[] }[] {
  const out: { resource: Attributes; items: Item[] }[] = [];
  const r = new WireReader(bytes);
  message(r, bytes.length, (field) => {
    if (field !== 1) return false;
    const entry = { resource: {} as Attributes, items: [] as Item[] };
    message(r, r.uint32(), (inner) => {
      if (inner === 1) message(r, r.uint32(), (f) => f === 1 && readAttribute(r, entry.resource));
      else if (inner === 2)
        message(r, r.uint32(), (f) => {
          if (f !== 2) return false;
          entry.items.push(readItem(r, r.uint32()));
          return true;
        });
      else return false;
      return true;
    });
    out.push(entry);
    return true;
  });
  return out;
}

/** Calls `read` for each field of a message of `length` bytes; a field it does not take (false) is skipped. */
function message(r: WireReader, length: number, read: (field: number) => boolean): void {
  const end = r.pos + length;
  if (end > r.len) throw new RangeError('the message ends beyond its bytes');
  while (r.pos < end) {
    const [field, wireType] = r.tag();
    const at = r.pos;
    if (!read(field)) {
      r.pos = at;
      r.skip(wireType, field);
    }
  }
  if (r.pos !== end) throw new RangeError('a field ends beyond its message');
}

function readMetric(r: WireReader, length: number): OtlpMetric {
  const metric: OtlpMetric = { name: '', unit: '', kind: 'sum', temporality: 'cumulative', points: [] };
  message(r, length, (field) => {
    if (field === 1) metric.name = r.string();
    else if (field === 3) metric.unit = r.string();
    else if (field === 5 || field === 7 || field === 9) {
      metric.kind = field === 5 ? 'gauge' : field === 7 ? 'sum' : 'histogram';
      message(r, r.uint32(), (inner) => {
        if (inner === 1) metric.points.push(readPoint(r, r.uint32(), field === 9));
        else if (inner === 2 && field !== 5) metric.temporality = r.int32() === 1 ? 'delta' : 'cumulative';
        else return false;
        return true;
      });
    } else return false;
    return true;
  });
  return metric;
}

function readPoint(r: WireReader, length: number, histogram: boolean): OtlpPoint {
  const point: OtlpPoint = { attributes: {}, startMs: 0, timeMs: 0 };
  message(r, length, (field) => {
    if (field === 2) point.startMs = millis(r.fixed64());
    else if (field === 3) point.timeMs = millis(r.fixed64());
    else if (histogram && field === 4) point.count = Number(r.fixed64());
    else if (histogram && field === 5) point.sum = r.double();
    else if (histogram && field === 6) point.bucketCounts = packed(r, () => Number(r.fixed64()));
    else if (histogram && field === 7) point.bounds = packed(r, () => r.double());
    else if (histogram && field === 9) return readAttribute(r, point.attributes);
    else if (!histogram && field === 4) point.value = r.double();
    else if (!histogram && field === 6) point.value = Number(r.sfixed64());
    else if (!histogram && field === 7) return readAttribute(r, point.attributes);
    else return false;
    return true;
  });
  return point;
}

function packed(r: WireReader, read: () => number): number[] {
  const end = r.uint32() + r.pos;
  const values: number[] = [];
  while (r.pos < end) values.push(read());
  return values;
}

function readSpan(r: WireReader, length: number): OtlpSpan {
  const span: OtlpSpan = { traceId: '', spanId: '', parentSpanId: '', name: '', kind: 0, startUs: 0, endUs: 0, attributes: {}, events: [], status: 0 };
  message(r, length, (field) => {
    if (field === 1) span.traceId = toHex(r.bytes());
    else if (field === 2) span.spanId = toHex(r.bytes());
    else if (field === 4) span.parentSpanId = toHex(r.bytes());
    else if (field === 5) span.name = r.string();
    else if (field === 6) span.kind = r.int32();
    else if (field === 7) span.startUs = micros(r.fixed64());
    else if (field === 8) span.endUs = micros(r.fixed64());
    else if (field === 9) return readAttribute(r, span.attributes);
    else if (field === 11) {
      const event = { timeUs: 0, name: '', attributes: {} as Attributes };
      message(r, r.uint32(), (inner) => {
        if (inner === 1) event.timeUs = micros(r.fixed64());
        else if (inner === 2) event.name = r.string();
        else if (inner === 3) return readAttribute(r, event.attributes);
        else return false;
        return true;
      });
      span.events.push(event);
    } else if (field === 15)
      message(r, r.uint32(), (inner) => {
        if (inner !== 3) return false;
        span.status = r.int32();
        return true;
      });
    else return false;
    return true;
  });
  return span;
}

function readAttribute(r: WireReader, into: Attributes): true {
  let key = '';
  let value: AttributeValue | undefined;
  message(r, r.uint32(), (field) => {
    if (field === 1) key = r.string();
    else if (field === 2)
      message(r, r.uint32(), (inner) => {
        if (inner === 1) value = r.string();
        else if (inner === 2) value = r.bool();
        else if (inner === 3) value = Number(r.int64());
        else if (inner === 4) value = r.double();
        else return false;
        return true;
      });
    else return false;
    return true;
  });
  // Arrays and maps have no place in Istio's data; `__proto__` must stay a plain key.
  if (value !== undefined) Object.defineProperty(into, key, { value, enumerable: true, writable: true, configurable: true });
  return true;
}

function nanos(ms: number): bigint {
  return BigInt(Math.round(ms * 1_000)) * 1_000n;
}
function millis(ns: bigint): number {
  return Number(ns / 1_000n) / 1_000;
}
function micros(ns: bigint): number {
  return Number(ns / 1_000n);
}

function fromHex(hex: string): Uint8Array {
  const bytes = new Uint8Array(hex.length / 2);
  for (let i = 0; i < bytes.length; i += 1) bytes[i] = Number.parseInt(hex.slice(i * 2, i * 2 + 2), 16);
  return bytes;
}
function toHex(bytes: Uint8Array): string {
  let hex = '';
  for (const byte of bytes) hex += byte.toString(16).padStart(2, '0');
  return hex;
}

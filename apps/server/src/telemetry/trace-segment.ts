// Some thousand spans in columns, with their own tables of strings, so that a whole segment can be dropped at once.

import type { Span } from '@weft/mesh-core/api';
import { AttributeTable } from './attribute-table.ts';
import type { StoredSpan } from './stores.ts';

const SEGMENT_SPANS = 4_096;
const KINDS = ['internal', 'server', 'client', 'producer', 'consumer'] as const;
const ERROR_FLAG = 8;
const ROW_BYTES = 65;
const EXTRA_BYTES = 8;
const TRACE_BYTES = 220;
const STRING_BYTES = 100;

/** What one segment knows of a trace; a trace may lie in several segments. */
export interface TraceExtent {
  traceId: string;
  startUs: number;
  endUs: number;
  errors: number;
  /** True when a span without a parent is here. */
  rooted: boolean;
}

export interface SpanFilter {
  service?: string;
  operation?: string;
  tags: readonly { key: string; value: string }[];
}

export class TraceSegment {
  readonly #trace = new Uint32Array(SEGMENT_SPANS);
  readonly #next = new Int32Array(SEGMENT_SPANS);
  readonly #name = new Uint32Array(SEGMENT_SPANS);
  readonly #service = new Uint32Array(SEGMENT_SPANS);
  readonly #resource = new Uint32Array(SEGMENT_SPANS);
  readonly #set = new Uint32Array(SEGMENT_SPANS);
  readonly #flags = new Uint8Array(SEGMENT_SPANS);
  readonly #start = new Float64Array(SEGMENT_SPANS);
  readonly #duration = new Float64Array(SEGMENT_SPANS);
  readonly #spanIds = new BigUint64Array(SEGMENT_SPANS);
  readonly #parentIds = new BigUint64Array(SEGMENT_SPANS);
  /** Attributes beside the sets, those of all rows one behind the other. */
  readonly #extra: number[] = [];
  readonly #extraEnd = new Uint32Array(SEGMENT_SPANS);
  readonly #events = new Map<number, Span['events']>();
  readonly #traceNumbers = new Map<string, number>();
  readonly #extents: TraceExtent[] = [];
  readonly #heads: number[] = [];
  readonly #strings: string[] = [];
  readonly #stringIds = new Map<string, number>();
  readonly #attributes = new AttributeTable();
  readonly #operations = new Map<string, Set<string>>();
  #length = 0;
  #bytes = SEGMENT_SPANS * ROW_BYTES;

  get length(): number {
    return this.#length;
  }

  /** Rough size, bytes. */
  get bytes(): number {
    return this.#bytes + this.#attributes.bytes;
  }

  get isFull(): boolean {
    return this.#length === SEGMENT_SPANS;
  }

  append(span: StoredSpan): void {
    const row = this.#length++;
    const trace = this.#traceOf(span);
    this.#trace[row] = trace;
    this.#next[row] = this.#heads[trace] ?? -1;
    this.#heads[trace] = row;
    this.#name[row] = this.#string(span.name);
    this.#service[row] = this.#string(span.service);
    this.#flags[row] = KINDS.indexOf(span.kind) | (span.error ? ERROR_FLAG : 0);
    this.#start[row] = span.startUs;
    this.#duration[row] = span.durationUs;
    this.#spanIds[row] = idOf(span.spanId);
    this.#parentIds[row] = idOf(span.parentId);
    this.#resource[row] = this.#attributes.intern(span.resource).set;
    const { set, extra } = this.#attributes.intern(span.attributes);
    this.#set[row] = set;
    this.#extra.push(...extra);
    this.#extraEnd[row] = this.#extra.length;
    this.#bytes += extra.length * EXTRA_BYTES;
    if (span.events.length > 0) {
      this.#events.set(row, span.events);
      this.#bytes += JSON.stringify(span.events).length * 2;
    }
    const operations = this.#operations.get(span.service);
    if (operations === undefined) this.#operations.set(span.service, new Set([span.name]));
    else operations.add(span.name);
  }

  #traceOf(span: StoredSpan): number {
    const known = this.#traceNumbers.get(span.traceId);
    const endUs = span.startUs + span.durationUs;
    const extent = known === undefined ? undefined : this.#extents[known];
    if (known !== undefined && extent !== undefined) {
      extent.startUs = Math.min(extent.startUs, span.startUs);
      extent.endUs = Math.max(extent.endUs, endUs);
      extent.errors += span.error ? 1 : 0;
      extent.rooted ||= span.parentId === '';
      return known;
    }
    const trace = this.#extents.length;
    this.#traceNumbers.set(span.traceId, trace);
    this.#extents.push({ traceId: span.traceId, startUs: span.startUs, endUs, errors: span.error ? 1 : 0, rooted: span.parentId === '' });
    this.#heads.push(-1);
    this.#bytes += TRACE_BYTES;
    return trace;
  }

  #string(text: string): number {
    const known = this.#stringIds.get(text);
    if (known !== undefined) return known;
    const id = this.#strings.length;
    this.#strings.push(text);
    this.#stringIds.set(text, id);
    this.#bytes += STRING_BYTES + text.length * 2;
    return id;
  }

  /** Extents of all traces here. */
  extents(): readonly TraceExtent[] {
    return this.#extents;
  }

  /** Ids of the traces with a span that meets the whole filter. */
  matching(filter: SpanFilter): Set<string> {
    const found = new Set<string>();
    const service = filter.service === undefined ? undefined : this.#stringIds.get(filter.service);
    const name = filter.operation === undefined ? undefined : this.#stringIds.get(filter.operation);
    if ((filter.service !== undefined && service === undefined) || (filter.operation !== undefined && name === undefined)) return found;
    const tags = filter.tags.map(({ key, value }) => this.#attributes.pairsOf(key, value));
    // A value this segment has never seen rules out all of it without looking at a span.
    if (tags.some((pairs) => pairs.length === 0)) return found;
    const wanted = tags.map((pairs) => ({ pairs, sets: this.#attributes.setsWith(pairs) }));
    for (let row = 0; row < this.#length; row++) {
      if (service !== undefined && this.#service[row] !== service) continue;
      if (name !== undefined && this.#name[row] !== name) continue;
      const has = ({ pairs, sets }: { pairs: number[]; sets: Uint8Array }): boolean =>
        sets[this.#set[row] ?? 0] === 1 || sets[this.#resource[row] ?? 0] === 1 || this.#extraOf(row).some((pair) => pairs.includes(pair));
      if (wanted.every(has)) found.add(this.#extents[this.#trace[row] ?? 0]?.traceId ?? '');
    }
    return found;
  }

  /** Spans of a trace that lie here, in no particular order. */
  spansOf(traceId: string): Span[] {
    const trace = this.#traceNumbers.get(traceId);
    const spans: Span[] = [];
    for (let row = trace === undefined ? -1 : (this.#heads[trace] ?? -1); row >= 0; row = this.#next[row] ?? -1) spans.push(this.#span(row));
    return spans;
  }

  #extraOf(row: number): number[] {
    return this.#extra.slice(row === 0 ? 0 : this.#extraEnd[row - 1], this.#extraEnd[row]);
  }

  #span(row: number): Span {
    const flags = this.#flags[row] ?? 0;
    return {
      spanId: hexOf(this.#spanIds[row] ?? 0n),
      parentId: hexOf(this.#parentIds[row] ?? 0n),
      service: this.#strings[this.#service[row] ?? 0] ?? '',
      name: this.#strings[this.#name[row] ?? 0] ?? '',
      kind: KINDS[flags & 7] ?? 'internal',
      startUs: this.#start[row] ?? 0,
      durationUs: this.#duration[row] ?? 0,
      error: (flags & ERROR_FLAG) !== 0,
      attributes: this.#attributes.read(this.#set[row] ?? 0, this.#extraOf(row)),
      resource: this.#attributes.read(this.#resource[row] ?? 0, []),
      events: this.#events.get(row) ?? [],
    };
  }

  /** Operations seen here by service. */
  operations(): ReadonlyMap<string, ReadonlySet<string>> {
    return this.#operations;
  }
}

/** Span ids are 8 bytes; '' is kept as 0, which the protocol forbids as an id. */
function idOf(hex: string): bigint {
  return hex === '' ? 0n : BigInt(`0x${hex}`);
}

function hexOf(id: bigint): string {
  return id === 0n ? '' : id.toString(16).padStart(16, '0');
}

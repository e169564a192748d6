// Traces in memory: columnar segments inside a byte budget, the oldest segment dropped when it is spent.

import type { Span, Trace, TraceQuery, TraceSummary } from '@weft/mesh-core/api';
import type { StoredSpan, TraceStore, TraceStoreStats } from './stores.ts';
import { type SpanFilter, type TraceExtent, TraceSegment } from './trace-segment.ts';
import { hasHop, summarize } from './trace-summary.ts';

const MEBIBYTE = 1024 * 1024;
const MAX_BYTES = 256 * MEBIBYTE;
/** An operation or attribute text longer than this is cut: one span must not eat the budget. */
const MAX_TEXT = 8_192;
/**
 * A root ends last, so it comes after its children. A trace without one is not found until so long after its last span: by then the root
 * is lost, or was never ours (a caller outside of the mesh began the trace).
 */
const ROOT_WAIT_US = 10_000_000;

export class EmbeddedTraceStore implements TraceStore {
  readonly #segments: TraceSegment[] = [];
  readonly #maxBytes: number;
  readonly #clock: () => number;
  #dropped = 0;

  /** `maxBytes`: default 64 MiB, at most 256 MiB. */
  constructor(options: { maxBytes?: number; clock?: () => number } = {}) {
    this.#maxBytes = Math.min(options.maxBytes ?? 64 * MEBIBYTE, MAX_BYTES);
    this.#clock = options.clock ?? Date.now;
  }

  append(spans: readonly StoredSpan[]): void {
    for (const span of spans) {
      if (!/^[0-9a-f]{32}$/.test(span.traceId) || !/^[0-9a-f]{16}$/.test(span.spanId) || !/^([0-9a-f]{16})?$/.test(span.parentId)) {
        this.#dropped += 1;
        continue;
      }
      this.#open().append(cut(span));
    }
    this.#shrink();
  }

  #open(): TraceSegment {
    const last = this.#segments.at(-1);
    // A segment is the unit of forgetting, so none may be a large part of the budget.
    if (last !== undefined && !last.isFull && last.bytes < this.#maxBytes / 8) return last;
    const segment = new TraceSegment();
    this.#segments.push(segment);
    return segment;
  }

  #shrink(): void {
    let bytes = this.#bytes();
    while (bytes > this.#maxBytes && this.#segments.length > 1) {
      const oldest = this.#segments.shift();
      bytes -= oldest?.bytes ?? 0;
      this.#dropped += oldest?.length ?? 0;
    }
  }

  find(query: TraceQuery): { traces: TraceSummary[]; total: number; truncated: boolean } {
    const filter = spanFilterOf(query);
    const extents = this.#extents(filter);
    const settledUs = this.#clock() * 1_000 - ROOT_WAIT_US;
    const matching = [...extents.values()]
      .filter((extent) => (extent.rooted || extent.endUs < settledUs) && meets(extent, query))
      .toSorted((a, b) => b.startUs - a.startUs);
    const traces: TraceSummary[] = [];
    let total = 0;
    for (const { traceId } of matching) {
      const needsSpans = query.from !== undefined || query.to !== undefined;
      if (!needsSpans && traces.length === query.limit) {
        total = matching.length;
        break;
      }
      const spans = this.#spans(traceId);
      if (needsSpans && !hasHop(spans, query.from, query.to)) continue;
      total += 1;
      if (traces.length < query.limit) traces.push(summarize(traceId, spans));
    }
    return { traces, total, truncated: total > traces.length };
  }

  get(traceId: string): Trace | undefined {
    const spans = this.#spans(traceId);
    return spans.length === 0 ? undefined : { traceId, spans };
  }

  services(): { name: string; operations: string[] }[] {
    const services = new Map<string, Set<string>>();
    for (const segment of this.#segments) {
      for (const [service, operations] of segment.operations()) {
        const known = services.get(service) ?? new Set<string>();
        for (const operation of operations) known.add(operation);
        services.set(service, known);
      }
    }
    return [...services].map(([name, operations]) => ({ name, operations: [...operations].toSorted() })).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  stats(): TraceStoreStats {
    return { spans: this.#segments.reduce((sum, segment) => sum + segment.length, 0), bytes: this.#bytes(), dropped: this.#dropped };
  }

  #bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
  }

  /** Extents of the traces that have a span as wanted, put together over segments. */
  #extents(filter: SpanFilter | undefined): Map<string, TraceExtent> {
    const wanted = filter === undefined ? undefined : new Set(this.#segments.flatMap((segment) => [...segment.matching(filter)]));
    const merged = new Map<string, TraceExtent>();
    if (wanted?.size === 0) return merged;
    for (const segment of this.#segments) {
      for (const extent of segment.extents()) {
        if (wanted !== undefined && !wanted.has(extent.traceId)) continue;
        const known = merged.get(extent.traceId);
        if (known === undefined) merged.set(extent.traceId, { ...extent });
        else {
          known.startUs = Math.min(known.startUs, extent.startUs);
          known.endUs = Math.max(known.endUs, extent.endUs);
          known.errors += extent.errors;
          known.rooted ||= extent.rooted;
        }
      }
    }
    return merged;
  }

  /** Spans by start; a span exported twice (a retried export) appears once. */
  #spans(traceId: string): Span[] {
    const spans = new Map<string, Span>();
    for (const segment of this.#segments) for (const span of segment.spansOf(traceId)) spans.set(`${span.spanId}${span.kind}`, span);
    return [...spans.values()].toSorted((a, b) => a.startUs - b.startUs || b.durationUs - a.durationUs);
  }
}

function spanFilterOf(query: TraceQuery): SpanFilter | undefined {
  const tags = (query.tags ?? '')
    .split(/\s+/)
    .filter((part) => part !== '')
    .map((part) => {
      const equals = part.indexOf('=');
      return equals < 0 ? { key: part, value: 'true' } : { key: part.slice(0, equals), value: part.slice(equals + 1).replace(/^"(.*)"$/, '$1') };
    });
  const { service, operation } = query;
  if (tags.length === 0 && service === undefined && operation === undefined) return undefined;
  return { tags, ...(service === undefined ? {} : { service }), ...(operation === undefined ? {} : { operation }) };
}

function meets(extent: TraceExtent, query: TraceQuery): boolean {
  const ms = (extent.endUs - extent.startUs) / 1_000;
  if (query.start !== undefined && extent.startUs < query.start * 1_000) return false;
  if (query.end !== undefined && extent.startUs > query.end * 1_000) return false;
  if (query.minMs !== undefined && ms < query.minMs) return false;
  if (query.maxMs !== undefined && ms > query.maxMs) return false;
  return query.status === 'any' || (query.status === 'error') === extent.errors > 0;
}

function cut(span: StoredSpan): StoredSpan {
  const long = (value: unknown): boolean => typeof value === 'string' && value.length > MAX_TEXT;
  if (span.name.length <= MAX_TEXT && !Object.values(span.attributes).some(long) && span.events.length <= 128) return span;
  const attributes = Object.fromEntries(
    Object.entries(span.attributes).map(([key, value]) => [key, typeof value === 'string' ? value.slice(0, MAX_TEXT) : value]),
  );
  return { ...span, name: span.name.slice(0, MAX_TEXT), attributes, events: span.events.slice(0, 128) };
}
